"""A viewer's checks: what is true passes, and each kind of untruth is found."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.watch import Message, Watch, wrong_stock

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


def after(*messages: Message) -> tuple[Watch, list[str]]:
    """Return a watch that has taken the messages, and what it found wrong."""
    watch = Watch()
    return watch, [sentence for message in messages for sentence in watch.take(message)]


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
        assert watch.take(message) == []
    assert watch.take(stock(revision=19)) == []
    watch.take(stock(revision=25))
    assert len(watch.take(stock(revision=22))) == 1


def test_what_is_on_offer_follows_the_events() -> None:
    """A drop is on offer while it is open, has units, and is not one that the viewer is done with."""
    watch, _ = after(welcome(4), opened(5))
    assert watch.on_offer(set()) == DROP
    assert watch.on_offer({DROP}) is None
    watch.take(stock(available=0, held=5, revision=2))
    assert watch.on_offer(set()) is None
    watch.take(stock(available=1, held=4, revision=3))
    watch.take(event(6, "drop.paused"))
    assert watch.on_offer(set()) is None
    watch.take(event(7, "drop.resumed"))
    assert watch.on_offer(set()) == DROP


def test_missed_events_are_told_from_live_ones() -> None:
    """What happened while the viewer was away lies at or below `live_from`."""
    watch, _ = after(welcome(4), recovered(6, missed=2), event(5), event(6))
    assert watch.live_from == 6
    assert watch.recovered


def test_true_numbers_have_nothing_wrong() -> None:
    """The check of four numbers alone passes what is true."""
    assert wrong_stock(DROP, stock()) == []
