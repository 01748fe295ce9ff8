"""Figures over time: one curve, however many workers note it, and never more of it than is asked for."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from server.inventory.outcomes import Held
from server.shows.series import KEPT, MOST_POINTS, NAMES, Series
from server.store.keys import key
from tests.houses import live_show, open_drop

if TYPE_CHECKING:
    from server.house import House


def series_of(house: House) -> Series:
    """Return the room on a house."""
    return Series(house.client, house.scripts, house.shows)


async def write(house: House, show: str, count: int) -> None:
    """Write so many notes, a second apart, each telling its number as the viewers."""
    async with house.client.pipeline(transaction=False) as pipe:
        for number in range(count):
            row: list[Any] = [number, *[0] * (len(NAMES) - 1)]
            pipe.xadd(key("series", show=show), {"p": msgpack.packb(row)}, id=f"{(number + 1) * 1000}-0")
        await pipe.execute()


async def test_of_many_workers_one_notes(house: House) -> None:
    """Ten at once write one note, with the figures of the moment."""
    show = await live_show(house)
    drop = await open_drop(house, show, 3)
    assert isinstance(await house.holds.reserve(show, "ann", "op", drop, 2), Held)
    noted = await asyncio.gather(*(series_of(house).sample(show) for _ in range(10)))
    assert sorted(noted) == [False] * 9 + [True]
    (point,) = await series_of(house).points(show)
    figures = await house.shows.figures(show)
    assert point == {"at": point["at"], **{name: figures[name] for name in NAMES}}
    assert point["taken"] == 1


@pytest.mark.parametrize("verb", ["", "end"])
async def test_nothing_is_noted_of_a_show_that_is_not_on(house: House, verb: str) -> None:
    """Neither of one that is gone, nor of one that has ended."""
    show = await live_show(house) if verb else "sh_none"
    if verb:
        await house.shows.move(show, verb)
    assert not await series_of(house).sample(show)
    assert await series_of(house).points(show) == []


@pytest.mark.parametrize(
    ("count", "told"), [(0, 0), (MOST_POINTS, MOST_POINTS), (MOST_POINTS + 1, 181), (KEPT, MOST_POINTS)]
)
async def test_of_a_long_show_evenly_chosen_points_are_told(house: House, count: int, told: int) -> None:
    """Never more than the limit, always with the newest, each as far from the next as all others."""
    show = await live_show(house)
    await write(house, show, count)
    points = [point["viewers"] for point in await series_of(house).points(show)]
    assert (len(points), points[-1:]) == (told, [count - 1][:count])
    assert len({later - earlier for earlier, later in pairwise(points)}) <= 1


async def test_only_what_came_since(house: House) -> None:
    """Who knows a part of the curve is told the rest."""
    show = await live_show(house)
    await write(house, show, 5)
    assert [point["viewers"] for point in await series_of(house).points(show, 3000)] == [3, 4]
