"""A viewer's checks: what is true passes, and each kind of untruth is found."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.audience.numbers import Message, wrong_stock
from loadtests.audience.watch import Watch
from loadtests.audience.wire import BINARY, TEXT, told
from server.protocol.codec import Codec, pack

DROP = "dr_x_y"


def welcome(offset: int = 4, **extra: Any) -> Message:
    """Return a first welcome."""
    fields = {"type": "welcome", "epoch": "e", "offset": offset, "recovered": False}
    return {**fields, "snapshot": {"drops": []}, **extra}


def recovered(offset: int, missed: int, epoch: str = "e") -> Message:
    """Return the welcome of a viewer whose place was picked up."""
    return {"type": "welcome", "epoch": epoch, "offset": offset, "recovered": True, "missed": missed}


def stock(available: int = 3, held: int = 2, sold: int = 5, quantity: int = 10, revision: int = 1) -> Message:
    """Return a drop's numbers as a live number."""
    numbers = {"available": available, "held": held, "sold": sold, "quantity": quantity}
    return {"type": "stock.updated", "drop_id": DROP, "revision": revision, **numbers}


def event(offset: int, kind: str = "drop.paused") -> Message:
    """Return an event of the log."""
    return {"type": kind, "offset": offset, "at": 0, "drop_id": DROP}


def opened(offset: int, available: int = 10, status: str = "open") -> Message:
    """Return the event of a drop that opens."""
    numbers = {"available": available, "held": 0, "sold": 0, "quantity": available, "revision": 1}
    return {
        "type": "drop.opened",
        "offset": offset,
        "at": 0,
        "drop": {"id": DROP, "status": status, **numbers},
    }


def take(watch: Watch, message: Message) -> list[str]:
    """Let a watch take a message as it comes over the wire; a recovered welcome begins a new connection."""
    if message["type"] == "welcome" and watch.epoch:
        watch.begin()
    return list(watch.take(told(BINARY, pack(message))))


def after(*messages: Message) -> tuple[Watch, list[str]]:
    """Return a watch that has taken the messages, and what it found wrong."""
    watch = Watch(binary=True)
    return watch, [sentence for message in messages for sentence in take(watch, message)]


def test_a_sound_stream_passes() -> None:
    """A welcome, gapless events and true numbers, before and after a return, are all in order."""
    _, wrong = after(
        welcome(4), event(5), stock(), event(6), recovered(8, missed=2), event(7), event(8), event(9), stock()
    )
    assert wrong == []


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ((welcome(4), event(6)), "offset 6 came where 5 was due"),
        ((welcome(4), event(5), event(5)), "offset 5 came where 6 was due"),
        ((welcome(4), stock(available=4)), "available 4 + held 2 + sold 5 is not quantity 10"),
        ((welcome(4), stock(available=-1, held=6)), "a number is below zero: -1, 6, 5"),
        ((welcome(4), stock(revision=5), stock(revision=7), stock(revision=6)), "revision 6 came after 7"),
        ((welcome(4), recovered(8, missed=3)), "recovered from offset 5, asked for 4"),
        ((welcome(4), recovered(4, missed=0, epoch="f")), "recovered into epoch f, asked for e"),
    ],
    ids=["a gap", "a repeat", "a wrong sum", "below zero", "backwards", "a wrong place", "another epoch"],
)
def test_an_untruth_is_found(messages: tuple[Message, ...], sentence: str) -> None:
    """Each kind of broken promise is found once, with its numbers."""
    _, wrong = after(*messages)
    assert len(wrong) == 1
    assert sentence in wrong[0]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "drop.closed", "offset": 5, "at": 0, "drop_id": DROP, "stock": stock(sold=6)},
        {
            "type": "drop.opened",
            "offset": 5,
            "at": 0,
            "drop": {**stock(sold=6), "id": DROP, "status": "open"},
        },
        welcome(5, snapshot={"drops": [{**stock(sold=6), "id": DROP, "status": "open"}]}),
    ],
    ids=["stock of an event", "drop of an event", "snapshot"],
)
def test_numbers_are_checked_wherever_they_stand(message: Message) -> None:
    """A wrong sum is found in every kind of message that carries stock."""
    _, wrong = after(welcome(4), message)
    assert wrong == [f"{DROP}: available 3 + held 2 + sold 6 is not quantity 10"]


def test_a_fresh_snapshot_starts_over() -> None:
    """A welcome with a snapshot takes the place and the revisions of the new connection, and forgets the old drops."""
    watch, wrong = after(welcome(4), opened(5), stock(revision=9), welcome(40), stock(revision=2), event(41))
    assert wrong == []
    assert watch.place == {"epoch": "e", "offset": 41}


def test_what_was_on_its_way_while_joining_may_be_old() -> None:
    """Live numbers older than the picture that the viewer joined with are no breach, in either kind of welcome."""
    snapshot = {"drops": [{**stock(revision=9), "id": DROP, "status": "open"}]}
    watch, wrong = after(welcome(4, snapshot=snapshot), stock(revision=8), stock(revision=10))
    assert wrong == []
    missed = {**event(5, "drop.restocked"), "stock": stock(revision=12)}
    for message in (
        recovered(5, missed=1),
        missed,
        stock(revision=20),
        stock(revision=18),
        stock(revision=21),
    ):
        assert take(watch, message) == []
    assert take(watch, stock(revision=19)) == []
    take(watch, stock(revision=25))
    assert len(take(watch, stock(revision=22))) == 1


def test_what_a_viewer_knows_of_a_drop_follows_the_events() -> None:
    """Status and available units of a drop are the newest that a viewer was told, in whatever message."""
    watch, _ = after(welcome(4), opened(5))
    drop = watch.drops[DROP]
    assert (drop.status, drop.available) == ("open", 10)
    take(watch, stock(available=0, held=5, revision=2))
    assert drop.available == 0
    take(watch, event(6, "drop.paused"))
    assert drop.status == "paused"
    take(watch, event(7, "drop.resumed"))
    assert drop.status == "open"


def test_gaps_and_repeats_are_counted_apart() -> None:
    """Offsets that were left out and offsets that came again are counted; after a repeat the place is what it was."""
    watch, wrong = after(welcome(4), event(8), event(6), event(9))
    assert (watch.gaps, watch.repeats, watch.offset, len(wrong)) == (3, 1, 9, 2)


def test_what_comes_before_the_welcome_is_wrong() -> None:
    """A message on a connection that was not welcomed yet, and a second welcome, are breaches."""
    watch, _ = after(welcome(4))
    watch.begin()
    assert take(watch, event(5)) == ["drop.paused came before the welcome"]
    assert watch.take(told(BINARY, pack(recovered(5, missed=0)))) == []
    assert watch.take(told(BINARY, pack(welcome(5)))) == ["a second welcome came"]


def test_the_codec_is_the_one_that_was_chosen() -> None:
    """Text to a viewer who speaks msgpack is a breach."""
    watch, _ = after(welcome(4))
    assert watch.take(told(TEXT, Codec.JSON.encode(event(5)))) == ["opcode 1 is not of the subprotocol"]


def test_a_place_that_is_given_up_is_not_asked_for_again() -> None:
    """After the server has said that the place is lost, the next welcome starts over, and counts as a snapshot."""
    watch, _ = after(welcome(4), event(5))
    watch.forget()
    assert [watch.place] == [None]
    take(watch, welcome(9))
    assert watch.place == {"epoch": "e", "offset": 9}
    assert watch.snapshots == 1


def test_missed_events_are_told_from_live_ones() -> None:
    """What happened while the viewer was away lies at or below `live_from`."""
    watch, _ = after(welcome(4), recovered(6, missed=2), event(5), event(6))
    assert watch.live_from == 6
    assert watch.recovered


def test_true_numbers_have_nothing_wrong() -> None:
    """The check of four numbers alone passes what is true."""
    assert wrong_stock(DROP, stock()) == []
