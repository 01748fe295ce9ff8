"""One show of a soak: buyers who insist under the same key until they know, a host, and witnesses who watch."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from server.auth import Role
from server.protocol.codec import Codec
from tests.faults.witness import Crowd, Witness
from tests.stage import Stage

if TYPE_CHECKING:
    import random

    from tests.chaos.soak.ground import Ground

UNITS = 30
HOLD_SECONDS = 5
PACE_SECONDS = 0.8  # at most, between two deeds of a buyer
AGAIN_SECONDS = 0.3
INSIST_SECONDS = 90.0  # within which everything must be known
ANSWER_SECONDS = 12.0
WITNESSES = 4
# Codes after which the same key may still bring an answer.
UNKNOWN = frozenset({"unavailable", "in-progress", "rate-limited"})

Fields = dict[str, Any]


@dataclass(slots=True)
class Sale:
    """What everybody shares. `acknowledged` are orders of which somebody was told that they are paid."""

    ground: Ground
    http: httpx.AsyncClient
    chance: random.Random
    show: str = ""
    drop: str = ""
    answers: Counter[str] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    unanswered: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _count: int = 0

    def stage(self, gateway: int) -> Stage:
        """Return this show at one gateway."""
        stage = Stage(self.ground.gateways[gateway], self.http)
        stage.show = self.show
        return stage

    async def begin(self) -> None:
        """Make the show and open its drop."""
        gateway = self.ground.gateways[0]
        at_first = httpx.AsyncClient(base_url=gateway.url, timeout=ANSWER_SECONDS)
        async with at_first as http:
            stage = Stage(gateway, http)
            await stage.open()
            self.show = stage.show
            self.drop = await stage.drop(UNITS, hold_seconds=HOLD_SECONDS, limit_per_viewer=3, waitlist=False)

    async def end(self) -> None:
        """End the show: workers let go of it."""
        await self.ask("POST", f"/v1/shows/{self.show}/end", Role.HOST, "host")

    def witnesses(self) -> Crowd:
        """Return people who watch at both gateways, in both codecs."""
        codecs = list(Codec)
        here = [
            Witness(self.stage(number % len(self.ground.gateways)), codecs[number // 2 % 2])
            for number in range(WITNESSES)
        ]
        return Crowd(here, [])

    async def ask(self, method: str, path: str, role: Role, who: str, body: Fields | None = None) -> Fields:
        """Return the answer of any gateway, asked for under one key until there is one."""
        self._count += 1
        key = f"{self.show}-{self._count}"
        deadline = asyncio.get_running_loop().time() + INSIST_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            gateway = self.chance.choice(self.ground.gateways)
            token = gateway.token(role, who, *([self.show] if role is Role.VIEWER else []))
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
            try:
                answer = await self.http.request(method, gateway.url + path, headers=headers, json=body)
                fields: Fields = answer.json()
            except (httpx.HTTPError, ValueError):
                fields = {"code": "unavailable"}
            if fields.get("code") not in UNKNOWN:
                self.answers[f"{_deed(method, path)} {fields.get('code', 'given')}"] += 1
                return fields
            await asyncio.sleep(AGAIN_SECONDS)
        self.unanswered.append(f"{method} {path} under {key}: {fields}")
        return fields

    async def wait(self, seconds: float) -> None:
        """Wait so long, or until the sale is over."""
        try:
            async with asyncio.timeout(seconds):
                await self.over.wait()
        except TimeoutError:
            return

    async def buyer(self, number: int) -> None:
        """Buy again and again, each time as somebody new; some give back, and some forget."""
        turn = 0
        while not self.over.is_set():
            turn += 1
            await self.wait(self.chance.random() * PACE_SECONDS)
            who = f"buyer-{number}-{turn}"
            path = f"/v1/shows/{self.show}/drops/{self.drop}/reservations"
            taken = await self.ask("POST", path, Role.VIEWER, who, {"quantity": self.chance.randint(1, 2)})
            if "id" not in taken:
                continue
            deed = self.chance.random()
            if deed < 0.65:
                await self.pay(who, taken["id"])
            elif deed < 0.85:
                await self.ask("DELETE", f"/v1/reservations/{taken['id']}", Role.VIEWER, who)

    async def pay(self, who: str, reservation: str) -> None:
        """Pay, and remember what was acknowledged."""
        body = {"reservations": [reservation], "payment": {"method": "card", "token": "tok_ok"}}
        paid = await self.ask("POST", "/v1/checkout", Role.VIEWER, who, body)
        if paid.get("order", {}).get("status") == "paid":
            self.acknowledged.add(paid["order"]["id"])

    async def host(self) -> None:
        """Add units, show products, and take an order back now and then."""
        while not self.over.is_set():
            await self.wait(1.0 + self.chance.random())
            deed = self.chance.random()
            if deed < 0.6:
                more = {"quantity": self.chance.randint(1, 6)}
                await self.ask(
                    "POST", f"/v1/shows/{self.show}/drops/{self.drop}/restock", Role.HOST, "host", more
                )
            elif deed < 0.85:
                for verb in ("pause", "resume"):
                    await self.ask(
                        "POST", f"/v1/shows/{self.show}/drops/{self.drop}/{verb}", Role.HOST, "host"
                    )
            elif self.acknowledged:
                order = self.chance.choice(sorted(self.acknowledged))
                await self.ask("POST", f"/v1/orders/{order}/cancel", Role.HOST, "host")


def _deed(method: str, path: str) -> str:
    """Return what a request asks for, in a word."""
    return "release" if method == "DELETE" else path.rpartition("/")[2]
