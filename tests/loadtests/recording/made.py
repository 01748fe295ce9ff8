"""Recordings made up, and written as `livedrop record` writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as some

from server.shows import tape
from server.shows.tape import (
    CLOCK,
    FORMAT,
    VERSION,
    Bundle,
    Checkout,
    Drop,
    End,
    Header,
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
    Writer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEADER = Header(at=0, format=FORMAT, version=VERSION, clock=CLOCK, began_at=1_700_000_000_000, currency="EUR")


def written(path: Path, lines: Sequence[Line], *, header: Header = HEADER, end: bool = True) -> Path:
    """Write a recording of these lines and return its path; without its end, where it was cut off."""
    with Writer(path) as writer:
        writer.write([header, *lines])
        if end:
            last = max((line.at for line in lines), default=0)
            writer.end(End(at=last, reason="it was told to end", viewers=1, counts=writer.counts))
    return path


def drop(number: int = 1, at: int = 0, **fields: object) -> Drop:
    """Return a planned drop of ten units."""
    usual: dict[str, object] = {
        "status": "scheduled",
        "quantity": 10,
        "available": 10,
        "unit_price": 1250,
        "limit_per_viewer": 2,
        "hold_seconds": 5,
        "mode": "fifo",
        "waitlist": True,
    }
    return Drop(at=at, drop=number, **{**usual, **fields})  # type: ignore[arg-type]  # fields of a drop


def evening() -> list[Line]:
    """Return a small show: two were there, a third comes, returns and leaves; one drop, and applause."""
    return [
        drop(),
        Join(at=40, viewer=0, connection=1, here=True),
        Join(at=40, viewer=1, connection=1, here=True),
        Join(at=500, viewer=2, connection=1),
        Move(at=1_000, drop=1, move="open", countdown_ms=1_000),
        Reserve(at=2_100, viewer=0, take=0, drop=1, quantity=2, end="held", ms=5),
        Reserve(at=2_100, viewer=2, take=0, drop=1, quantity=1, end="held", ms=5),
        Leave(at=2_400, viewer=2, connection=1, code=1006),
        Join(at=2_600, viewer=2, connection=2, returns=True),
        React(at=2_700, messages=10, reactions=25),
        Checkout(at=3_000, viewer=0, takes=(0,), end="paid", ms=40),
        Release(at=3_200, viewer=2, take=0, end="released", ms=5),
        Leave(at=3_400, viewer=2, connection=2, code=1000),
        Move(at=4_000, drop=1, move="close"),
    ]


_at = some.integers(0, 10_000_000)
_viewer = some.integers(0, tape.MOST_VIEWERS - 1)
_drop = some.integers(0, 500)
_take = some.integers(tape.UNKNOWN, tape.MOST_TAKES - 1)
_units = some.integers(1, 10_000)
_end = some.sampled_from(["held", "part", "repeated", "out-of-stock", "paid", "unavailable"])
_ms = some.integers(0, 100_000)
_asked = {"at": _at, "viewer": _viewer, "end": _end, "ms": _ms}

LINES: some.SearchStrategy[Line] = some.one_of(
    some.builds(Join, at=_at, viewer=_viewer, connection=_ms, returns=some.booleans(), here=some.booleans()),
    some.builds(Leave, at=_at, viewer=_viewer, connection=_ms, code=some.integers(1000, 4999)),
    some.builds(Reserve, **_asked, take=_take, drop=_drop, quantity=_units, part=some.booleans()),
    some.builds(Bundle, **_asked, items=some.lists(some.tuples(_take, _drop, _units)).map(tuple)),
    some.builds(Release, **_asked, take=_take),
    some.builds(Wait, **_asked, take=_take, drop=_drop, quantity=_units),
    some.builds(Unwait, **_asked, drop=_drop),
    some.builds(
        Checkout,
        **_asked,
        takes=some.lists(_take, max_size=5).map(tuple),
        items=some.lists(some.tuples(_drop, _units), max_size=5).map(tuple),
    ),
    some.builds(React, at=_at, messages=some.integers(0, 1_000), reactions=_ms),
    some.builds(Turn, at=_at, move=some.sampled_from(["start", "pause", "resume", "end"])),
    some.builds(
        Move,
        at=_at,
        drop=_drop,
        move=some.sampled_from(["open", "cancel", "pause", "resume", "restock", "close"]),
        quantity=_units,
        countdown_ms=_ms,
    ),
    some.builds(drop, _drop, _at, status=some.sampled_from(["scheduled", "open", "paused", "closed"])),
)
