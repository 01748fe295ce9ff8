"""Several houses on one Valkey and one ledger, each with its own connections, and one bank that counts them all."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

import uvloop
from sqlalchemy import Connection, delete

from server import ids
from server.ledger.tables import metadata
from tests.houses import house_at
from tests.outside.stores import store
from tests.till import Till, share

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

    from server.house import House

T = TypeVar("T")
HOUSES = 3


@dataclass(frozen=True, slots=True)
class Rules:
    """What the servers of a world are set to."""

    skip_absent: bool = False  # whether a queue passes over who is not here
    gate: bool = False  # whether they refuse by themselves what they have seen to be gone
    places: int = 6  # in a queue
    per_address: int = 5  # units of a drop

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that say so."""
        return {
            "waitlist_skip_absent": self.skip_absent,
            "sold_out_gate": self.gate,
            "waitlist_places": self.places,
            "units_per_address": self.per_address,
        }


class Dice:
    """What `server.ids` has instead of the system's randomness: the same again after each `forget`.

    So the same steps have the same outcome, that of a draw as well, and a failure can be shortened and seen again.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin again."""
        self._random = random.Random(0)  # noqa: S311  a secret is what it must not be

    def token_bytes(self, count: int) -> bytes:
        """Return bytes that nobody would call random."""
        return self._random.randbytes(count)

    def token_urlsafe(self, count: int) -> str:
        """Return the same as text."""
        return self.token_bytes(count).hex()


class World:
    """The houses, their bank, and the loop that they live on."""

    def __init__(
        self, runner: asyncio.Runner, houses: list[House], bank: Till, rules: Rules, dice: Dice
    ) -> None:
        self._runner = runner
        self.houses = houses
        self.bank = bank
        self.rules = rules
        self.dice = dice

    async def forget(self) -> None:
        """Begin again, as if nothing had been sold here; the store is emptied by whoever knows what is in it."""
        self.bank.forget()
        self.dice.forget()
        for house in self.houses:
            await house.batches.aclose()
            house.batches._lines.clear()
        await self.houses[0].ledger.write(empty)

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Run one step to its end."""
        return self._runner.run(work)


def empty(connection: Connection) -> None:
    """Empty the ledger."""
    for table in reversed(metadata.sorted_tables):
        connection.execute(delete(table))


@contextmanager
def world(folder: Path, rules: Rules | None = None) -> Iterator[World]:
    """Give houses on a Valkey and a ledger in `folder`, for tests that are not coroutines themselves."""
    with store(folder) as valkey, world_on(valkey.url, folder, rules) as here:
        yield here


@contextmanager
def world_on(url: str, folder: Path, rules: Rules | None = None) -> Iterator[World]:
    """Give houses on a store that is there, and a ledger in `folder`."""
    rules, dice = rules or Rules(), Dice()
    with patch.object(ids, "secrets", dice), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack, bank = AsyncExitStack(), Till()
        try:
            houses = [
                runner.run(stack.enter_async_context(house_at(url, folder, **rules.settings)))
                for _ in range(HOUSES)
            ]
            share(bank, *houses)
            dice.forget()
            yield World(runner, houses, bank, rules, dice)
        finally:
            runner.run(stack.aclose())
