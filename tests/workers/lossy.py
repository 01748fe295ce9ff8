"""A store that can lose what it had: everything, what came after a copy, or what its replica never got."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError  # noqa: A004  the client's own

from server import ids
from server.checkout.saga import Paid, Request
from server.inventory.outcomes import Held
from server.store.embedded import Embedded
from server.workers.audit import audit
from tests.houses import house_at
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.errors import Problem
    from server.house import House
    from server.workers.rebuild import Report


@dataclass(slots=True)
class Lossy:
    """A house, and the server behind it, which can be replaced under it."""

    folder: Path
    house: House
    server: Embedded
    paid: list[str] = field(default_factory=list)  # orders that were acknowledged

    async def copy(self) -> Path:
        """Return a copy of the store's data as it is now."""
        await self.house.client.config_set("appendfsync", "always")
        await self.house.client.set("ld:idem:copy", "x", px=1)  # what came before is on the disk with it
        kept = self.folder / "copy"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.folder / "store" / "valkey" / "appendonlydir", kept)
        return kept

    async def restore(self, copy: Path) -> None:
        """Put an older copy in the place of the store's data."""
        self.server.stop()
        data = self.folder / "store" / "valkey" / "appendonlydir"
        shutil.rmtree(data)
        shutil.copytree(copy, data)
        self.server = Embedded.start(self.folder / "store")
        await wait_for(self._answers, "the store is back")

    async def _answers(self) -> bool:
        with suppress(ConnectionError):
            return bool(await self.house.client.ping())
        return False

    async def lose_all(self) -> None:
        """Forget everything, scripts included."""
        await self.house.client.flushall()
        await self.house.client.script_flush()

    async def held(self, show: str, drop: str, viewer: str, quantity: int = 1) -> str:
        """Reserve and return the reservation."""
        outcome = await self.house.holds.reserve(show, viewer, ids.secret(6), drop, quantity)
        assert isinstance(outcome, Held), outcome
        reservation: str = outcome.reservation["id"]
        return reservation

    def request(self, show: str, viewer: str, *reservations: str, card: str = "tok_ok") -> Request:
        """Return what pays reservations."""
        details = {"provider": "sandbox", "method": "card", "token": card}
        order = ids.order(show, viewer, reservations[0])
        return Request(order, show, viewer, list(reservations), details, None)

    async def bought(self, show: str, drop: str, viewer: str, quantity: int = 1) -> str:
        """Reserve, pay, and return the order that was acknowledged."""
        request = self.request(show, viewer, await self.held(show, drop, viewer, quantity))
        outcome = await self.house.checkout.pay(request)
        assert isinstance(outcome, Paid), outcome
        self.paid.append(request.order)
        return request.order

    async def recorded(self, show: str) -> None:
        """Bring the ledger up to the log, as the recorder does within a second."""
        recorder = self.house.recorder()
        await wait_for(lambda: recorder.record(show), "the ledger has the log")

    async def rebuilt(self, show: str, *, reopen: bool = True) -> Report:
        """Rebuild a show."""
        return await self.house.rebuild().run(show, reopen=reopen)

    async def differences(self, show: str) -> list[str]:
        """Return what is wrong with a show's books."""
        audited = await audit(self.house.client, self.house.orders, show)
        assert audited, "there is no drop to be audited"
        return [line for drop in audited for line in drop.differences]

    async def sell_out(self, show: str, drop: str, viewer: str = "late") -> int:
        """Sell one unit after the other until there is none; return how many there were."""
        for number in range(1000):
            outcome: Held | Any | Problem = await self.house.holds.reserve(
                show, f"{viewer}-{number}", "op", drop, 1
            )
            if not isinstance(outcome, Held):
                return number
            request = self.request(show, f"{viewer}-{number}", outcome.reservation["id"])
            assert isinstance(await self.house.checkout.pay(request), Paid)
            self.paid.append(request.order)
        raise AssertionError("it never sells out")

    async def sold_units(self, drop: str, show: str) -> int:
        """Return the units of a drop that the ledger counts as sold."""
        return (await self.house.orders.units_by_drop(show)).get(drop, 0)

    async def all_there(self) -> None:
        """Assert that every acknowledged order is in the ledger, with its money."""
        for order in self.paid:
            found = await self.house.orders.find(order)
            assert found is not None, order
            assert (found[0]["status"], found[0]["payment"]["status"]) == ("paid", "captured")


@asynccontextmanager
async def lossy(folder: Path) -> AsyncIterator[Lossy]:
    """Give a house on a store of its own."""
    server = Embedded.start(folder / "store")
    async with house_at(server.url, folder / "data") as house:
        one = Lossy(folder, house, server)
        try:
            yield one
        finally:
            one.server.stop()
