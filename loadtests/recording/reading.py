"""A recording read from its file: as far as that goes, and not a line further than its bounds."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from server.shows.tape import (
    FORMAT,
    MOST_LINE_BYTES,
    MOST_LINES,
    VERSION,
    Act,
    AnyLine,
    Drop,
    End,
    Header,
    Join,
    Move,
    React,
    Turn,
)

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.recording.script import Step

MOST_MESSAGES = 2_000_000  # of reactions: each of them is played
CUT_SHORT = "The file ends in the middle; it is read as far as it goes."
DAMAGED = "The file is damaged towards its end; it is read as far as it goes."
NO_END = "The file has no last line: its recorder did not come to its end."

_LINE: msgspec.json.Decoder[AnyLine] = msgspec.json.Decoder(AnyLine)
_at = attrgetter("at")


class RecordingError(Exception):
    """The file is no recording that can be played; the sentence says why."""


@dataclass(slots=True)
class Recording:
    """A recorded show; lists are in the order of their times."""

    header: Header
    drops: list[Drop] = field(default_factory=list)
    moves: list[Move | Turn] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    reactions: list[React] = field(default_factory=list)
    end: End | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def viewers(self) -> int:
        """How many viewers appear: their numbers are those below."""
        return 1 + max((act.viewer for act in self.acts), default=-1)

    @property
    def here(self) -> int:
        """How many viewers were there when the recording began."""
        return len({act.viewer for act in self.acts if isinstance(act, Join) and act.here})

    @property
    def length_ms(self) -> int:
        """The time from its beginning to its last line."""
        parts = (self.drops, self.moves, self.acts, self.reactions)
        return max([self.end.at if self.end else 0, *(part[-1].at for part in parts if part)])

    def script(self, speed: float, seed: int) -> list[Step]:
        """Return what is asked for, by whom and when: the same for the same file, speed (1 to 20) and seed.

        Raises ValueError for another speed.
        """
        from loadtests.recording.script import script  # noqa: PLC0415  which reads recordings

        return script(self, speed, seed)


def load(path: Path) -> Recording:
    """Read a recording; what is missing of it stands in its warnings. Raises RecordingError."""
    try:
        with path.open("rb") as raw:
            recording = _read(_Lines(gzip.GzipFile(fileobj=raw, mode="rb")), path)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror or error}") from None
    parts: tuple[list[Any], ...] = (recording.drops, recording.moves, recording.acts, recording.reactions)
    for part in parts:
        part.sort(key=_at)  # stable: what came at the same time stays in the order in which it was learned
    return recording


class _Lines:
    """The lines of a file, one after the other; `broken` says why there is none after the last one."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self.number = 0
        self.broken = ""

    def next(self) -> bytes:
        """Return the next whole line, nothing at the end. Raises RecordingError for one that is too long."""
        try:
            line = self._file.readline(MOST_LINE_BYTES + 1)
        except (EOFError, zlib.error):
            self.broken = CUT_SHORT
            return b""
        except gzip.BadGzipFile:
            self.broken = DAMAGED
            return b""
        self.number += 1
        if len(line) > MOST_LINE_BYTES:
            raise RecordingError(f"Line {self.number} is longer than {MOST_LINE_BYTES:,} bytes.")
        if line and not line.endswith(b"\n"):
            self.broken = CUT_SHORT
            return b""
        return line


def _read(lines: _Lines, path: Path) -> Recording:
    recording = Recording(_header(lines.next(), path))
    messages = 0
    while line := lines.next():
        if lines.number > MOST_LINES + 1:
            raise RecordingError(f"{path} has more than {MOST_LINES:,} lines, as no recording has.")
        told = _told(line, lines.number)
        if isinstance(told, React):
            messages += told.messages
            if messages > MOST_MESSAGES:
                raise RecordingError(f"{path} has more than {MOST_MESSAGES:,} messages of applause.")
        _take(recording, told, lines.number)
    if lines.broken:
        recording.warnings.append(lines.broken)
    elif recording.end is None:
        recording.warnings.append(NO_END)
    return recording


def _header(line: bytes, path: Path) -> Header:
    """Return the header of a file that this version can read, or say why it cannot."""
    try:
        said = msgspec.json.decode(line)
        named, version = (said["do"], said["format"]), int(said["version"])
    except (ValueError, TypeError, KeyError):
        named, version = ("", ""), 0
    if named != ("recording", FORMAT):
        raise RecordingError(f"{path} is no recording of a show.")
    if version > VERSION:
        raise RecordingError(
            f"{path} is a recording of version {version}; this program reads version {VERSION} and older ones. "
            "Use a newer one."
        )
    told = _told(line, 1)
    assert isinstance(told, Header)  # noqa: S101  its tag says so
    return told


def _told(line: bytes, number: int) -> AnyLine:
    try:
        return _LINE.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"Line {number} cannot be read: {error}.") from None


def _take(recording: Recording, told: AnyLine, number: int) -> None:
    """Put a line where it belongs. Raises RecordingError where it belongs nowhere."""
    if isinstance(told, Header) or recording.end is not None:
        raise RecordingError(f"Line {number} is where none of its kind may be.")
    if isinstance(told, End):
        recording.end = told
    elif isinstance(told, Drop):
        recording.drops.append(told)
    elif isinstance(told, Move | Turn):
        recording.moves.append(told)
    elif isinstance(told, React):
        recording.reactions.append(told)
    else:
        recording.acts.append(told)
