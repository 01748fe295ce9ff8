"""What the benchmarks of telling tell: one message for each event, or the peers would be charged for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.bench.tellers import MARK, Switch

if TYPE_CHECKING:
    from loadtests.bench.ground import Ground

EVENTS = 4


async def said(ground: Ground) -> int:
    """Return how many messages the scripts of this store have published so far."""
    commands: dict[str, dict[str, int]] = await ground.house.client.info("commandstats")
    return commands.get("cmdstat_spublish", {}).get("calls", 0)


async def test_an_event_comes_alone(ground: Ground) -> None:
    """Each turn says one message, and it has the mark by which viewers count it."""
    switch = await Switch.on(ground)
    before = await said(ground)
    for _ in range(EVENTS):
        await switch.turn()
    assert await said(ground) - before == EVENTS
    assert MARK in await switch.newest()


async def test_a_drop_that_is_resumed_says_more(ground: Ground) -> None:
    """Negative control: pausing and resuming a drop says its stock as well, which a raw loop would write too."""
    show = await ground.show()
    drop, drops = await ground.drop(show), ground.house.drops
    before = await said(ground)
    for _ in range(EVENTS // 2):
        await drops.pause(show, drop)
        await drops.resume(show, drop)
    assert await said(ground) - before > EVENTS
