"""The file of a recorded show: gzip'd lines of JSON, the first one a header, the last one an end with the sums.

docs/recording.md describes each line. `at` is in milliseconds since the recording began, by the store's clock; lines
stand in the order in which they were learned, so a reader sorts them. A viewer, a drop and what a viewer took are
numbers, given in the order of their appearance: nothing in a file leads back to a person, a product or an order.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Annotated, Literal, Self

import msgspec
from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

VERSION = 1
FORMAT = "livedrop recording"
CLOCK = "ms since the recording began, by the store's clock"
MOST_LINES = 2_000_000
MOST_BYTES = 256 * 1024 * 1024  # of the file, compressed
MOST_LINE_BYTES = 65_536
MOST_VIEWERS = 1_000_000
MOST_TAKES = 2_000_000
UNKNOWN = -1  # a take of before the recording

Count = Annotated[int, Meta(ge=0, le=2**53)]
Number = Annotated[
    int, Meta(ge=0, lt=MOST_VIEWERS)
]  # of a viewer, or of a drop, from 1: 0 is not of the show
Take = Annotated[int, Meta(ge=UNKNOWN, lt=MOST_TAKES)]
Units = Annotated[int, Meta(ge=1, le=1_000_000)]
Word = Annotated[str, Meta(max_length=64)]
DropMove = Literal["open", "cancel", "pause", "resume", "restock", "close"]
ShowMove = Literal["start", "pause", "resume", "end"]


class Line(Struct, tag_field="do", frozen=True, kw_only=True, omit_defaults=True):
    """The base of all lines."""

    at: Count


class Header(Line, tag="recording", frozen=True, kw_only=True):
    """What is recorded: the show's terms. `began_at` is Unix ms."""

    format: str  # FORMAT
    version: Count
    clock: str  # what `at` means
    began_at: Count
    currency: Word
    limit_per_viewer: Count = 0  # units over all its drops; 0: no such limit


class Drop(Line, tag="drop", frozen=True, kw_only=True):
    """A drop that is there when the recording begins, or is planned later. Prices are minor units."""

    drop: Number
    status: Word
    quantity: Count
    available: Count
    unit_price: Count
    limit_per_viewer: Count
    hold_seconds: Count
    mode: Word
    waitlist: bool
    countdown_ms: Count = 0  # until it opens, where a countdown was running


class Move(Line, tag="move", frozen=True, kw_only=True):
    """A move of a drop, by its host or by the clock; of a countdown, its beginning."""

    drop: Number
    move: DropMove
    quantity: Count = 0  # units that a restock or a wave brought
    countdown_ms: Count = 0  # before an opening


class Turn(Line, tag="show", frozen=True, kw_only=True):
    """A move of the show."""

    move: ShowMove


class Join(Line, tag="join", frozen=True, kw_only=True):
    """A viewer's connection begins, their `connection`-th; `here`: it was there when the recording took notice."""

    viewer: Number
    connection: Count
    returns: bool = False  # they named a place in the log to go on from
    here: bool = False


class Leave(Line, tag="leave", frozen=True, kw_only=True):
    """A viewer's connection is over, with a websocket close code; 1006 where there was none."""

    viewer: Number
    connection: Count
    code: Count


class Reserve(Line, tag="reserve", frozen=True, kw_only=True):
    """Units were asked for: what may have come of it is the viewer's `take`-th take; the same one again is a repeat."""

    viewer: Number
    take: Take
    drop: Number
    quantity: Units
    part: bool = False
    end: Word
    ms: Count


class Bundle(Line, tag="bundle", frozen=True, kw_only=True):
    """Units of several drops were asked for together: (take, drop, quantity) each."""

    viewer: Number
    items: tuple[tuple[Take, Number, Units], ...]
    end: Word
    ms: Count


class Release(Line, tag="release", frozen=True, kw_only=True):
    """What was taken was given back."""

    viewer: Number
    take: Take
    end: Word
    ms: Count


class Wait(Line, tag="wait", frozen=True, kw_only=True):
    """A place in a drop's queue was asked for, or in its draw; what it may bring is a take."""

    viewer: Number
    take: Take
    drop: Number
    quantity: Units
    end: Word
    ms: Count


class Unwait(Line, tag="unwait", frozen=True, kw_only=True):
    """The place was given up."""

    viewer: Number
    drop: Number
    end: Word
    ms: Count


class Checkout(Line, tag="checkout", frozen=True, kw_only=True):
    """Takes were paid, or units of drops that hold nothing: (drop, quantity) each."""

    viewer: Number
    takes: tuple[Take, ...] = ()
    items: tuple[tuple[Number, Units], ...] = ()
    end: Word
    ms: Count


class React(Line, tag="react", frozen=True, kw_only=True):
    """So many messages with so many reactions came from a process' audience within a quarter of a second."""

    messages: Count
    reactions: Count


class End(Line, tag="end", frozen=True, kw_only=True):
    """The last line of a whole file: why it ended, how many lines of each kind there are, and what is missing."""

    reason: str
    viewers: Count
    counts: dict[str, Count]
    lost: Count = 0  # entries that a process had no room for
    lost_batches: Count = 0  # that were not fetched in time
    gaps_ms: Count = 0  # for which the recorder did not have the show


Act = Join | Leave | Reserve | Bundle | Release | Wait | Unwait | Checkout
AnyLine = Header | Drop | Move | Turn | Act | React | End


class Full(Exception):  # noqa: N818  it is no error: the recording ends here
    """The file has come to its bound; the sentence says which."""


class Writer:
    """Writes a file that is not there yet; what was flushed can be read even where the end never comes."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("xb")
        # No name and no time of day in the head of the archive.
        self._file = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, mtime=0)
        self.counts: dict[str, int] = {}
        self._lines = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._raw.close()

    def write(self, lines: Iterable[Line]) -> None:
        """Write lines. Raises Full before the one that would be too many."""
        for line in lines:
            if self._lines >= MOST_LINES:
                raise Full(f"a recording has at most {MOST_LINES:,} lines")
            if self._raw.tell() >= MOST_BYTES:
                raise Full(f"a recording has at most {MOST_BYTES >> 20} MiB")
            self._write(line)
            kind = str(line.__struct_config__.tag)
            self.counts[kind] = self.counts.get(kind, 0) + 1

    def end(self, end: End) -> None:
        """Write the last line."""
        self._write(end)

    def flush(self) -> None:
        """Let everything so far be readable."""
        self._file.flush()
        self._raw.flush()

    def _write(self, line: Line) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._lines += 1
