"""A small crowd that writes its accounts down: it takes, pays, lets lapse, and asks again when units should be back."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx

from loadtests.gate.case import LATE_SECONDS, RETURN_SECONDS
from loadtests.plan import Plan, Sale
from loadtests.run import Curve, Machine, Run
from loadtests.seen import Account, Refused, Take
from server.auth import Role
from server.client import live
from server.errors import Code
from tests.wire import NO_TLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.client import LiveClient
    from tests.server import ServerProcess

GUESTS, UNITS = 8, 4
HOLD_SECONDS = 3
LOOK_SECONDS = 0.2
NUMBERS = ("available", "held", "sold")
MACHINE = Machine(cpu="any", cores=2, memory=1, system="any", python="3.11", load_before=0.0)


class Guest:
    """One viewer on the live socket, and what they remember."""

    def __init__(self, name: str, client: LiveClient, http: httpx.AsyncClient, token: str) -> None:
        self.account = Account(viewer=name, kind="buyer")
        self.client = client
        self._http = http
        self._token = token

    async def take(self, drop: str) -> Take | None:
        """Ask for a unit; remember the reservation, or the refusal."""
        asked_at, operation = time.time(), f"{self.account.viewer}-{time.monotonic_ns()}"
        answer = await self.client.reserve(drop, 1, operation)
        if answer["type"] == "error":
            self.account.refused.append(Refused(drop, answer["code"], asked_at, time.time(), 1))
            return None
        held = answer["reservation"]
        take = Take(
            reservation=held["id"],
            drop=drop,
            operation=operation,
            quantity=held["quantity"],
            unit_price=held["unit_price"],
            asked_at=asked_at,
            held_at=time.time(),
            expires_at=held["expires_at"] / 1000,
        )
        self.account.takes.append(take)
        return take

    async def pay(self, take: Take) -> None:
        """Pay for units."""
        body = {"reservations": [take.reservation], "payment": {"method": "card", "token": "tok_ok"}}
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": take.reservation}
        answer = (await self._http.post("/v1/checkout", json=body, headers=headers)).json()
        if answer.get("code") == Code.RESERVATION_EXPIRED:  # a busy machine took longer than the hold
            take.end, take.gone_at = "expired", take.expires_at
            return
        take.end, take.order, take.orders = "paid", answer["order"]["id"], [answer["order"]["id"]]

    async def let_lapse(self, take: Take) -> None:
        """Wait until told that units have lapsed."""
        await self.client.until(lambda one: one.reservations[take.reservation]["state"] == "expired")
        take.end, take.gone_at = "expired", take.expires_at

    def leave(self) -> None:
        """Complete the account."""
        client, account = self.client, self.account
        told = [client.welcome["offset"], *client.offsets]
        account.gaps = sum(max(0, after - before - 1) for before, after in pairwise(told))
        account.repeats = sum(after <= before for before, after in pairwise(told))
        account.epoch, account.offset = client.welcome["epoch"], told[-1]


@dataclass
class Evening:
    """A live show, what its crowd remembers, and the run as far as the gate looks at it."""

    server: ServerProcess
    http: httpx.AsyncClient
    show: str
    sku: str
    guests: list[Guest] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=lambda: [Curve(name=name, unit="units") for name in NUMBERS])
    began: float = field(default_factory=time.time)
    _looked: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def accounts(self) -> list[Account]:
        """What everybody remembers."""
        return [guest.account for guest in self.guests]

    @property
    def run(self) -> Run:
        """The run, without figures."""
        seconds = time.time() - self.began
        sale = Sale(at=0.5, seconds=seconds, quantity=UNITS, hold_seconds=HOLD_SECONDS)
        return Run(
            plan=Plan(
                shape="small", seed=1, viewers=GUESTS, seconds=seconds, arrival_seconds=0.1, sales=(sale,)
            ),
            began_at=datetime.fromtimestamp(self.began, UTC).isoformat(),
            machine=MACHINE,
            server=self.server.url,
            seconds=seconds,
            messages=sum(len(guest.client.messages) for guest in self.guests),
            curves=self.curves,
        )

    async def hold(self) -> None:
        """Sell four units to eight guests, of whom two let theirs lapse; later the others ask again."""
        async with AsyncExitStack() as doors, asyncio.TaskGroup() as beside:
            for number in range(GUESTS):
                await self._welcome(doors, f"guest-{number}")
            made = await self._host(
                "drops", sku=self.sku, quantity=UNITS, hold_seconds=HOLD_SECONDS, waitlist=False
            )
            drop = made["id"]
            looking = beside.create_task(self._look(drop))
            await self._host(f"drops/{drop}/open")
            taken = await self._take(drop, self.guests)
            payers, others = taken[: len(taken) // 2], taken[len(taken) // 2 :]
            await asyncio.gather(
                *(guest.pay(take) for guest, take in payers),
                *(guest.let_lapse(take) for guest, take in others),
            )
            await self._until_back()
            late = [guest for guest in self.guests if not guest.account.takes]
            for guest, take in await self._take(drop, late):
                await guest.pay(take)
            looks = len(self.curves[0].at)
            await self._until(
                lambda: len(self.curves[0].at) > looks + 1
            )  # one that was begun after now is there
            await self._host(f"drops/{drop}/close")
            looking.cancel()
            for guest in self.guests:
                guest.leave()

    async def _until_back(self) -> None:
        """Wait until units are back, if they come, and have stood there for longer than they may go unseen."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LATE_SECONDS):
                await self._until(lambda: self.curves[0].values[-1] > 0)
        await asyncio.sleep(RETURN_SECONDS + 2 * LOOK_SECONDS)

    async def _until(self, predicate: Callable[[], bool]) -> None:
        """Wait until a look at the stock has made the predicate true."""
        async with self._looked:
            await self._looked.wait_for(predicate)

    async def _take(self, drop: str, guests: list[Guest]) -> list[tuple[Guest, Take]]:
        """Let guests ask for a unit, all at once; return who got one."""
        takes = await asyncio.gather(*(guest.take(drop) for guest in guests))
        return [(guest, take) for guest, take in zip(guests, takes, strict=True) if take is not None]

    async def _welcome(self, doors: AsyncExitStack, name: str) -> None:
        token = self.server.token(Role.VIEWER, name, self.show)
        client = await doors.enter_async_context(live(self.server.url, self.show, token))
        self.guests.append(Guest(name, client, self.http, token))

    async def _look(self, drop: str) -> None:
        while True:
            view = await self._host(f"drops/{drop}", get=True)
            at = time.time() - self.began
            for curve in self.curves:
                curve.at.append(at)
                curve.values.append(view[curve.name])
            async with self._looked:
                self._looked.notify_all()
            await asyncio.sleep(LOOK_SECONDS)

    async def _host(self, path: str, /, *, get: bool = False, **body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.server.token(Role.HOST, 'host')}"}
        answer = await self.http.request(
            "GET" if get else "POST", f"/v1/shows/{self.show}/{path}", json=body or None, headers=headers
        )
        fields: dict[str, Any] = answer.raise_for_status().json()
        return fields


def door(server: ServerProcess) -> httpx.AsyncClient:
    """Return a client for everybody's requests."""
    return httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS)
