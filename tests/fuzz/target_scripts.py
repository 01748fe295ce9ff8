"""The Lua scripts on a real store: whatever they are given, they fail before they write, or the numbers add up.

A show lives its whole life first, with other names each time, so that a seed alone does not say everything here. Every
call of a script in it is noted with all keys as they were before the call; an input is one of these calls with other
arguments, and its keys are laid out anew for it.
"""

from __future__ import annotations

import asyncio
import copy
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from redis.exceptions import ResponseError

from server import house, ids
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from server.store.redis import connect
from server.store.scripts import Scripts
from tests.houses import house_at
from tests.outside.stores import store
from tests.store.cluster.lives import live_through

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from random import Random

    from server.store.redis import Redis

Dump = dict[bytes, tuple[bytes, bool]]  # key -> its content, and whether it goes by itself

NUMBERS = (0, 1, 2, 3, 7, 100, 10_000, 2**31, 2**40)
BENT = (*NUMBERS, -1, -(2**31), 2**53)  # besides, where a script may fail
TEXTS = ("", "a", "ann", "0", "é" * 64, "a b", "x" * 2_000)
MOST_CHANGES = 3
SCRIPT = re.compile(r" script: .*|user_script:\d+: ")  # where in which script
KEPT_MS = 3_600_000  # a key that goes by itself stays for so long once it is laid out


@dataclass(slots=True)
class Call:
    """One call of a script: for which ids, with which arguments, and what stood in the store before it.

    It is `bent` where something within a packed argument was changed: no caller may ever pack it so, and the script
    may fail, before it writes.
    """

    script: str
    of: Mapping[str, str]
    args: dict[str, Any]
    before: Dump
    bent: bool = False

    def __repr__(self) -> str:
        """Return the call as a test could make it."""
        return f"{self.script}({', '.join(f'{name}={value!r}' for name, value in self.args.items())})"


class Noting(Scripts):
    """Scripts that note each call, and what stood in the store before."""

    calls: list[Call]

    async def run(self, name: str, of: Mapping[str, str], /, **args: Any) -> Any:
        """Note and run."""
        self.calls.append(Call(name, dict(of), copy.deepcopy(args), await dumped(self._client)))
        return await super().run(name, of, **args)


class Calls:
    """Calls that were made in a show's life, with other arguments."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, client: Redis, folder: Path | None, calls: list[Call]
    ) -> None:
        self._loop = loop
        self._client = client
        self._scripts = Scripts(client, folder)
        self._calls = calls
        self._texts = (*TEXTS, *sorted(_words(calls)))

    def first(self) -> list[Call]:
        """Return the life's own calls."""
        return self._calls

    def make(self, chance: Random, kept: list[Call]) -> Call:
        """Return a call with some values changed, each for one of its kind."""
        made = copy.deepcopy(chance.choice(kept))
        for _ in range(chance.randint(1, MOST_CHANGES)):
            made.bent |= self._changed(chance, made.args)
        return made

    def look(self, given: Call) -> str:
        """Carry the call out on the keys that it found."""
        return self._loop.run_until_complete(self._looked(given))

    def most_memory(self, given: Call) -> int:
        """Return what this side of it may take."""
        return 16 * 2**20 + 200 * sum(len(content) for content, _ in given.before.values())

    async def _looked(self, call: Call) -> str:
        await _laid_out(self._client, call.before)
        try:
            raw = await self._scripts.run(call.script, call.of, **call.args)
        except ResponseError as error:
            await self._wrote_nothing(call, error)
            if not call.bent:
                raise
            return f"{call.script} failed: {SCRIPT.sub('', str(error))}"
        await self._adds_up(call)
        answer = unpacked(raw) if isinstance(raw, bytes) else raw
        return f"{call.script} {_outcome(answer)}"

    async def _wrote_nothing(self, call: Call, error: ResponseError) -> None:
        after = await dumped(self._client)
        await _laid_out(self._client, call.before)
        assert after == await dumped(self._client), f"it wrote before it failed: {error}"

    async def _adds_up(self, call: Call) -> None:
        """Hold the numbers of every drop to the first promise."""
        if "show" not in call.of:
            return
        rows = await reads.fields(self._client, key("stock", show=call.of["show"]), "stock")
        for drop, row in rows.items():
            available, held, sold, quantity, *_ = unpacked(row)
            assert available + held + sold == quantity, (
                f"{drop.decode()}: {available} + {held} + {sold} of {quantity}"
            )
            assert call.bent or min(held, sold) >= 0, f"{drop.decode()}: {held} held, {sold} sold"

    def _changed(self, chance: Random, args: dict[str, Any]) -> bool:
        """Put another value of the same kind in the place of one, at any depth; return whether it was a packed one."""
        places = list(_places(args))
        if not places:
            return False
        holder, at = chance.choice(places)
        old = holder[at]
        if isinstance(old, bool):
            holder[at] = not old
        elif isinstance(old, int):
            near = (old + 1, max(0, old - 1), old * 2)
            holder[at] = chance.choice((*near, *(NUMBERS if holder is args else BENT)))
        elif isinstance(old, str):
            holder[at] = chance.choice(self._texts)
        elif isinstance(old, list) and old:
            holder[at] = chance.choice((old[:-1], [*old, old[0]], old[::-1]))
        return holder is not args or isinstance(old, list)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a value in a structure: what holds it, and under which name or number."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for at, each in inner:
        yield value, at
        yield from _places(each)


def _words(calls: list[Call]) -> set[str]:
    """Return every text that is an argument anywhere: the names of what is there."""
    return {holder[at] for call in calls for holder, at in _places(call.args) if isinstance(holder[at], str)}


def _outcome(answer: Any) -> str:
    if isinstance(answer, dict):
        kinds = {
            each[0] if isinstance(each, list) and each else type(each).__name__
            for each in answer.get("out", ())
        }
        return str(answer.get("outcome") or " ".join(sorted(map(str, kinds))))
    return type(answer).__name__


async def dumped(client: Redis) -> Dump:
    """Return all keys of the store with their content."""
    names = sorted([name async for name in client.scan_iter(count=1_000)])
    async with client.pipeline(transaction=True) as pipe:
        for name in names:
            pipe.dump(name)
            pipe.pttl(name)
        told = await pipe.execute()
    rows = zip(names, told[::2], told[1::2], strict=True)
    # What went between the two looks is not there.
    return {name: (content, ttl >= 0) for name, content, ttl in rows if content is not None}


async def _laid_out(client: Redis, dump: Dump) -> None:
    """Let the store have these keys and no others."""
    async with client.pipeline(transaction=True) as pipe:
        pipe.flushdb()
        for name, (content, goes) in dump.items():
            pipe.restore(name, KEPT_MS if goes else 0, content)
        await pipe.execute()


@contextmanager
def calls(folder: Path, scripts: Path | None = None) -> Iterator[Calls]:
    """Give the target with a store of its own; a control has other scripts than the life was lived with."""
    loop = asyncio.new_event_loop()
    try:
        with store(folder / "store") as valkey:
            noted = loop.run_until_complete(_life(valkey.url, folder))
            client = connect(valkey.url)
            yield Calls(loop, client, scripts, noted)
            loop.run_until_complete(client.aclose())
    finally:
        loop.close()


async def _life(url: str, folder: Path) -> list[Call]:
    """Live a show's life and return every call in it."""
    noted: list[Call] = []
    with patch.object(house, "Scripts", type("Noted", (Noting,), {"calls": noted})):
        async with house_at(url, folder / "ledger") as one:
            await live_through(one, ids.new_show())
    return noted
