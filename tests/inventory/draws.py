"""Draws played by the scripts on a real store, with numbers so short that entries meet on them all the time."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from server import ids
from server.inventory import asks, draw
from server.inventory.asks import Ask, Verb
from server.inventory.batch import Terms, packed
from server.inventory.draw_log import Draw, Draws
from server.store.answers import Answer, ask
from server.store.keys import key
from server.store.lua import lua_folder
from server.store.redis import connect
from server.store.scripts import Scripts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.store.redis import Redis

SEED = "the-seed-of-these-tests"
SHORT = 1  # hexadecimal digits of a number here: 16 numbers
TERMS = Terms(claim_ms=1000, most_waiting=100_000, skip_absent=False, addresses=True)

Move = tuple[str, str, int]  # join or leave, who, for how many units; a step is several


def short_numbers(folder: Path, *changes: tuple[str, str]) -> Path:
    """Return a copy of the scripts whose draws have short numbers, with changes of the rule besides."""
    copy = folder / "lua"
    shutil.copytree(lua_folder(), copy)
    path = copy / "includes" / "queue_score.lua"
    text = path.read_text()
    for old, new in ((":sub(1, 10)", f":sub(1, {SHORT})"), *changes):
        assert text.count(old) == 1, f"the rule does not say {old!r} once"
        text = text.replace(old, new)
    path.write_text(text)
    return copy


def meeting(number: int, count: int) -> list[str]:
    """Return own parts of ids that all have the same short number."""
    found: list[str] = []
    n = 0
    while len(found) < count:
        own = f"entry{n:07d}"
        if draw.number(SEED, own, SHORT) == number:
            found.append(own)
        n += 1
    return found


class Game:
    """One draw of a show of its own, from its opening to its record."""

    def __init__(self, client: Redis, scripts: Scripts) -> None:
        self.client = client
        self.scripts = scripts
        self.show = ids.new_show()
        self.drop = ids.new_drop(self.show)
        self.operations = 0

    async def run(self, script: str, /, **args: Any) -> Answer:
        """Run a script on the show; it must not refuse."""
        answer = await ask(self.scripts, script, {"show": self.show}, **args)
        assert answer.get("outcome") in {None, "created", "moved"}, answer
        return answer

    async def opened(self, units: int, show_limit: int | None = None, **more: Any) -> None:
        """Make a live show with an open draw."""
        terms: dict[str, Any] = {"id": self.show, "title": "A show", "currency": "EUR", "host": "hanna"}
        if show_limit is not None:
            terms["limit_per_viewer"] = show_limit
        await self.run("show_create", terms=terms, epoch="first", log_length=100)
        await self.run("show_start")
        await self.planned(self.drop, units, mode="draw", **more)

    async def planned(self, drop: str, units: int, **more: Any) -> None:
        """Plan a drop and open it."""
        terms = {
            "id": drop,
            "show": self.show,
            "sku": "MUG",
            "title": "Mug",
            "unit_price": 1250,
            "currency": "EUR",
        }
        usual = {"limit_per_viewer": 9, "hold_seconds": 60, "waitlist": True}
        await self.run("drop_create", drop=drop, terms={**terms, **usual, **more}, quantity=units, most=9)
        seeds = {"seed": SEED, "seed_hash": draw.seed_hash(SEED)}
        await self.run("drop_open", drop=drop, countdown_ms=0, by="host", **seeds)

    async def step(self, *moves: Move, owns: list[str] | None = None) -> list[Any]:
        """Carry out moves in one step; each join is a new operation unless its own part is given."""
        operations = []
        for n, (verb, viewer, units) in enumerate(moves):
            self.operations += 1
            own = owns[n] if owns else ids.own_part(self.show, viewer, f"{self.operations}")
            kind: Verb = "join" if verb == "join" else "leave"
            operations.append(Ask(self.show, kind, viewer, [(own, self.drop, units)]))
        return await self.batch(operations)

    async def take(self, viewer: str, drop: str, units: int) -> None:
        """Let a viewer take units of another drop."""
        out = await self.batch([asks.reserve(self.show, viewer, "take", drop, units)])
        assert isinstance(out[0], int), out

    async def batch(self, operations: list[Ask]) -> list[Any]:
        """Carry out operations in one step and return their outcomes."""
        outcomes: list[Any] = (await self.run("hold_batch", batch=packed(operations, TERMS)))["out"]
        return outcomes

    async def closed(self, *, skip_absent: bool = False) -> Draw:
        """Close the draw, let a worker give what one step was too short for, and return the record."""
        await self.run("drop_close", drop=self.drop, by="host", skip=int(skip_absent))
        while await self.client.zscore(key("due", show=self.show), f"promote {self.drop}") is not None:
            await self.run("drop_promote", drop=self.drop, by="clock", skip=int(skip_absent))
        return await self.record()

    async def record(self) -> Draw:
        """Return the record as everybody can read it."""
        published = await Draws(self.client).published(self.show, self.drop)
        return msgspec.json.decode(published, type=Draw)

    async def clear(self) -> None:
        """Take everything of the show away again."""
        places = [place async for place in self.client.scan_iter(f"*{self.show}*", count=1000)]
        if places:
            await self.client.delete(*places)


@asynccontextmanager
async def game(url: str, scripts: Path | None = None) -> AsyncIterator[Game]:
    """Give a game on a store."""
    client = connect(url)
    one = Game(client, Scripts(client, scripts))
    try:
        yield one
    finally:
        await one.clear()
        await client.aclose()
