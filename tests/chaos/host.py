"""The host of the chaos: adds units, releases waves, pauses, closes, plans anew, takes orders back; until known."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from server.auth import Role
from tests.chaos.world import KINDS, LIMIT_PER_VIEWER
from tests.stage import FEED

if TYPE_CHECKING:
    from tests.chaos.world import World

PACE_SECONDS = 0.3  # at most, between two deeds
PAUSE_SECONDS = 0.3  # at most, of a pause
DRAW_SECONDS = 1.0  # a draw can be entered, at least
AGAIN_SECONDS = 0.1
KNOWN_SECONDS = 30.0  # to get an answer
MOST_DROPS = 150
UNKNOWN = frozenset({"unavailable", "in-progress"})  # of the codes
# What a dead gateway was paying back is under way for longer than anybody here waits; others are taken back meanwhile.
NOT_NOW = frozenset({"unavailable"})

Fields = dict[str, Any]


class Host:
    """Talks to any gateway; an answer that did not come is asked for again under the same key."""

    def __init__(self, world: World, http: httpx.AsyncClient) -> None:
        self.world = world
        self.http = http
        self.chance = world.plan.chance("host")
        self._count = 0

    async def begin(self) -> None:
        """Make a live show with a drop of each kind."""
        gateway = self.world.estate.gateways[0]
        token = {"Authorization": f"Bearer {gateway.token(Role.HOST, 'host')}"}
        imported = await self.http.post(
            f"{gateway.url}/v1/catalog/import?currency=EUR", headers=token, content=FEED
        )
        assert imported.status_code == httpx.codes.OK, imported.text
        terms = {"title": "Chaos", "currency": "EUR", "limit_per_viewer": LIMIT_PER_VIEWER}
        self.world.show = (await self.ask("POST", "/v1/shows", terms))["id"]
        await self.ask("POST", f"/v1/shows/{self.world.show}/start")
        for kind in KINDS:
            await self.plan(kind)

    async def live(self) -> None:
        """Do something now and then until the world ends."""
        deeds = (
            self.restock,
            self.restock,
            self.wave,
            self.pause_drop,
            self.pause_show,
            self.renew,
            self.draw,
            self.take_back,
            self.take_back,
            self.take_back,
        )
        while not self.world.over:
            async with self.world.turn():
                await self.chance.choice(deeds)()
            await self.world.wait(self.chance.random() * PACE_SECONDS)

    async def ask(
        self, method: str, path: str, body: Fields | None = None, unknown: frozenset[str] = UNKNOWN
    ) -> Fields:
        """Return the answer of any gateway, asked for until there is one; `unknown` are codes that are none."""
        self._count += 1
        key = f"host-{self._count}"
        async with asyncio.timeout(KNOWN_SECONDS):
            return await self._until_known(method, path, body, key, unknown)

    async def _until_known(
        self, method: str, path: str, body: Fields | None, key: str, unknown: frozenset[str]
    ) -> Fields:
        while True:
            gateway = self.chance.choice(self.world.estate.gateways)
            headers = {"Authorization": f"Bearer {gateway.token(Role.HOST, 'host')}", "Idempotency-Key": key}
            try:
                answer = await self.http.request(method, f"{gateway.url}{path}", headers=headers, json=body)
                fields: Fields = answer.json()
            except (httpx.HTTPError, ValueError):
                fields = {"code": "unavailable"}
            if fields.get("code") not in unknown:
                return fields
            await asyncio.sleep(AGAIN_SECONDS)

    async def move(self, drop: str, verb: str, body: Fields | None = None) -> Fields:
        """Move a drop, which may be the wrong move."""
        return await self.ask("POST", f"/v1/shows/{self.world.show}/drops/{drop}/{verb}", body)

    async def plan(self, kind: str) -> None:
        """Plan a drop, open it, and let it take part."""
        made = await self.ask(
            "POST", f"/v1/shows/{self.world.show}/drops", {"sku": "MUG", "unit_price": 500, **KINDS[kind]}
        )
        assert "id" in made, made
        opened = await self.move(made["id"], "open")
        assert opened.get("status") == "open" or opened.get("code") == "wrong-state", opened
        self.world.enter(made["id"], kind)

    # -- deeds

    async def restock(self) -> None:
        """Add units."""
        drop = self.world.a_drop(self.chance, *KINDS)
        await self.move(drop, "restock", {"quantity": self.chance.randint(1, 4)})

    async def wave(self) -> None:
        """Release the next wave before its time, if there is one."""
        await self.move(self.world.a_drop(self.chance, "waves"), "wave")

    async def pause_drop(self) -> None:
        """Pause a drop for a moment."""
        drop = self.world.a_drop(self.chance, "fifo", "bare", "waves", "paid")
        await self.move(drop, "pause")
        await asyncio.sleep(self.chance.random() * PAUSE_SECONDS)
        await self.move(drop, "resume")

    async def pause_show(self) -> None:
        """Pause the show for a moment."""
        await self.ask("POST", f"/v1/shows/{self.world.show}/pause")
        await asyncio.sleep(self.chance.random() * PAUSE_SECONDS)
        await self.ask("POST", f"/v1/shows/{self.world.show}/resume")

    async def renew(self) -> None:
        """Plan another drop of some kind, and close one of those before it."""
        if len(self.world.kinds) < MOST_DROPS:
            kind = self.chance.choice(sorted(KINDS.keys() - {"plain", "draw"}))
            await self.plan(kind)
            await self.move(self.chance.choice(self.world.open[kind][:-1]), "close")

    async def draw(self) -> None:
        """Close a draw, so that it is drawn, and plan another."""
        await asyncio.sleep(self.chance.random() * DRAW_SECONDS)
        drop = self.world.open["draw"][-1]
        if len(self.world.kinds) < MOST_DROPS:
            await self.plan("draw")
        await self.move(drop, "close")

    async def take_back(self) -> None:
        """Take back some order that somebody was told of, in part or whole."""
        if self.world.orders:
            verb = "refund" if self.chance.random() < 0.6 else "cancel"
            await self.give_back(self.chance.choice(sorted(self.world.orders)), verb)

    async def take_back_for_certain(self) -> None:
        """Pay a unit of some order back, and cancel another one, where any can be."""
        for verb in ("refund", "cancel"):
            orders = sorted(self.world.orders)
            self.chance.shuffle(orders)
            for order in orders:
                if await self.give_back(order, verb):
                    break

    async def give_back(self, order: str, verb: str) -> bool:
        """Cancel an order, or pay a unit of it back and put that on sale again; say whether it was done."""
        lines = (await self.ask("GET", f"/v1/orders/{order}")).get("lines")
        if not lines:
            return False
        part = {"reservation": self.chance.choice(lines)["reservation"], "quantity": 1}
        body = {"lines": [part], "restock": True} if verb == "refund" else None
        answer = await self.ask("POST", f"/v1/orders/{order}/{verb}", body, NOT_NOW)
        self.world.outcome.deeds[f"{verb} {answer.get('code', 'given')}"] += 1
        return "code" not in answer
