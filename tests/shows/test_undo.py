"""A countdown that a host calls off while the clock opens the drop: one of them is first, and it stays at that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server.errors import Code, Problem
from server.eventlog import stream
from server.store.answers import unpacked
from tests.houses import live_show, planned_drop
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.house import House

ROUNDS = 30
LATER_MS = 60_000


async def undone(house: House, show: str, drop: str) -> bool:
    """Call a countdown off; False where the drop had opened."""
    try:
        await house.drops.cancel(show, drop)
    except Problem as problem:
        if problem.code is Code.WRONG_STATE and problem.detail.endswith("a drop that is open."):
            return False
        raise
    return True


async def told(house: House, show: str) -> dict[str, list[str]]:
    """Return what the log says of each drop, in order."""
    kinds: dict[str, list[str]] = {}
    for entry in await stream.after(house.client, show, 0):
        event = unpacked(entry.packed)
        if "drop" in event:
            kinds.setdefault(event["drop"]["id"], []).append(event["type"])
    return kinds


async def test_either_it_is_undone_or_it_opens(house: House) -> None:
    """Whoever comes first: a drop whose undoing was confirmed never opens, one that opened is open, and all hear so."""
    show = await live_show(house)
    drops = [await planned_drop(house, show) for _ in range(ROUNDS)]
    outcomes: dict[str, bool] = {}
    for number, drop in enumerate(drops):
        opens_at = (await house.drops.open(show, drop, 1))["opens_at"]

        async def over(moment: int = opens_at) -> bool:
            seconds, micros = await house.client.time()
            return seconds * 1000 + micros // 1000 > moment

        await wait_for(over, "its time has come")
        clock = house.drops.due(show, opens_at + LATER_MS)
        if number % 3 == 0:
            await clock
            outcomes[drop] = await undone(house, show, drop)
        else:
            host = undone(house, show, drop)
            both = (clock, host) if number % 3 == 1 else (host, clock)
            answers = await asyncio.gather(*both)
            outcomes[drop] = answers[number % 3 % 2]
    await house.drops.due(show, opens_at + LATER_MS)
    assert set(outcomes.values()) == {True, False}
    kinds = await told(house, show)
    for drop, was_undone in outcomes.items():
        last, status = ("drop.scheduled", "scheduled") if was_undone else ("drop.opened", "open")
        assert kinds[drop] == ["drop.scheduled", "drop.countdown", last]
        assert (await house.drops.find(show, drop))["status"] == status
