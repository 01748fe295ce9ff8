"""Reading a log: its place, what comes after one, and its recent past within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgpack
import pytest

from server import ids
from server.eventlog import stream
from server.eventlog.stream import Entry, Place
from server.store.keys import key
from tests.houses import live_show, open_drop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.house import House

SIZE = 100  # bytes of each event here


@pytest.fixture
async def show(house: House) -> AsyncIterator[str]:
    """Give a show id with nothing behind it; what a test writes there goes."""
    show = ids.new_show()
    yield show
    await house.client.delete(key("log", show=show), key("show", show=show))


async def written(house: House, show: str, count: int, most: int = 100_000) -> None:
    """Write events of `SIZE` bytes into a show's log, which keeps the newest `most`."""
    async with house.client.pipeline(transaction=False) as pipe:
        for offset in range(1, count + 1):
            pipe.xadd(
                key("log", show=show), {"e": bytes(SIZE)}, id=f"{offset}-0", maxlen=most, approximate=False
            )
        await pipe.execute()


def offsets(entries: list[Entry]) -> list[int]:
    return [entry.offset for entry in entries]


@pytest.mark.parametrize(
    ("count", "room", "first"),
    [
        (3, 10_000, 1),  # all
        (300, 100 * SIZE, 201),  # as many as there is room for, in several pages
        (300, 100 * SIZE - 1, 202),
        (stream.PAGE, 100 * SIZE, 1),  # exactly a page
        (stream.PAGE * 2, 1000 * SIZE, 1),
        (stream.READ_LIMIT + 100, 10_000 * SIZE, 101),  # never more than one read may bring
        (5, SIZE - 1, 6),  # room for none
    ],
)
async def test_the_tail_is_the_newest_within_its_bounds(
    house: House, show: str, count: int, room: int, first: int
) -> None:
    """Oldest first, up to the top, as far back as the bytes reach."""
    await written(house, show, count)
    assert offsets(await stream.tail(house.client, show, room)) == list(range(first, count + 1))


async def test_the_tail_of_an_empty_log(house: House, show: str) -> None:
    """Nothing has happened: nothing is told."""
    assert await stream.tail(house.client, show, 10_000) == []


async def test_the_tail_of_a_trimmed_log(house: House, show: str) -> None:
    """It begins where the log begins."""
    await written(house, show, 200, most=90)
    assert offsets(await stream.tail(house.client, show, 100_000)) == list(range(111, 201))


@pytest.mark.parametrize("gone", [150, 200 - stream.PAGE])
async def test_the_tail_has_no_hole(house: House, show: str, gone: int) -> None:
    """Where an event is missing, within a page or between two, the tail begins behind it."""
    await written(house, show, 200)
    await house.client.xdel(key("log", show=show), f"{gone}-0")
    assert offsets(await stream.tail(house.client, show, 100_000)) == list(range(gone + 1, 201))


async def test_the_tops_of_many(house: House, show: str) -> None:
    """In the order asked for; a show that is gone or cannot be read has none."""
    first, second = await live_show(house), await live_show(house)
    await open_drop(house, second)
    await house.client.set(key("show", show=show), "no hash")
    tops = await stream.tops(house.client, [second, show, ids.new_show(), first])
    assert tops == [await stream.top(house.client, second), None, None, await stream.top(house.client, first)]
    assert [top.offset for top in tops if isinstance(top, Place)] == [3, 1]
    assert await stream.tops(house.client, []) == []


async def test_when_an_event_was_written(house: House) -> None:
    """An event's time is read from its bytes, as the script packed them."""
    show = await live_show(house)
    drop = await open_drop(house, show)
    for entry in await stream.after(house.client, show, 0):
        assert entry.at == msgpack.unpackb(entry.packed)["at"]
    assert (await house.drops.find(show, drop))["opened_at"] == entry.at
    assert [Entry(1, packed).at for packed in (b"", b"\x80", b"\xc1", b"\x81\xa2at\xa1x")] == [None] * 4
