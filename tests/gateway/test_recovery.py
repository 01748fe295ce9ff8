"""No event is lost and none comes twice: to who stays, who comes back, and who joins in the middle of everything."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from server.auth import Role
from server.protocol.codec import Codec
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.client import LiveClient
    from tests.stage import Stage

LOG_LENGTH = 200  # of the tests' server
JOINERS = 24
BURST = 300


@pytest.fixture
async def stage(stage: Stage) -> Stage:
    """Give a stage on a fresh live show, so that its log is only what the test writes."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Log", "currency": "EUR"})
    stage.show = made.json()["id"]
    await stage.host("POST", f"/v1/shows/{stage.show}/start")
    return stage


async def flip(stage: Stage, drop: str, times: int) -> None:
    """Write events as fast as the door goes: pause and resume an open drop."""
    for number in range(times):
        await stage.move(drop, "resume" if number % 2 else "pause")


async def reached(viewer: LiveClient, offset: int) -> None:
    """Return when a viewer has seen the log up to an offset."""
    await viewer.until(lambda each: each.place["offset"] == offset)


def assert_gapless(viewer: LiveClient, first: int) -> None:
    """Assert that a viewer saw every offset from `first` on, once and in order."""
    assert viewer.offsets == list(range(first, first + len(viewer.offsets)))


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
async def test_who_returns_sees_every_offset_once_twice_in_a_row(stage: Stage, codec: Codec) -> None:
    """Dropping the socket costs nothing: what was missed follows the welcome, then the stream goes on."""
    drop, token = await stage.drop(1), stage.viewer()
    async with stage.watching(token, codec=codec) as viewer:
        place, seen = viewer.place, viewer.welcome["offset"]
    for missed in (6, 2):
        await flip(stage, drop, missed)
        async with stage.watching(token, codec=codec, since=place) as viewer:
            welcome = viewer.welcome
            assert (welcome["recovered"], welcome["missed"]) == (True, missed)
            assert welcome["offset"] == seen + missed
            assert "snapshot" not in welcome
            await flip(stage, drop, 2)
            await reached(viewer, seen + missed + 2)
            assert_gapless(viewer, seen + 1)
            place, seen = viewer.place, seen + missed + 2


async def test_who_missed_nothing_is_recovered_with_nothing(stage: Stage) -> None:
    """Coming back at the top of the log is a recovery of no events."""
    async with stage.watching() as viewer:
        place = viewer.place
    async with stage.watching(since=place) as viewer:
        assert (viewer.welcome["recovered"], viewer.welcome["missed"]) == (True, 0)
        drop = await stage.drop(1)
        await viewer.event("drop.opened")
        assert_gapless(viewer, place["offset"] + 1)
        assert viewer.messages[-1].get("drop", {}).get("id", drop) == drop


@pytest.mark.parametrize(
    "change",
    [{"epoch": "another"}, {"epoch": ""}, {"offset": 10**6}, {"offset": 2**63}],
    ids=["other-epoch", "no-epoch", "future", "far-future"],
)
async def test_a_place_that_is_not_in_this_log_gets_a_snapshot(stage: Stage, change: dict[str, Any]) -> None:
    """Another epoch or an offset that never was: start over, and then no event is missed."""
    drop = await stage.drop(1)
    async with stage.watching() as viewer:
        place = {**viewer.place, **change}
    async with stage.watching(since=place) as viewer:
        assert viewer.welcome["recovered"] is False
        assert [each["id"] for each in viewer.welcome["snapshot"]["drops"]] == [drop]
        await flip(stage, drop, 2)
        await viewer.event("drop.resumed")
        assert_gapless(viewer, viewer.welcome["offset"] + 1)


async def test_a_place_older_than_the_log_gets_a_snapshot(stage: Stage) -> None:
    """The log keeps the newest events: just within it is recovered whole, one further back starts over."""
    drop = await stage.drop(1)
    async with stage.watching() as viewer:
        place = viewer.place
    await flip(stage, drop, LOG_LENGTH + 10)
    top = place["offset"] + LOG_LENGTH + 10
    async with stage.watching(since=place) as viewer:
        assert (viewer.welcome["recovered"], viewer.welcome["offset"]) == (False, top)
        assert viewer.welcome["snapshot"]["drops"][0]["status"] == "open"
    async with stage.watching(since={**place, "offset": top - LOG_LENGTH}) as viewer:
        assert (viewer.welcome["recovered"], viewer.welcome["missed"]) == (True, LOG_LENGTH)
        await viewer.until(lambda each: len(each.offsets) == LOG_LENGTH)
        assert_gapless(viewer, top - LOG_LENGTH + 1)
    async with stage.watching(since={**place, "offset": top - LOG_LENGTH - 1}) as viewer:
        assert viewer.welcome["recovered"] is False


def state_at(events: list[dict[str, Any]], offset: int) -> str:
    """Return what the last event up to an offset says about the drop."""
    states = {"drop.opened": "open", "drop.resumed": "open", "drop.paused": "paused"}
    told = [
        states[event["type"]] for event in events if event["offset"] <= offset and event["type"] in states
    ]
    return told[-1]


async def come_and_go(stage: Stage, chance: random.Random, codec: Codec, last: int) -> list[dict[str, Any]]:
    """Join at a random moment, leave, come back with `since`, and stay to the end; return the welcomes."""
    token, welcomes = stage.viewer(), []
    await asyncio.sleep(chance.random())
    place = None
    for stay in (chance.random() / 4, chance.random() / 4, None):
        async with stage.watching(token, codec=codec, since=place) as viewer:
            welcomes.append(viewer.welcome)
            if stay is None:
                await viewer.until(lambda each: each.place["offset"] == last)
            else:
                await asyncio.sleep(stay)
        first = place["offset"] if place and viewer.welcome["recovered"] else viewer.welcome["offset"]
        assert_gapless(viewer, first + 1)
        place = viewer.place
    return welcomes


async def test_joining_in_a_burst_has_no_gap_and_no_repeat(stage: Stage) -> None:
    """Many join, leave and return at random moments of a burst of events: each sees an unbroken line.

    And what a snapshot shows is the state at exactly its offset.
    """
    seed = random.getrandbits(32)
    chance = random.Random(seed)  # noqa: S311  moments, no secrets
    drop = await stage.drop(1)
    async with stage.watching() as witness:
        start = witness.place["offset"]
        last = start + BURST
        joining = [
            come_and_go(stage, random.Random(chance.random()), list(Codec)[number % 2], last)  # noqa: S311
            for number in range(JOINERS)
        ]
        results = await asyncio.gather(flip(stage, drop, BURST), *joining)
        await witness.until(lambda each: each.place["offset"] == last)
        assert_gapless(witness, start + 1)
        events = [message for message in witness.messages if "at" in message]
    welcomes = [welcome for each in results[1:] for welcome in each]
    assert len(welcomes) == 3 * JOINERS
    assert any(welcome["recovered"] and welcome["missed"] for welcome in welcomes)
    for welcome in welcomes:
        if not welcome["recovered"] and welcome["offset"] > start:
            shown = welcome["snapshot"]["drops"][0]["status"]
            assert shown == state_at(events, welcome["offset"]), f"seed {seed}"


async def test_a_lonely_viewer_who_keeps_coming_back_misses_nothing(stage: Stage) -> None:
    """Each time the show's last viewer leaves and returns, the server stops and begins to listen: still no hole."""
    drop, token = await stage.drop(1), stage.viewer()
    burst = asyncio.create_task(flip(stage, drop, 150))
    seen: list[int] = []
    place, start = None, -1
    while not burst.done():
        async with stage.watching(token, since=place) as viewer:
            start = viewer.welcome["offset"] if place is None else start
            assert viewer.welcome["recovered"] is (place is not None)
        seen += viewer.offsets
        place = viewer.place
    await burst
    async with stage.watching(token, since=place) as viewer:
        await viewer.until(lambda each: len(each.offsets) >= each.welcome["missed"])
        seen += viewer.offsets
    assert seen == list(range(start + 1, start + 1 + len(seen)))
    assert seen[-1] == viewer.welcome["offset"]


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
async def test_the_last_live_number_arrives(stage: Stage, codec: Codec) -> None:
    """Of a burst of stock changes numbers in between may be skipped, the last one never."""
    drop = await stage.drop(40)
    async with stage.watching(codec=codec) as viewer:
        buyers = [stage.viewer() for _ in range(30)]
        await asyncio.gather(*(stage.reserve(buyer, drop) for buyer in buyers))
        await viewer.until(lambda each: stage.numbers(each.stock[drop]) == (10, 30, 0))
        told = [message for message in viewer.messages if message["type"] == "stock.updated"]
        assert len(told) < 30
        assert "offset" not in told[-1]


async def test_how_many_are_here_is_counted_by_viewer(stage: Stage) -> None:
    """Three sockets of two viewers are two; a host does not count; who leaves is gone from the count."""
    token = stage.viewer()
    async with stage.watching() as first, stage.watching(token), stage.watching(token):
        async with stage.watching(stage.server.tokens.mint("host", Role.HOST, ["*"], 60)[0]):
            await first.until(lambda each: counts(each)[-1:] == [2])
        figures = (await stage.host("GET", f"/v1/shows/{stage.show}/metrics")).json()
        assert (figures["viewers"], figures["peak_viewers"]) == (2, 2)
    async with stage.watching() as viewer:
        await viewer.until(lambda each: 1 in [*counts(each), each.welcome["snapshot"]["viewers"]])

    async def empty() -> bool:
        return bool((await stage.host("GET", f"/v1/shows/{stage.show}/metrics")).json()["viewers"] == 0)

    await wait_for(empty, "nobody is here")


def counts(viewer: LiveClient) -> list[int]:
    """Return the viewer counts that were told."""
    return [message["count"] for message in viewer.messages if message["type"] == "viewers.updated"]
