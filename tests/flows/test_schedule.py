"""Planned moves happen without anybody calling."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.stage import Stage

SOON_MS = 700


def soon() -> int:
    """Return a moment shortly from now."""
    return time.time_ns() // 1_000_000 + SOON_MS


async def test_a_planned_drop_opens_and_closes_by_itself(stage: Stage) -> None:
    """`opens_at` and `closes_at` are kept: opened not before its time, then closed, both told to every viewer."""
    opens_at = soon()
    async with stage.watching() as viewer:
        drop = await stage.drop(opened=False, opens_at=opens_at, closes_at=opens_at + SOON_MS)
        early = await viewer.reserve(drop)
        assert early["code"] == "drop-not-open"
        assert early["opens_at"] == opens_at
        opened = await viewer.event("drop.opened")
        assert opened["at"] >= opens_at
        assert opened["drop"]["status"] == "open"
        assert (await viewer.reserve(drop))["type"] == "reservation"
        closed = await viewer.event("drop.closed")
        assert closed["at"] >= opens_at + SOON_MS
        assert (await stage.stock(drop))["status"] == "closed"
        late = await stage.reserve(stage.viewer(), drop)
        assert late.json()["code"] == "drop-closed"


async def test_a_countdown_ends_in_the_opening(stage: Stage) -> None:
    """`countdown_ms` tells everybody the moment, lets nobody take before it, and opens at it."""
    async with stage.watching() as viewer:
        drop = await stage.drop(opened=False)
        moved = await stage.move(drop, "open", countdown_ms=SOON_MS)
        assert moved["status"] == "countdown"
        told = await viewer.event("drop.countdown")
        assert told["opens_at"] == told["at"] + SOON_MS
        assert (await viewer.reserve(drop))["code"] == "drop-not-open"
        opened = await viewer.event("drop.opened")
        assert opened["at"] >= told["opens_at"]


async def test_the_host_may_open_before_the_countdown_ends(stage: Stage) -> None:
    """Opening a drop in its countdown opens it now, and only once."""
    async with stage.watching() as viewer:
        drop = await stage.drop(opened=False)
        await stage.move(drop, "open", countdown_ms=SOON_MS)
        await stage.move(drop, "open")
        await stage.move(drop, "close")
        await viewer.event("drop.closed")
        other = await stage.drop(opened=False)
        await stage.move(other, "open", countdown_ms=SOON_MS)
        await viewer.until(
            lambda seen: any(m["type"] == "drop.opened" and m["drop"]["id"] == other for m in seen.messages)
        )
        opened = [m["drop"]["id"] for m in viewer.messages if m["type"] == "drop.opened"]
        assert opened == [drop, other]


async def test_a_due_opening_waits_for_a_paused_show(stage: Stage) -> None:
    """While the show is paused nothing opens; when it resumes, what is overdue opens by itself."""
    async with stage.watching() as viewer:
        paused = await stage.host("POST", f"/v1/shows/{stage.show}/pause")
        assert paused.json()["status"] == "paused"
        first = await stage.drop(opened=False, opens_at=1)
        second = await stage.drop(opened=False, closes_at=soon())
        await viewer.event("drop.closed")
        assert (await stage.stock(second))["status"] == "closed"
        assert (await stage.stock(first))["status"] == "scheduled"
        await stage.host("POST", f"/v1/shows/{stage.show}/resume")
        opened = await viewer.event("drop.opened")
        assert opened["drop"]["id"] == first


async def test_planned_waves_come_by_themselves(stage: Stage) -> None:
    """A wave so long after the opening, and one at a moment: the units are there, and everybody hears which it was."""
    async with stage.watching() as viewer:
        by_delay = await stage.drop(1, waves=[{"quantity": 2, "after_seconds": 1}])
        opened = await stage.stock(by_delay)
        at = soon() + SOON_MS
        by_moment = await stage.drop(1, waves=[{"quantity": 3, "at": at}])
        told = {}
        for _ in range(2):
            event = await viewer.event("drop.restocked")
            viewer.messages.remove(event)
            told[event["drop_id"]] = event
        for drop, planned, quantity in ((by_delay, opened["opened_at"] + 1000, 3), (by_moment, at, 4)):
            assert told[drop]["wave"] == 1
            assert told[drop]["at"] >= planned
            assert told[drop]["stock"]["quantity"] == quantity
            assert (await stage.stock(drop))["waves"][0]["released_at"] == told[drop]["at"]


async def test_a_draw_is_drawn_by_the_clock(stage: Stage) -> None:
    """`closes_at` of a draw is the moment in which it is drawn: the winner holds a unit without anybody's doing."""
    token = stage.viewer()
    async with stage.watching(token) as viewer:
        drop = await stage.drop(1, mode="draw", closes_at=soon())
        path = f"/v1/shows/{stage.show}/drops/{drop}/waitlist"
        entered = await stage.call("POST", path, token)
        assert entered.json()["position"] == 1
        drawn = await viewer.event("drop.drawn")
        assert (drawn["drop_id"], drawn["entries"], drawn["units"]) == (drop, 1, 1)
        promoted = await viewer.event("waitlist.promoted")
        assert promoted["drop"] == drop
        assert stage.numbers(await stage.stock(drop)) == (0, 1, 0)
