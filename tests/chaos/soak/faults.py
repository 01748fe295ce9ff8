"""What goes wrong in a soak, one thing at a time, and how long it takes until everything sells again."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
from redis.exceptions import RedisError

from server import ids
from server.auth import Role
from server.clock import monotonic
from server.errors import Problem
from tests.store.replicas import NAME
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.chaos.soak.sale import Sale

RECOVERED_SECONDS = 90.0
STOPPED_SECONDS = (1.0, 6.0)
MENDED_SECONDS = 60.0
OPERATOR_SECONDS = 2.0


class Faults:
    """Makes faults at a sale."""

    def __init__(self, sale: Sale, only: Collection[str]) -> None:
        self.sale = sale
        self.deeds = [(name, deed) for name, deed in DEEDS.items() if name in (only or DEEDS)]
        self.ground = sale.ground
        self.chance = sale.chance
        self.recoveries: list[tuple[str, float]] = []  # fault -> seconds from its end until all sell
        self.stuck: list[str] = []
        self.short: dict[str, int] = {}  # orders that cannot be served, by the last rebuild

    async def run(self, pause_seconds: float) -> None:
        """Make one fault after the other until the sale is over."""
        while not self.sale.over.is_set():
            await self.sale.wait(pause_seconds * (0.5 + self.chance.random()))
            if self.sale.over.is_set():
                return
            name, deed = self.chance.choice(self.deeds)
            await deed(self)
            await self._recovered(name)

    async def _recovered(self, name: str) -> None:
        """Wait until every gateway sells; do what an operator does after a failover."""
        began = monotonic()
        if name in STORE_FAULTS:
            await asyncio.to_thread(self.ground.store.mend)
            await self.rebuild()
        for gateway in range(len(self.ground.gateways)):
            try:
                await wait_for(lambda gateway=gateway: self.sells(gateway), name, RECOVERED_SECONDS)  # type: ignore[misc]  # bound per turn
            except AssertionError:
                self.stuck.append(f"{name}: gateway {gateway} does not sell after {RECOVERED_SECONDS:g} s")
        self.recoveries.append((name, monotonic() - began))

    @property
    def replaced(self) -> bool:
        """Whether the store may have another primary than at the beginning, which may lack what that one said last."""
        return any(name in STORE_FAULTS for name, _took in self.recoveries)

    async def operate(self) -> None:
        """Do what an operator does whenever a worker has frozen the show, or has ended."""
        while not self.sale.over.is_set():
            await self.sale.wait(OPERATOR_SECONDS)
            self.ground.worker.keep()
            with suppress(Problem):
                if await self.ground.house.shows.frozen(self.sale.show):
                    await self.rebuild()

    async def rebuild(self) -> None:
        """Count the show anew: `livedrop rebuild SHOW --open`."""

        async def done() -> bool:
            with suppress(Problem):
                report = await self.ground.house.rebuild().run(self.sale.show, reopen=True)
                self.short = report.short
                return True
            return False

        await wait_for(done, "the show is made whole", MENDED_SECONDS)

    async def sells(self, number: int) -> bool:
        """Whether a gateway is ready and answers who wants a unit with something that is known."""
        gateway = self.ground.gateways[number]
        headers = {
            "Authorization": f"Bearer {gateway.token(Role.VIEWER, 'probe', self.sale.show)}",
            "Idempotency-Key": ids.secret(8),
        }
        path = f"/v1/shows/{self.sale.show}/drops/{self.sale.drop}/reservations"
        with suppress(httpx.HTTPError, ValueError):
            if (await self.sale.http.get(f"{gateway.url}/readyz")).status_code != httpx.codes.OK:
                return False
            body = {"quantity": 1}
            told = (await self.sale.http.post(gateway.url + path, headers=headers, json=body)).json()
            return told.get("code") not in {"unavailable", "show-not-live"}
        return False

    # -- deeds

    async def kill_gateway(self) -> None:
        """Kill one, and start another in its place. The first one lives on: its growth is looked at."""
        gateway = self.ground.gateways[-1]
        await asyncio.to_thread(gateway.kill)
        await asyncio.to_thread(gateway.start)

    async def stop_gateway(self) -> None:
        """Let one stand still for a while."""
        process = self.chance.choice(self.ground.gateways).process
        assert process is not None
        await self._stopped(process.pid)

    async def kill_worker(self) -> None:
        """Kill the worker, and start another a while later."""
        await asyncio.to_thread(self.ground.worker.kill)
        await asyncio.sleep(self.chance.uniform(*STOPPED_SECONDS))
        self.ground.worker.keep()

    async def stop_worker(self) -> None:
        """Let it stand still."""
        assert self.ground.worker.process is not None
        await self._stopped(self.ground.worker.process.pid)

    async def kill_primary(self) -> None:
        """Kill the store's primary: its replica takes over."""
        former = self.ground.store.primary
        former.end()
        await wait_for(
            lambda: self.ground.store.replaced(former), "the replica has taken over", MENDED_SECONDS
        )

    async def stop_primary(self) -> None:
        """Let the primary stand still, shorter or longer than the sentinels wait."""
        await self._stopped(self.ground.store.primary.process.pid)

    async def replace_primary(self) -> None:
        """Ask the sentinels for a failover."""
        with suppress(RedisError):
            await asyncio.to_thread(self.ground.store.sentinels[0].ask, "SENTINEL", "FAILOVER", NAME)

    async def kill_sentinel(self) -> None:
        """Kill a sentinel, and start it again a while later."""
        sentinel = self.chance.choice(self.ground.store.sentinels)
        sentinel.end()
        await asyncio.sleep(self.chance.uniform(*STOPPED_SECONDS))
        sentinel.start()

    async def stop_ledger(self) -> None:
        """Let all of PostgreSQL stand still."""
        await self._stopped(*self.ground.database_pids())

    async def cut_ledger(self) -> None:
        """Cut the network between everybody and PostgreSQL for a while."""
        self.ground.ledger_way.cut()
        await asyncio.sleep(self.chance.uniform(*STOPPED_SECONDS))
        self.ground.ledger_way.heal()

    async def _stopped(self, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(self.chance.uniform(*STOPPED_SECONDS))
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


DEEDS = {
    "gateway killed": Faults.kill_gateway,
    "gateway stopped": Faults.stop_gateway,
    "worker killed": Faults.kill_worker,
    "worker stopped": Faults.stop_worker,
    "primary killed": Faults.kill_primary,
    "primary stopped": Faults.stop_primary,
    "primary replaced": Faults.replace_primary,
    "sentinel killed": Faults.kill_sentinel,
    "ledger stopped": Faults.stop_ledger,
    "ledger cut off": Faults.cut_ledger,
}
STORE_FAULTS = frozenset({"primary killed", "primary stopped", "primary replaced"})
