"""One show's events in order, whichever way they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.eventlog.feed import Feed
from server.eventlog.stream import Entry, Place
from tests.eventlog.notes import Notes

SHOW = "sh_1"
EPOCH = "first"


def entry(offset: int) -> Entry:
    return Entry(offset, b"")


def begun(notes: Notes, offset: int = 0) -> Feed:
    """Return a feed that stands at an offset."""
    feed = Feed(SHOW, notes)
    feed.begin(Place(EPOCH, offset), [])
    return feed


class Stubborn(Notes):
    """A listener that fails with one event, or at the beginning."""

    def __init__(self, fails_at: int) -> None:
        super().__init__()
        self.fails_at = fails_at

    def event(self, show: str, entry: Entry) -> None:
        if entry.offset == self.fails_at:
            raise RuntimeError("a bug")
        super().event(show, entry)


@given(st.lists(st.integers(1, 12), max_size=60), st.integers(0, 5))
def test_every_event_is_told_once_and_in_order(heard: list[int], start: int) -> None:
    """Whatever arrives, repeated or out of order: only the next is told; a hole is answered with False, and waits."""
    notes = Notes()
    feed = begun(notes, start)
    told = start
    for offset in heard:
        assert feed.take(entry(offset)) is (offset <= told + 1)
        told = max(told, offset) if offset == told + 1 else told
        assert feed.place == Place(EPOCH, told)
    assert (notes.offsets, notes.faults) == (list(range(start + 1, told + 1)), [])


def test_nothing_is_told_before_it_begins() -> None:
    """An event that comes too early must be read from the log."""
    notes = Notes()
    feed = Feed(SHOW, notes)
    assert not feed.take(entry(1))
    assert not feed.ready.is_set()
    feed.begin(Place(EPOCH, 3), [entry(2), entry(3)])
    assert feed.ready.is_set()
    assert feed.take(entry(3))
    assert feed.take(entry(4))
    assert (notes.offsets, notes.faults, len(notes.tails[0])) == ([4], [], 2)


def test_it_begins_once_until_it_is_lost() -> None:
    """A second beginning is not told; after a loss, told once, it is."""
    notes = Notes()
    feed = begun(notes)
    feed.begin(Place(EPOCH, 5), [])
    feed.lose()
    feed.lose()
    assert (notes.losses, feed.place, feed.take(entry(1))) == (1, None, False)
    feed.begin(Place("second", 2), [])
    assert feed.take(entry(3))
    assert (notes.places, notes.offsets, notes.faults) == ([Place(EPOCH, 0), Place("second", 2)], [3], [])


def test_who_left_is_told_nothing() -> None:
    """Whatever still arrives for a feed that was left is nobody's, and need not be read."""
    notes = Notes()
    feed = begun(notes)
    feed.left = True
    assert feed.take(entry(1))
    assert feed.take(entry(9))
    feed.lose()
    early = Feed(SHOW, notes)
    early.left = True
    early.begin(Place(EPOCH, 0), [])
    assert (notes.offsets, notes.losses, len(notes.places)) == ([], 0, 1)


def test_a_listener_that_fails_loses_its_place() -> None:
    """Who did not get an event does not go on as if they had."""
    notes = Stubborn(fails_at=2)
    feed = begun(notes)
    assert feed.take(entry(1))
    assert not feed.take(entry(2))
    assert (feed.place, notes.losses, feed.take(entry(3))) == (None, 1, False)
    feed.begin(Place(EPOCH, 2), [])
    assert feed.take(entry(3))
    assert notes.faults == []
