"""A recording comes out of its file as it went in, as far as the file goes, and nothing else is taken for one."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from loadtests.recording import reading
from loadtests.recording.reading import CUT_SHORT, DAMAGED, NO_END, RecordingError, load
from server.shows import tape
from server.shows.tape import Full, Join, Line, Writer
from tests.loadtests.recording.made import HEADER, LINES, evening, written

if TYPE_CHECKING:
    from loadtests.recording.reading import Recording


def everything(recording: Recording) -> list[Line]:
    """Return all lines of a recording but its header and end."""
    return [*recording.drops, *recording.moves, *recording.acts, *recording.reactions]


def known(lines: list[Line]) -> list[bytes]:
    """Return lines so that they can be compared as a heap."""
    return sorted(map(msgspec.json.encode, lines))


@settings(max_examples=40, deadline=None)
@given(some.lists(LINES, max_size=60))
def test_what_was_written_is_read(lines: list[Line]) -> None:
    """Every line of every kind, in the order of their times; those of one time as they were learned."""
    with tempfile.TemporaryDirectory() as folder:
        recording = load(written(Path(folder) / "file", lines))
    assert recording.header == HEADER
    assert recording.warnings == []
    assert known(everything(recording)) == known(lines)
    assert recording.acts == sorted(
        (line for line in lines if line in recording.acts), key=lambda line: line.at
    )
    assert recording.end is not None
    assert recording.end.counts == counted(lines)


def counted(lines: list[Line]) -> dict[str, int]:
    counts = {"recording": 1}
    for line in lines:
        kind = str(line.__struct_config__.tag)
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def test_cut_off_anywhere_it_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """From wherever the file ends, every line before is there, with a warning; before the first there is nothing."""
    whole = written(tmp_path / "whole", evening())
    data, cut = whole.read_bytes(), tmp_path / "cut"
    most = known(everything(load(whole)))
    seen = set()
    for size in range(0, len(data), 7):
        cut.write_bytes(data[:size])
        try:
            recording = load(cut)
        except RecordingError as error:
            assert str(error) == f"{cut} is no recording of a show."  # noqa: PT017  either is right here
            continue
        assert recording.warnings == [CUT_SHORT]
        part = known(everything(recording))
        assert set(part) <= set(most)
        seen.add(len(part))
    assert len(seen) > 1


def test_without_its_last_line(tmp_path: Path) -> None:
    """A recorder that did not come to its end is said to have not."""
    recording = load(written(tmp_path / "file", evening(), end=False))
    assert recording.warnings == [NO_END]
    assert len(everything(recording)) == len(evening())


def test_what_was_flushed_is_there_though_the_recorder_was_killed(tmp_path: Path) -> None:
    """The lines up to the last flush can be read, nothing after it is needed."""
    path = tmp_path / "file"
    with Writer(path) as writer:
        writer.write([HEADER, *evening()])
        writer.flush()
        recording = load(path)
        assert recording.warnings == [CUT_SHORT]
        assert known(everything(recording)) == known(evening())


def test_damaged(tmp_path: Path) -> None:
    """A sum that does not fit is a warning: the lines are there."""
    path = written(tmp_path / "file", evening())
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    recording = load(path)
    assert recording.warnings == [DAMAGED]
    assert known(everything(recording)) == known(evening())


def packed(path: Path, *lines: bytes) -> Path:
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines)))
    return path


def test_a_newer_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """Also where its header has nothing that this version knows; one of this version is taken."""
    newer = b'{"do":"recording","format":"livedrop recording","version":2}'
    with pytest.raises(RecordingError) as refused:
        load(packed(tmp_path / "newer", newer))
    assert str(refused.value) == (
        f"{tmp_path / 'newer'} is a recording of version 2; this program reads version 1 and older ones. "
        "Use a newer one."
    )
    assert load(packed(tmp_path / "this", msgspec.json.encode(HEADER))).header == HEADER


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain text",
        gzip.compress(b"", mtime=0),
        gzip.compress(b"plain text\n", mtime=0),
        gzip.compress(b"[1, 2]\n", mtime=0),
        gzip.compress(b'{"do":"recording","format":"another","version":1}\n', mtime=0),
        gzip.compress(b'{"do":"recording","format":"livedrop recording","version":"x"}\n', mtime=0),
    ],
    ids=["nothing", "plain text", "empty", "words", "a list", "another format", "no version"],
)
def test_what_is_no_recording(tmp_path: Path, content: bytes) -> None:
    """Anything else is refused as what it is not."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"is no recording of a show\.$"):
        load(path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"do":"dance","at":1}', r"^Line 2 cannot be read: Invalid value 'dance'"),
        (b'{"do":"join","at":-1,"viewer":0,"connection":1}', r"^Line 2 cannot be read: .*\$\.at`"),
        (b'{"do":"join","at":1,"viewer":1000000,"connection":1}', r"^Line 2 cannot be read: .*\$\.viewer`"),
        (msgspec.json.encode(HEADER), r"^Line 2 is where none of its kind may be\.$"),
        (
            b'{"do":"react","at":1,"messages":2000001,"reactions":1}',
            "more than 2,000,000 messages of applause",
        ),
        (b'{"' + b"x" * 70_000, r"^Line 2 is longer than 65,536 bytes\.$"),
    ],
)
def test_a_line_that_may_not_be(tmp_path: Path, line: bytes, said: str) -> None:
    """It is named with what is wrong with it."""
    with pytest.raises(RecordingError, match=said):
        load(packed(tmp_path / "file", msgspec.json.encode(HEADER), line))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The sentence says why it cannot be read."""
    with pytest.raises(RecordingError, match=r"cannot be read: No such file or directory$"):
        load(tmp_path / "none")


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer stops at its bounds with a sentence, and a reader takes no more lines than any writer writes."""
    join = Join(at=0, viewer=0, connection=1)
    monkeypatch.setattr(tape, "MOST_LINES", 3)
    with Writer(tmp_path / "file") as writer, pytest.raises(Full, match=r"^a recording has at most 3 lines$"):
        writer.write([HEADER, join, join, join])
    monkeypatch.setattr(reading, "MOST_LINES", 1)
    with pytest.raises(RecordingError, match=r"has more than 1 lines, as no recording has\.$"):
        load(tmp_path / "file")
    monkeypatch.setattr(tape, "MOST_BYTES", 0)
    with Writer(tmp_path / "other") as writer, pytest.raises(Full, match=r"^a recording has at most 0 MiB$"):
        writer.write([HEADER])


def test_its_head_tells_nothing(tmp_path: Path) -> None:
    """The archive has neither the name of a file nor a time: equal recordings are equal bytes."""
    one, two = (written(tmp_path / name, evening()).read_bytes() for name in ("of-a-person", "of-another"))
    assert one == two
    assert b"of-a-person" not in one
