"""The end of the store's append-only file is lost: whole steps are missing then, and never half of one."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from server.inventory.outcomes import Held
from server.store.embedded import Embedded
from server.store.keys import key
from server.store.redis import connect
from tests.chaos.books import complaints, look
from tests.houses import house_at, live_show, open_drop
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.books import Picture

UNITS, TAKEN = 10, 3
CUTS = 5  # places within the last step at which the file ends


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a store."""
    return tmp_path / "store"


def tail(folder: Path) -> Path:
    """Return the file that the store appends to."""
    (path,) = folder.rglob("*.incr.aof")
    return path


def kill(store: Embedded) -> None:
    """Kill a store, as a machine that goes down would."""
    assert store.pid is not None
    os.kill(store.pid, signal.SIGKILL)
    wait_until(lambda: not store.lives(), "it is gone")
    store.stop()


async def seen_by_next(folder: Path, show: str) -> Picture:
    """Start the store from what is left, and return what it says of the show."""
    with Embedded.start(folder, "always") as store:
        client = connect(store.url)
        try:
            return await look(client, show)
        finally:
            await client.aclose()


async def test_a_step_is_there_as_a_whole_or_not_at_all(folder: Path, tmp_path: Path) -> None:
    """Wherever within the last step the file ends: that step is gone, those before it are there, the books agree."""
    store = Embedded.start(folder, "always")
    async with house_at(store.url, tmp_path / "data") as house:
        show = await live_show(house)
        drop = await open_drop(house, show, UNITS)
        sizes = []
        for number in range(TAKEN):
            sizes.append(tail(folder).stat().st_size)
            assert isinstance(await house.holds.reserve(show, f"viewer-{number}", "once", drop, 1), Held)
    kill(store)
    whole = tail(folder).read_bytes()
    last = len(whole) - sizes[-1]
    for cut in range(1, CUTS + 1):
        tail(folder).write_bytes(whole[: sizes[-1] + last * cut // (CUTS + 1)])
        picture = await seen_by_next(folder, show)
        assert picture.stock[drop].held == TAKEN - 1
        assert complaints(picture, {drop: UNITS}) == []
    tail(folder).write_bytes(whole)
    assert (await seen_by_next(folder, show)).stock[drop].held == TAKEN


async def test_a_step_in_two_commands_would_be_torn(folder: Path, tmp_path: Path) -> None:
    """Negative control: a unit given back in two commands is back by half where the file ends between them."""
    store = Embedded.start(folder, "always")
    async with house_at(store.url, tmp_path / "data") as house:
        show = await live_show(house)
        drop = await open_drop(house, show, UNITS)
        before = await house.client.hget(key("stock", show=show), drop)
        assert isinstance(await house.holds.reserve(show, "viewer", "once", drop, 1), Held)
        assert before is not None
        await house.client.hset(key("stock", show=show), drop, before)
        await house.client.delete(key("holds", show=show))
    kill(store)
    whole = tail(folder).read_bytes()
    tail(folder).write_bytes(whole[:-1])
    assert complaints(await seen_by_next(folder, show), {drop: UNITS}) != []
