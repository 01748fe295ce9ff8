"""The witnesses' own proof: what a server must not do is seen by them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.witness import Crowd, Stay, Witness, complaints

Message = dict[str, Any]


def welcome(offset: int, *, missed: int | None = None, epoch: str = "e") -> Message:
    """Return a welcome: with a snapshot, or after `missed` events."""
    fields: Message = {"type": "welcome", "epoch": epoch, "offset": offset, "recovered": missed is not None}
    return {**fields, "snapshot": {}} if missed is None else {**fields, "missed": missed}


def events(*offsets: int) -> list[Message]:
    """Return events of the log."""
    return [{"type": "drop.paused", "offset": offset, "at": offset} for offset in offsets]


def stock(revision: int) -> Message:
    """Return a live number."""
    return {"type": "stock.updated", "drop_id": "d", "revision": revision}


def since(offset: int, epoch: str = "e") -> Message:
    """Return a place to come back to."""
    return {"epoch": epoch, "offset": offset}


FIRST = Stay(None, [welcome(3), *events(4, 5)])

FAITHFUL = {
    "one stay": [FIRST],
    "recovered": [FIRST, Stay(since(5), [welcome(7, missed=2), *events(6, 7, 8)])],
    "nothing missed": [FIRST, Stay(since(5), [welcome(5, missed=0), *events(6)])],
    "cut off in the middle of what was missed": [
        FIRST,
        Stay(since(5), [welcome(8, missed=3), *events(6)]),
        Stay(since(6), [welcome(8, missed=2), *events(7, 8)]),
    ],
    "told to start over": [Stay(None, FIRST.messages, 3010), Stay(None, [welcome(9), *events(10)])],
    "a snapshot instead": [FIRST, Stay(since(5), [welcome(9, epoch="f"), *events(10)])],
    "not let in for a while": [FIRST, Stay(since(5), []), Stay(since(5), [welcome(5, missed=0)])],
    "numbers grow": [Stay(None, [welcome(3), stock(1), stock(4)])],
}

FAITHLESS = {
    "a hole": [Stay(None, [welcome(3), *events(4, 6)])],
    "a repeat": [Stay(None, [welcome(3), *events(4, 4)])],
    "out of order": [Stay(None, [welcome(3), *events(5, 4)])],
    "a hole behind the welcome": [Stay(None, [welcome(3), *events(5)])],
    "a repeat of the snapshot": [Stay(None, [welcome(3), *events(3, 4)])],
    "less recovered than said": [FIRST, Stay(since(5), [welcome(8, missed=2), *events(6, 7, 8)])],
    "recovered with a hole": [FIRST, Stay(since(5), [welcome(7, missed=2), *events(7, 8)])],
    "recovered twice over": [FIRST, Stay(since(5), [welcome(7, missed=2), *events(5, 6, 7)])],
    "recovered into another epoch": [FIRST, Stay(since(5), [welcome(5, missed=0, epoch="f")])],
    "recovered after 3010": [Stay(None, FIRST.messages, 3010), Stay(None, [welcome(7, missed=2)])],
    "a new start without a picture": [Stay(None, [welcome(3) | {"recovered": False, "snapshot": None}])],
    "numbers fall": [Stay(None, [welcome(3), stock(4), stock(1)])],
}
del FAITHLESS["a new start without a picture"][0].messages[0]["snapshot"]


@pytest.mark.parametrize("stays", FAITHFUL.values(), ids=FAITHFUL)
def test_a_faithful_story_is_believed(stays: list[Stay]) -> None:
    """No complaint about what the contract allows."""
    assert complaints(stays) == []


@pytest.mark.parametrize("stays", FAITHLESS.values(), ids=FAITHLESS)
def test_a_faithless_story_is_found_out(stays: list[Stay]) -> None:
    """Every breach of the contract is a complaint."""
    assert complaints(stays)


def test_two_stories_about_one_event_are_found_out() -> None:
    """Two viewers must have been told the same under one offset."""
    other = Stay(None, [welcome(3), *events(4), {"type": "show.paused", "offset": 5, "at": 5}])
    witnesses = [Witness(None, None, stays=[stay]) for stay in (FIRST, other)]  # type: ignore[arg-type]  # they do not watch
    assert Crowd(witnesses, []).complaints() == ["two stories about 5"]
    assert Crowd(witnesses[:1], witnesses[:1]).complaints() == []
