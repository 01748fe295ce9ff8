"""The list of revoked tokens as processes share it: heard at once, read anew after a cut, bounded."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from server import ids
from server.auth import Revocation, Revoked
from server.errors import Code, Problem
from server.eventlog.live import Live
from server.shows import revocations as module
from server.shows.revocations import Revocations
from server.store.keys import key
from server.store.redis import connect_subscriber
from server.store.redis_clock import RedisClock
from tests.eventlog.notes import Notes
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.house import House


@pytest.fixture(autouse=True)
async def nothing_revoked(house: House) -> AsyncIterator[None]:
    """Leave an empty list behind."""
    yield
    await house.client.delete(key("revoked"))


class Process:
    """One process' copy of the list, and what it was told of."""

    def __init__(self, house: House) -> None:
        self.revoked = Revoked()
        self.told: list[Revocation] = []
        self.list = Revocations(house.client, house.scripts, self.revoked)
        self.list.told = self.told.append

    def knows(self, subject: str) -> bool:
        return subject in self.revoked.subjects


@asynccontextmanager
async def another(house: House, *, reads: bool = True) -> AsyncIterator[Process]:
    """Give another process that hears the channel; it reads nothing anew where it must not."""
    process, subscriber = Process(house), connect_subscriber(house.settings.redis_url)
    ear = Live(house.client, subscriber, Notes(), RedisClock(house.client))
    settled = asyncio.Event()  # heard, and read for the first time

    def again() -> None:
        if reads:
            process.list.confirmed()
        else:
            settled.set()

    async def reading() -> None:
        await read()
        settled.set()

    read = process.list.read
    process.list.read = reading  # type: ignore[method-assign]  # to know when the first one is over
    ear.also(module.CHANNEL, process.list.heard, again)
    tasks = [asyncio.create_task(ear.run()), asyncio.create_task(process.list.run())]
    try:
        async with asyncio.timeout(15):
            await settled.wait()
        yield process
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await subscriber.aclose()


async def test_every_process_hears_of_it(house: House) -> None:
    """Whoever revokes knows it at once; others hear it, once, with whom it is about."""
    name = f"ann with blanks {ids.secret(4)}"
    async with another(house) as process:
        before = await house.revocations.revoke(name, ["sh_1", "*", "sh_1"], 0, everyone=True)
        assert name in house.tokens.revoked.subjects
        await wait_for(lambda: len(process.told) == 2, "the other process has heard of both shows")
    assert process.told == [Revocation(name, show, before, everyone=True) for show in ("sh_1", "*")]


async def test_a_new_process_reads_the_list(house: House) -> None:
    """What was revoked before it began is known after one reading, and told."""
    name = ids.secret(4)
    before = await house.revocations.revoke(name, ["sh_1"], 0, everyone=False)
    process = Process(house)
    await process.list.read()
    assert process.told == [Revocation(name, "sh_1", before, everyone=False)]
    await process.list.read()
    assert len(process.told) == 1, "nothing is told twice"


async def cut(house: House) -> None:
    """Cut every subscription of the store."""
    await house.client.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB")  # type: ignore[no-untyped-call]  # untyped there


async def missed(house: House, process: Process) -> str:
    """Revoke somebody so that the channel does not tell it, then cut the subscription."""
    name = ids.secret(4)
    await house.client.zadd(key("revoked"), {f"g sh_1 {name}": 1_700_000_000_000})
    assert not process.knows(name)
    await cut(house)
    return name


async def test_nothing_is_missed_after_a_cut(house: House) -> None:
    """What was revoked while nobody heard is read when the channel is heard again."""
    async with another(house) as process:
        name = await missed(house, process)
        await wait_for(lambda: process.knows(name), "the list was read anew")


async def test_without_reading_it_would_be_missed(house: House) -> None:
    """Negative control: a process that trusts the channel alone hears what comes next, and never what it missed."""
    async with another(house, reads=False) as process:
        name, later = await missed(house, process), ids.secret(4)

        async def heard() -> bool:
            await house.revocations.revoke(later, ["sh_1"], 0, everyone=False)
            return process.knows(later)

        await wait_for(heard, "the channel is heard again")
        assert not process.knows(name)


async def test_a_store_that_is_away_is_asked_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading that fails is repeated until one goes through."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    name, process, failures = ids.secret(4), Process(house), 3
    await house.revocations.revoke(name, ["sh_1"], 0, everyone=False)
    read = process.list.read

    async def failing() -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise Problem(Code.UNAVAILABLE, "away")
        await read()

    monkeypatch.setattr(process.list, "read", failing)
    running = asyncio.create_task(process.list.run())
    process.list.confirmed()
    await wait_for(lambda: process.knows(name), "the list was read")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_is_refused_is_said(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment to come is an invalid message, a full list a limit; neither is known afterwards."""
    name = ids.secret(4)
    with pytest.raises(Problem, match="a moment up to now") as early:
        await house.revocations.revoke(name, ["sh_1"], 4_000_000_000_000, everyone=False)
    assert early.value.code is Code.INVALID_MESSAGE
    monkeypatch.setattr(module, "MOST", 0)
    with pytest.raises(Problem, match="0 revocations are kept") as full:
        await house.revocations.revoke(name, ["sh_1"], 0, everyone=False)
    assert full.value.code is Code.LIMIT_REACHED
    assert name not in house.tokens.revoked.subjects
