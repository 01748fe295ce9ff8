"""What processes hand over becomes the lines of a recording: each thing once, and nobody by name."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from server.shows.recordings import Batch
from server.shows.scribe import FIRST_MS, GONE, SILENT_MS, Scribe
from server.shows.tap import Kind
from server.shows.tape import (
    UNKNOWN,
    Bundle,
    Checkout,
    Drop,
    Join,
    Leave,
    Line,
    Move,
    React,
    Release,
    Reserve,
    Turn,
    Unwait,
    Wait,
)

BEGAN = 1_000_000
ANN, BEN, CAT = b"hash-ann", b"hash-ben", b"hash-cat"


def batch(turn: int, *entries: Any, process: str = "gw_a", life: int = 1, lost: int = 0) -> Batch:
    """Return a batch as a process hands it over, half a second after the one before."""
    return Batch(process, life, turn, BEGAN + 500 * turn, lost, [list(entry) for entry in entries])


def here(*viewers: bytes, at: int = 0, more: bool = False) -> Any:
    return Kind.HERE, BEGAN + at, list(viewers), more


def came(viewer: bytes, at: int = 0, *, returns: bool = False) -> Any:
    return Kind.CAME, BEGAN + at, viewer, returns


def left(viewer: bytes, at: int = 0, code: int = 1000) -> Any:
    return Kind.LEFT, BEGAN + at, viewer, code


def asked(viewer: bytes, verb: str, *items: Any, at: int = 0, code: str = "held") -> Any:
    return Kind.ASKED, BEGAN + at, viewer, verb, [list(item) for item in items], code, 7


def paid(viewer: bytes, *takes: bytes, items: Any = (), code: str = "paid") -> Any:
    return Kind.PAID, BEGAN, viewer, list(takes), [list(item) for item in items], code, 7


def view(drop: str = "dr_1", **fields: Any) -> dict[str, Any]:
    """Return a drop as the server shows it."""
    usual = {
        "id": drop,
        "status": "scheduled",
        "quantity": 10,
        "available": 10,
        "unit_price": 1250,
        "limit_per_viewer": 2,
        "hold_seconds": 60,
        "mode": "fifo",
        "waitlist": True,
        "title": "Enamel Mug",
    }
    return {**usual, **fields}


@pytest.fixture
def scribe() -> Scribe:
    """Give a scribe who knows two drops."""
    one = Scribe(BEGAN)
    one.drops([view("dr_1"), view("dr_2")], BEGAN)
    return one


def test_numbers_are_given_in_the_order_of_appearance(scribe: Scribe) -> None:
    """A viewer is the same number on every process, and their connections are counted."""
    lines = scribe.batch(batch(1, came(BEN, 10), came(ANN, 20)))
    lines += scribe.batch(batch(1, came(BEN, 30, returns=True), process="gw_b"))
    assert lines == [
        Join(at=10, viewer=0, connection=1),
        Join(at=20, viewer=1, connection=1),
        Join(at=30, viewer=0, connection=2, returns=True),
    ]
    assert (scribe.viewers, scribe.here) == (2, 3)


def test_who_leaves_leaves_that_process(scribe: Scribe) -> None:
    """The connection that ends is the oldest of theirs on the process that says so."""
    scribe.batch(batch(1, came(ANN)))
    scribe.batch(batch(1, came(ANN), process="gw_b"))
    assert scribe.batch(batch(2, left(ANN, 90, 3012), process="gw_b")) == [
        Leave(at=90, viewer=0, connection=2, code=3012)
    ]
    assert scribe.batch(batch(2, left(ANN, 95))) == [Leave(at=95, viewer=0, connection=1, code=1000)]
    assert scribe.batch(batch(3, left(ANN, 99))) == []


def lines_of(batches: list[Batch], scribe: Scribe) -> list[Line]:
    return [line for each in batches for line in scribe.batch(each)]


def some_batches() -> list[Batch]:
    """Return what two processes hand over: a hundred viewers who come, one after the other."""
    who = [f"viewer {number}".encode() for number in range(100)]
    made = [batch(turn, *map(came, who[5 * turn : 5 * turn + 5])) for turn in range(1, 10)]
    return made + [
        batch(turn, *map(came, who[50 + 5 * turn : 55 + 5 * turn]), process="gw_b") for turn in range(1, 10)
    ]


class Forgetful(Scribe):
    """Takes a batch whenever it comes: what the turns are there to prevent."""

    def batch(self, batch: Batch) -> list[Line]:
        known = self._processes.get(batch.process)
        if known is not None:
            known.turn = batch.turn - 1
        return super().batch(batch)


def all_once(kind: type[Scribe]) -> bool:
    """Whether everybody joins once, however batches of two processes mix, and however often each comes."""
    drawn = Random(1)  # noqa: S311  the same mixtures each time
    for _ in range(20):
        ones = [each for each in some_batches() for _ in range(drawn.choice((1, 1, 2)))]
        mine = [each for each in ones if each.process == "gw_a"]
        theirs = [each for each in ones if each.process == "gw_b"]
        mixed = [each.pop(0) for each in drawn.sample([mine, theirs] * len(ones), 2 * len(ones)) if each]
        scribe = kind(BEGAN)
        if len(lines_of(mixed, scribe)) != 90:
            return False
        assert scribe.viewers == 90
    return True


def test_a_batch_that_comes_again_is_taken_once() -> None:
    """Nobody joins twice because an answer of the store was lost; without the turns they would."""
    assert all_once(Scribe)
    assert not all_once(Forgetful)


def test_a_lost_batch_is_counted(scribe: Scribe) -> None:
    """Turns that never came are said, and so is what found no room with a process, in all its lives."""
    scribe.batch(batch(1, lost=0))
    scribe.batch(batch(4, lost=3))
    assert (scribe.lost_batches, scribe.lost) == (2, 3)
    scribe.batch(batch(2, here(), life=2, lost=1))
    assert (scribe.lost_batches, scribe.lost) == (3, 4)


def test_who_is_there_at_the_beginning(scribe: Scribe) -> None:
    """A process says whom it has when it takes notice, in several parts; two tabs are two connections."""
    assert scribe.batch(batch(1, here(ANN, BEN, more=True))) == []
    assert scribe.batch(batch(2, here(BEN, CAT, at=40))) == [
        Join(at=40, viewer=0, connection=1, here=True),
        Join(at=40, viewer=1, connection=1, here=True),
        Join(at=40, viewer=1, connection=2, here=True),
        Join(at=40, viewer=2, connection=1, here=True),
    ]


def test_after_a_break_a_process_says_anew_whom_it_has(scribe: Scribe) -> None:
    """Who is gone by then has left, who is new has come back; nobody else moves."""
    scribe.batch(batch(1, here(ANN, BEN)))
    late = FIRST_MS + 1
    assert scribe.batch(batch(1, here(BEN, CAT, at=late), life=2)) == [
        Leave(at=late, viewer=0, connection=1, code=GONE),
        Join(at=late, viewer=2, connection=1, returns=True),
    ]


def test_a_process_that_falls_silent_is_gone(scribe: Scribe) -> None:
    """Its connections end when it was heard last, without a close code."""
    scribe.batch(batch(2, came(ANN, 100)))
    assert scribe.silent(BEGAN + 1_000 + SILENT_MS) == []
    assert scribe.silent(BEGAN + 1_001 + SILENT_MS) == [Leave(at=1_000, viewer=0, connection=1, code=GONE)]
    assert scribe.silent(BEGAN + 60_000) == []


def test_takes_are_numbered_by_viewer(scribe: Scribe) -> None:
    """What is taken, given back and paid is called by the number of the viewer's take; a repeat by its first."""
    lines = scribe.batch(
        batch(
            1,
            asked(ANN, "reserve", (b"a", "dr_2", 2), at=5),
            asked(BEN, "part", (b"b", "dr_1", 1), code="part"),
            asked(ANN, "reserve", (b"c", "dr_1", 1), code="out-of-stock"),
            asked(ANN, "reserve", (b"a", "dr_2", 2), code="repeated"),
            asked(ANN, "release", (b"a", "", 0), code="released"),
            paid(BEN, b"b", b"of before"),
        )
    )
    assert lines == [
        Reserve(at=5, viewer=0, take=0, drop=2, quantity=2, end="held", ms=7),
        Reserve(at=0, viewer=1, take=0, drop=1, quantity=1, part=True, end="part", ms=7),
        Reserve(at=0, viewer=0, take=1, drop=1, quantity=1, end="out-of-stock", ms=7),
        Reserve(at=0, viewer=0, take=0, drop=2, quantity=2, end="repeated", ms=7),
        Release(at=0, viewer=0, take=0, end="released", ms=7),
        Checkout(at=0, viewer=1, takes=(0, UNKNOWN), end="paid", ms=7),
    ]


def test_bundles_and_queues(scribe: Scribe) -> None:
    """Units of several drops are a take each; a place in a queue may bring one."""
    lines = scribe.batch(
        batch(
            1,
            asked(ANN, "reserve", (b"a", "dr_1", 1), (b"b", "dr_2", 3)),
            asked(ANN, "join", (b"c", "dr_1", 2), code="waiting"),
            asked(ANN, "leave", (b"", "dr_1", 0), code="left"),
            asked(ANN, "reserve", (b"d", "dr_none", 1), code="not-found"),
        )
    )
    assert lines == [
        Bundle(at=0, viewer=0, items=((0, 1, 1), (1, 2, 3)), end="held", ms=7),
        Wait(at=0, viewer=0, take=2, drop=1, quantity=2, end="waiting", ms=7),
        Unwait(at=0, viewer=0, drop=1, end="left", ms=7),
        Reserve(at=0, viewer=0, take=3, drop=0, quantity=1, end="not-found", ms=7),
    ]


def test_what_a_checkout_takes_itself_is_no_command(scribe: Scribe) -> None:
    """Of a drop that holds nothing the checkout alone is told, not the claim before it, nor how that is given up."""
    lines = scribe.batch(
        batch(
            1,
            asked(ANN, "claim", (b"a", "dr_1", 1)),
            asked(ANN, "release", (b"a", "", 0), code="released"),
            paid(ANN, items=[("dr_1", 1)], code="payment-declined"),
        )
    )
    assert lines == [Checkout(at=0, viewer=0, items=((1, 1),), end="payment-declined", ms=7)]


def test_applause_is_nobodys(scribe: Scribe) -> None:
    """Reactions are counts."""
    assert scribe.batch(batch(1, (Kind.CHEERED, BEGAN + 250, 3, 40))) == [
        React(at=250, messages=3, reactions=40)
    ]
    assert scribe.viewers == 0


def event(kind: str, at: int, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "offset": 1, "at": BEGAN + at, **fields}


def test_moves_of_a_drop(scribe: Scribe) -> None:
    """A countdown is told where it begins, units that come by what they add, and nothing that is known already."""
    opens_at = BEGAN + 3_000
    told = [
        event("drop.scheduled", 1, drop=view("dr_3", quantity=5, available=5)),
        event("drop.countdown", 10, drop=view("dr_3"), opens_at=opens_at),
        event("drop.opened", 3_000, drop=view("dr_3")),
        event("drop.sold_out", 3_100, drop_id="dr_3"),
        event("drop.restocked", 3_200, drop_id="dr_3", stock={"quantity": 9}),
        event("drop.restocked", 3_200, drop_id="dr_3", stock={"quantity": 9}),
        event("drop.paused", 3_300, drop_id="dr_3"),
        event("drop.resumed", 3_400, drop_id="dr_3"),
        event("drop.closed", 3_500, drop_id="dr_3", stock={"quantity": 9}),
        event("drop.opened", 3_600, drop=view("dr_3")),
        event("show.ended", 3_700),
        event("product.pinned", 3_800, products=[]),
    ]
    lines = [line for each in told for line in scribe.event(each)]
    assert isinstance(lines[0], Drop)
    assert (lines[0].drop, lines[0].at, lines[0].quantity) == (3, 1, 5)
    assert lines[1:] == [
        Move(at=10, drop=3, move="open", countdown_ms=2_990),
        Move(at=3_200, drop=3, move="restock", quantity=4),
        Move(at=3_300, drop=3, move="pause"),
        Move(at=3_400, drop=3, move="resume"),
        Move(at=3_500, drop=3, move="close"),
        Turn(at=3_700, move="end"),
    ]


def test_a_countdown_that_is_called_off_or_cut_short(scribe: Scribe) -> None:
    """Both are moves: the drop is planned again, or opens before its time."""
    opens_at = BEGAN + 9_000
    told = [
        event("drop.countdown", 10, drop=view(), opens_at=opens_at),
        event("drop.scheduled", 20, drop=view()),
        event("drop.countdown", 30, drop=view(), opens_at=opens_at),
        event("drop.opened", 5_000, drop=view()),
    ]
    assert [line for each in told for line in scribe.event(each)] == [
        Move(at=10, drop=1, move="open", countdown_ms=8_990),
        Move(at=20, drop=1, move="cancel"),
        Move(at=30, drop=1, move="open", countdown_ms=8_970),
        Move(at=5_000, drop=1, move="open"),
    ]


def test_drops_that_have_begun_already() -> None:
    """What is there at the beginning says how it stands; events that tell of it once more change nothing."""
    scribe = Scribe(BEGAN)
    running = view("dr_1", status="open", available=3)
    counting = view("dr_2", status="countdown", opens_at=BEGAN + 1_500)
    one, two = scribe.drops([running, counting], BEGAN)
    assert isinstance(one, Drop)
    assert isinstance(two, Drop)
    assert (one.status, one.available, one.countdown_ms) == ("open", 3, 0)
    assert (two.status, two.countdown_ms) == ("countdown", 1_500)
    assert scribe.event(event("drop.opened", 0, drop=running)) == []
    assert scribe.event(event("drop.countdown", 0, drop=counting, opens_at=BEGAN + 1_500)) == []
