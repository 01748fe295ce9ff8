"""Joining, returning and leaving as the hub merges them: what the look saw, what the ear told, in whatever order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import CLOSE_POSITION_LOST, Code, unavailable
from server.eventlog.recovery import Own
from server.eventlog.stream import Place
from server.gateway.frames import Format, Shared
from server.protocol.codec import pack
from server.protocol.commands import Since
from tests.gateway.scene import SHOW, Guest, Scene, entry, look, stock
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.eventlog.recovery import Look


async def test_events_between_the_look_and_the_welcome_follow_it() -> None:
    """The ear is ahead of the look: what happened meanwhile follows the picture, then the stream goes on."""
    scene = Scene()
    guest = scene.come("ann")
    await scene.asked()
    for offset in (11, 12):
        scene.hub.event(SHOW, entry(offset))
    scene.looks.answer(look(10))
    scene.hub.event(SHOW, entry(13))
    await scene.settled()
    assert guest.told[0]["type"] == "welcome"
    assert guest.told[0]["offset"] == 10
    assert guest.offsets == [11, 12, 13]


async def test_a_look_ahead_of_the_ear_brings_no_repeats() -> None:
    """The look saw events that the ear is told later: they are in the picture already."""
    scene = Scene()
    guest = scene.come("ann")
    await scene.asked()
    scene.looks.answer(look(12))
    for offset in (11, 12, 13):
        scene.hub.event(SHOW, entry(offset))
    await scene.settled()
    assert guest.offsets == [13]


@pytest.mark.parametrize("since", [5, 7, 10])
async def test_a_known_place_is_picked_up_without_a_picture(since: int) -> None:
    """Whoever returns with a remembered place gets what they missed, and every drop's numbers."""
    scene = Scene()
    guest = scene.come("ann", Since("e", since))
    await scene.asked()
    assert scene.looks.answer(look(10, snapshot=False)) == [False]
    welcome, *later = guest.told
    assert (welcome["recovered"], welcome["missed"], welcome["offset"]) == (True, 10 - since, 10)
    assert guest.offsets == list(range(since + 1, 11))
    assert later[-2:] == [{"type": "viewers.updated", "count": 7}, {"type": "stock.updated", **stock(1)}]


async def test_a_place_ahead_of_this_process_is_picked_up_too() -> None:
    """They saw on another process what this one is told later; the log has it: nothing comes twice."""
    scene = Scene()
    guest = scene.come("ann", Since("e", 12))
    await scene.asked()
    scene.looks.answer(look(12, snapshot=False))
    for offset in (11, 12, 13):
        scene.hub.event(SHOW, entry(offset))
    await scene.settled()
    assert (guest.told[0]["recovered"], guest.told[0]["offset"]) == (True, 12)
    assert guest.offsets == [13]


@pytest.mark.parametrize("since", [Since("e", 4), Since("other", 8)])
async def test_an_unknown_place_gets_the_picture(since: Since) -> None:
    """Trimmed away here, or of another epoch: everything anew."""
    scene = Scene()
    guest = scene.come("ann", since)
    await scene.asked()
    assert scene.looks.answer(look(10)) == [True]
    assert guest.told[0]["recovered"] is False
    assert guest.offsets == []


async def test_a_place_that_never_was_gets_the_picture() -> None:
    """Beyond the log's top: the look shows it, and a second one brings the picture."""
    scene = Scene()
    guest = scene.come("ann", Since("e", 99))
    await scene.asked()
    assert scene.looks.answer(look(10, snapshot=False)) == [False]
    assert scene.looks.answer(look(10)) == [True]
    assert guest.told[0]["recovered"] is False


async def test_a_place_forgotten_while_the_look_was_under_way_gets_the_picture() -> None:
    """Large events push the history out between the question and the answer."""
    scene = Scene(viewer_buffer_bytes=65_536)
    guest = scene.come("ann", Since("e", 6))
    await scene.asked()
    for offset in range(11, 14):
        scene.hub.event(SHOW, entry(offset, size=8_000))
    assert scene.looks.answer(look(13, snapshot=False)) == [False]
    assert scene.looks.answer(look(13)) == [True]
    scene.hub.event(SHOW, entry(14))
    await scene.settled()
    assert guest.told[0]["recovered"] is False
    assert guest.offsets == [14]


async def test_a_log_that_began_anew_refuses_until_the_ear_knows() -> None:
    """The look saw an epoch that the ear has not: come again in a moment, rather than mix two logs."""
    scene = Scene()
    guest = scene.come("ann")
    await scene.asked()
    scene.looks.answer(look(3, epoch="new"))
    assert guest.refused is not None
    assert guest.refused.code is Code.UNAVAILABLE
    assert guest.data == b""


async def test_numbers_newer_than_the_picture_follow_it() -> None:
    """A number told between the look and the welcome was flushed to the others: the joiner gets it as well.

    That of a drop which the look has not seen yet, too.
    """
    scene = Scene()
    await scene.joined("first")
    guest = scene.come("ann")
    await scene.asked()
    for kind, name, message in (
        ("s", "d", {"type": "stock.updated", **stock(5)}),
        ("s", "later", {"type": "stock.updated", **stock(0, "later")}),
        ("c", "", {"type": "viewers.updated", "count": 2}),
    ):
        scene.hub.live(SHOW, kind, name, pack(message))
    await scene.settled()
    scene.looks.answer(look(10, revision=3))
    _welcome, *told = guest.told
    stocks = {each["drop_id"]: each["revision"] for each in told if each["type"] == "stock.updated"}
    assert stocks == {"d": 5, "later": 0}
    assert {"type": "viewers.updated", "count": 2} in told


async def test_a_problem_reaches_every_joiner_and_the_next_one_is_served() -> None:
    """The store cannot say: everybody is told to come again; then it can."""
    scene = Scene()
    first, second = scene.come("ann"), scene.come("bob", Since("e", 8))
    await scene.asked(2)
    scene.looks.answer(unavailable("no answer"))
    assert first.refused is not None
    assert second.refused is not None
    third = await scene.joined("cid")
    assert third.told[0]["type"] == "welcome"


async def test_a_show_that_cannot_be_followed_refuses_all_and_is_tried_anew() -> None:
    """No half-followed show stays behind."""
    scene = Scene()
    scene.ear.problem = unavailable("no answer")
    first = scene.come("ann")
    await wait_for(lambda: first.refused is not None, "the refusal")
    assert scene.hub._rooms == {}
    scene.ear.problem = None
    second = await scene.joined("bob")
    assert second.told[0]["type"] == "welcome"


async def test_who_returns_from_a_failed_join_is_here_once_more() -> None:
    """The old socket ends after the new one has come in: that takes nobody out who is still here."""
    scene = Scene()
    scene.ear.problem = unavailable("no answer")
    first = scene.come("ann")
    await wait_for(lambda: first.refused is not None, "the refusal")
    scene.ear.problem = None
    await scene.joined("ann")
    scene.hub.leave(first)  # type: ignore[arg-type]  # a stand-in
    assert scene.presences.here == {"ann"}


async def test_nobody_joins_a_log_whose_place_is_lost() -> None:
    """Between `lost` and `began` nobody knows what follows: come again, rather than miss it unnoticed."""
    scene = Scene()
    await scene.joined("first")
    fresh, back = scene.come("ann"), scene.come("bob", Since("e", 20))
    await scene.asked(2)
    scene.hub.lost(SHOW)
    scene.looks.answer(look(20))
    scene.hub.began(SHOW, Place("e", 25), [entry(offset) for offset in range(21, 26)])
    assert fresh.refused is not None
    assert back.refused is not None
    assert fresh.data == back.data == b""
    third = scene.come("cid", Since("e", 20))
    await scene.asked()
    scene.looks.answer(look(25, snapshot=False))
    assert third.offsets == [21, 22, 23, 24, 25]


async def test_a_lost_place_sends_everybody_to_start_over_one_after_the_other() -> None:
    """All are closed with 3010, and told to come back at the rate at which they are taken; none hears the new log."""
    scene = Scene(accepts_per_second=10)
    guests = [await scene.joined(f"v{number}") for number in range(20)]
    scene.hub.lost(SHOW)
    scene.hub.began(SHOW, Place("new", 10), [])
    scene.hub.event(SHOW, entry(11))
    await scene.settled()
    await wait_for(lambda: all(guest.closed for guest in guests), "all to be closed")
    assert {guest.closed for guest in guests} == {CLOSE_POSITION_LOST}
    assert sorted(guest.wait_ms for guest in guests) == list(range(100, 2100, 100))
    assert [guest.offsets for guest in guests] == [[]] * 20


async def test_numbers_of_a_log_that_began_anew_may_be_lower() -> None:
    """After a restore a drop's revisions begin lower than those told before: the new ones count."""
    scene = Scene()
    await scene.joined("ann")
    scene.hub.live(SHOW, "s", "d", pack({"type": "stock.updated", **stock(50)}))
    await scene.settled()
    scene.hub.lost(SHOW)
    scene.hub.began(SHOW, Place("new", 3), [])
    guest = scene.come("bob")
    await scene.asked()
    scene.looks.answer(look(3, epoch="new", revision=4))
    scene.hub.live(SHOW, "s", "d", pack({"type": "stock.updated", **stock(5)}))
    await scene.settled()
    assert [each["revision"] for each in guest.told if each["type"] == "stock.updated"] == [5]


async def test_who_left_while_joining_is_not_welcomed() -> None:
    """The look's answer comes after the connection has gone."""
    scene = Scene()
    guest = scene.come("ann")
    await scene.asked()
    scene.hub.leave(guest)  # type: ignore[arg-type]  # a stand-in
    scene.looks.answer(look(10))
    assert guest.data == b""
    assert scene.hub._rooms[SHOW].viewers == set()


async def test_sockets_are_counted_by_viewer_and_limited() -> None:
    """Three sockets of one viewer are one who is here; the limit is per viewer; hosts are not counted."""
    scene = Scene(sockets_per_viewer=3)
    guests = [scene.come("ann") for _ in range(3)]
    assert scene.hub.enter(Guest(), "ann", None) is False  # type: ignore[arg-type]  # a stand-in
    scene.come("host", guest=Guest(counts=False))
    assert scene.presences.here == {"ann"}
    for guest in guests[:2]:
        scene.hub.leave(guest)  # type: ignore[arg-type]  # a stand-in
    assert scene.presences.here == {"ann"}
    scene.hub.leave(guests[2])  # type: ignore[arg-type]  # a stand-in
    assert scene.presences.here == set()


async def test_private_messages_reach_the_sockets_of_their_viewer() -> None:
    """All of theirs, also one that is still joining, and nobody else's."""
    scene = Scene()
    ann, bob = await scene.joined("ann"), await scene.joined("bob")
    joining = scene.come("ann")
    packed = pack({"type": "order.updated"})
    scene.hub.live(SHOW, "v", "ann", packed)
    scene.hub.live(SHOW, "v", "nobody", packed)
    assert ann.private == joining.private == [Shared(packed).frame(Format.MSGPACK)]
    assert bob.private == []


async def test_what_is_heard_of_stock_is_passed_on() -> None:
    """Whoever remembers a drop as sold out hears of each newer revision; of an older one nobody needs to know."""
    scene = Scene()
    await scene.joined("ann")
    for revision in (4, 6, 5):
        scene.hub.live(SHOW, "s", "d", pack({"type": "stock.updated", **stock(revision)}))
    scene.hub.live(SHOW, "c", "", pack({"type": "viewers.updated", "count": 2}))
    assert scene.heard == [(SHOW, "d", 4), (SHOW, "d", 6)]


async def test_reservations_that_cannot_be_looked_at_are_looked_at_again() -> None:
    """After a new subscription everybody is reminded once of what they have, also where the first attempt fails."""
    scene = Scene()
    guest = await scene.joined("ann")
    for _ in range(3):
        scene.hub.heard_anew(SHOW)
    await scene.asked()
    scene.looks.answer(look(10, snapshot=False))
    await scene.asked()
    scene.looks.answer(unavailable("no answer"))
    await scene.asked()
    scene.looks.answer(look(10, snapshot=False))
    await scene.asked()
    (viewer, _snapshot, then), *others = scene.looks.asked
    kept = {"id": "rs_1", "state": "held"}
    places = [{"drop": "d", "position": 3, "quantity": 1}]
    then(look(10, snapshot=False), Own(pack([kept]), pack(places)))
    assert (viewer, others) == ("ann", [])
    assert guest.heard == [
        {"type": "reservation", "reservation": kept, "replayed": False},
        {"type": "waitlist", **places[0], "length": 2},
    ]


async def test_what_became_of_a_reservation_meanwhile_is_told() -> None:
    """One that the viewer was told to have and is not listed any more: they hear once how it ended."""
    scene = Scene()
    guest = await scene.joined("ann")
    for name, state in (("rs_1", "held"), ("rs_2", "held"), ("rs_2", "released"), ("rs_3", "paying")):
        message = {"type": "reservation", "reservation": {"id": name, "state": state}}
        scene.hub.live(SHOW, "v", "ann", pack(message))
    guest.private.clear()
    kept, lapsed = {"id": "rs_3", "state": "sold"}, {"id": "rs_1", "state": "expired"}
    scene.over = {"rs_1": lapsed}
    for expected in ([kept, lapsed], [kept]):
        scene.hub.heard_anew(SHOW)
        await scene.asked()
        scene.looks.answer(look(10, snapshot=False))
        await scene.asked()
        ((_viewer, _snapshot, then),) = scene.looks.asked
        scene.looks.asked.clear()
        then(look(10, snapshot=False), Own(pack([kept]), pack([])))
        await wait_for(lambda: not scene.hub._tasks, "all is told")
        assert [message["reservation"] for message in guest.heard] == expected
        guest.private.clear()


async def test_a_show_nobody_watches_is_left_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last viewer's leaving ends the subscription, unless somebody comes back in time."""
    monkeypatch.setattr("server.gateway.hub.LINGER_SECONDS", 0.02)
    scene = Scene()
    guest = await scene.joined("ann")
    scene.hub.leave(guest)  # type: ignore[arg-type]  # a stand-in
    again = await scene.joined("ann")
    room = scene.hub._rooms[SHOW]
    await wait_for(lambda: room.flush is None, "a moment")
    scene.hub.leave(again)  # type: ignore[arg-type]  # a stand-in
    await wait_for(lambda: scene.ear.left == [SHOW], "the show to be left")
    assert scene.hub._rooms == {}


@settings(max_examples=200, deadline=None)
@given(
    since=st.none() | st.integers(4, 14),
    steps=st.lists(st.sampled_from(["write", "hear", "look", "answer", "deliver"]), max_size=25),
)
def test_no_interleaving_has_a_gap_or_a_repeat(since: int | None, steps: list[str]) -> None:
    """The log grows, the ear hears, a look is taken and answered, in any order: every offset comes once."""
    asyncio.run(interleaved(since, steps))


async def interleaved(since: int | None, steps: list[str]) -> None:
    """Play one order of things for one viewer, then let everything finish."""
    scene = Scene()
    guest = scene.come("ann", None if since is None else Since("e", since))
    await scene.asked()
    written = heard = 10
    seen: Look | None = None
    for step in [*steps, *["hear"] * 30, *["look", "answer"] * 2]:
        if step == "write":
            written += 1
        elif step == "hear" and heard < written:
            heard += 1
            scene.hub.event(SHOW, entry(heard))
        elif step == "look" and seen is None and scene.looks.asked:
            seen = look(written, snapshot=scene.looks.asked[0][1])
        elif step == "answer" and seen is not None:
            scene.looks.answer(seen)
            seen = None
        elif step == "deliver":
            await scene.settled()
    await scene.settled()
    welcome = guest.told[0]
    start = since if welcome["recovered"] else welcome["offset"]
    assert start is not None
    assert welcome["recovered"] is False or start <= written
    assert guest.offsets == list(range(start + 1, written + 1))
