"""What the benchmarks of the inventory do is what they say: counted where it happened, on a real store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from unittest.mock import Mock

import hiredis
import pytest

import tests.postgres
from loadtests.bench import countdown, postgres, single
from loadtests.bench.driven import redis_benchmark
from loadtests.bench.ground import BenchError
from loadtests.bench.meter import Way
from loadtests.bench.pipe import Depth, kept_busy, packed
from loadtests.bench.taking import at_once, in_vain, processes, there_and_back
from loadtests.bench.wholesale import SCRIPT, WHOLE, asked, held, in_calls_of, strangers
from server.inventory.books import read_books
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.bench.ground import Ground
    from loadtests.bench.taking import Asking

SECONDS = 0.1
SOLD = """
SELECT offered - available + (SELECT count(*) FROM units WHERE viewer IS NOT NULL), (SELECT count(*) FROM holds)
FROM stock
"""


async def taken(ground: Ground, show: str, viewers: list[str]) -> bytes:
    """Let each of the viewers reserve a unit in one call, and return the answer."""
    script, words = ground.house.scripts[SCRIPT], asked(show, await ground.drop(show, 3), viewers)
    await ground.house.client.script_load(script.source)
    places = [key(name, show=show) for name in script.keys]
    answer: bytes = await ground.house.client.evalsha(script.sha, len(places), *places, words)
    return answer


@pytest.mark.parametrize("asking", [in_vain, there_and_back])
async def test_a_block_leaves_no_show_behind(ground: Ground, asking: Asking) -> None:
    """Callers take their turns, somebody counts the calls, and afterwards the store has no show of theirs."""
    units = 1 if asking is in_vain else None
    way = Way("ours", processes(ground))
    await at_once(ground, 4, asking, units)(way, SECONDS)
    left = [place async for place in ground.house.client.scan_iter("*sh_*")]
    assert left == []
    assert way.blocks[0].units > 0
    assert way.blocks[0].calls > 0


async def test_what_is_held_is_in_the_books(ground: Ground) -> None:
    """Units that a block counts are units that its show holds; nothing is counted that was refused."""
    async with ground.shelf() as (show, _):
        answer = await taken(ground, show, strangers(5))
        books = await read_books(ground.house.client, show)
    assert held(answer) == 3
    assert sum(drop.held for drop in books) == 3


async def test_a_call_holds_exactly_so_many(ground: Ground) -> None:
    """Every call carries its fixed number of reservations, and each is held."""
    way = Way("the script", processes(ground))
    await in_calls_of(ground, 7, WHOLE)(way, SECONDS)
    assert way.per_call == 7


async def test_one_call_each(ground: Ground) -> None:
    """The peer of redis-py makes one call for each reservation."""
    async with single.client(ground) as asking:
        way = Way("one each", processes(ground))
        await at_once(ground, 4, asking)(way, SECONDS)
    assert way.per_call == 1


@pytest.mark.parametrize("program", [redis_benchmark(), None])
async def test_plain_decr_is_counted_where_it_happens(
    ground: Ground, program: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the C client, where there is one, and with our own: the key has gone down by at least what is counted."""
    monkeypatch.setattr(countdown, "redis_benchmark", lambda: program)
    turn = countdown.turn(ground)
    await turn.block(turn.way, SECONDS)
    left = int(await ground.house.client.get(countdown.COUNTER) or 0)
    assert 0 < turn.way.blocks[0].units <= -left


async def test_redis_is_kept_as_busy_as_it_may() -> None:
    """At most so many commands are unanswered, in the end none is, and each answer counts once."""
    unanswered, most = 0, 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal unanswered, most
        commands = hiredis.Reader()
        while data := await reader.read(1 << 16):
            commands.feed(data)
            while commands.gets() is not False:
                unanswered += 1
            most = max(most, unanswered)
            writer.write(b"$4\r\nheld\r\n" * unanswered)
            unanswered = 0
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    left = 100

    def command() -> bytes:
        nonlocal left
        left -= 1
        return packed("PING")

    async with server:
        port = server.sockets[0].getsockname()[1]
        done = await kept_busy(f"redis://127.0.0.1:{port}/0", command, len, Depth(4, 12), lambda: left > 0)
    assert done == 100 * len(b"held")
    assert 4 <= most <= 12


async def test_what_redis_refuses_is_an_error() -> None:
    """An answer that is an error of Redis is not counted as work."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"-NOSCRIPT there is none\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    left = iter([True, False])
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BenchError, match="NOSCRIPT"):
            await kept_busy(
                f"redis://127.0.0.1:{port}/0", lambda: packed("PING"), len, Depth(1, 2), lambda: next(left)
            )


@pytest.fixture(name="database", scope="module")
def _database() -> Iterator[postgres.Database]:
    with postgres.running() as one:
        if one is None:
            pytest.skip(postgres.MISSING)
        yield one


async def test_postgres_sells_no_unit_twice(
    database: postgres.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way to reserve in PostgreSQL takes a unit for every hold, and what is counted is there."""
    monkeypatch.setattr(postgres, "UNITS_PER_SECOND", 10_000)
    for turn in postgres.turns(database):
        await turn.block(turn.way, SECONDS)
        row = database.connection.execute(SOLD).fetchone()
        assert row is not None
        units, holds = row
        assert 0 < turn.way.blocks[0].units <= holds == units
        assert turn.way.micros(postgres.STORE) > 0


async def test_postgres_without_units_is_an_error(
    database: postgres.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all units are sold before the block is over, its figure would be that of refusals: it is none."""
    monkeypatch.setattr(postgres, "UNITS_PER_SECOND", 10)
    turn, *_ = postgres.turns(database)
    with pytest.raises(BenchError, match="sold all"):
        await turn.block(turn.way, SECONDS)


def test_without_postgres_the_others_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PostgreSQL is not installed, or cannot start, there is none to compare with, and that is no error."""
    monkeypatch.setattr(postgres, "installed", lambda: False)
    with postgres.running() as database:
        assert database is None
    monkeypatch.undo()
    if postgres.installed():
        monkeypatch.setattr(tests.postgres, "start_postgres", Mock(side_effect=RuntimeError("no")))
        with postgres.running() as database:
            assert database is None
