"""Hundreds of viewers through events, stock changes, stuck neighbours and a cut: nothing missed, nothing twice.

The small edition of `python -m loadtests.multitude`; its figures are that program's, here only what must be so on
every machine is asserted.
"""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from loadtests.multitude.company import company
from loadtests.multitude.figures import Census, measured
from loadtests.multitude.outcome import Expected, Outcome, Plan, broken, missing
from loadtests.multitude.play import Play, perform
from loadtests.multitude.scene import opened
from loadtests.multitude.wire import BINARY, CLOSE, PING, TEXT, FrameError, Stock, Told, read
from loadtests.multitude.witness import Book, Witness
from server.protocol.codec import pack
from server.store.place import Place
from tests.houses import house_at
from tests.server import ServerProcess
from tests.wire import differences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from loadtests.multitude.scene import Scene

BUFFER = 262_144  # bytes that the server keeps for one viewer
SMALL = Plan(
    viewers=600,
    stalled=12,
    others=40,
    events=30,
    changes=500,
    repetitions=1,
    event_bytes=16_000,  # thirty of them are more than a stalled viewer's sockets, up to 150 kB, and the buffer hold
    nap_events=13,  # and thirteen are more than the sockets and an eighth of the buffer, where skipping begins
    pause_seconds=0.0,
    arrival_seconds=1.0,
    return_seconds=1.0,
    return_events_every=0.25,
    return_event_bytes=300,
)
NUMBERS = {"available": 7, "held": 2, "sold": 1, "quantity": 10}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server that keeps little for a viewer who does not read."""
    process = ServerProcess(tmp_path_factory.mktemp("multitude") / "data")
    process.settings = {"LIVEDROP_VIEWER_BUFFER_BYTES": str(BUFFER)}
    process.start()
    yield process
    assert process.stop() == 0, process.log.read_text()


@asynccontextmanager
async def a_scene(server: ServerProcess) -> AsyncIterator[Scene]:
    """Give a show of the server's, and audit it in the end."""
    url = Place(server.data / "valkey").url()
    assert url is not None
    assert server.process is not None
    async with house_at(url, server.data) as house:
        scene = await opened(house, server.url, server.process.pid)
        yield scene
    assert await differences(server, scene.show) == []


async def test_a_multitude_misses_nothing(server: ServerProcess) -> None:
    """No gap, no duplicate, the last value everywhere; the stalled alone are closed; all return to their place."""
    async with a_scene(server) as scene:
        outcome = await perform(scene, SMALL, print)
    assert broken(outcome) == []
    all_read, some_stalled = outcome.rounds
    assert (all_read.stalling, some_stalled.stalling) == (False, True)
    assert all_read.sleepers.here == SMALL.stalled
    assert some_stalled.sleepers.here < SMALL.stalled, (
        "nobody was stalled enough for the server to let them go"
    )
    assert all_read.deliveries.count == SMALL.events * (SMALL.viewers - SMALL.stalled)
    assert outcome.nap is not None
    assert outcome.nap.sleepers.here == SMALL.stalled
    assert outcome.storm is not None
    assert outcome.storm.recovered == SMALL.viewers
    assert outcome.book is not None
    assert outcome.book.events >= 2 * SMALL.events * (SMALL.viewers - SMALL.stalled)


async def test_a_gap_and_a_duplicate_would_be_found(server: ServerProcess) -> None:
    """Negative control: of two who err about their place by one event, one finds a gap and one a duplicate."""
    plan = replace(SMALL, viewers=4, stalled=1, others=1, arrival_seconds=0.1)
    async with a_scene(server) as scene:
        with company(scene.url, scene.show) as crowd:
            play = Play(scene, crowd, plan, print)
            await play.arrive()
            await crowd.mislead([1], -1)
            await crowd.mislead([2], +1)
            await crowd.keep_time(play.viewers)
            await play._events(1, plan.viewers, 300)
            outcome = Outcome(plan, book=await crowd.book())
    top = scene.offset
    assert set(broken(outcome)) == {
        "1 gaps",
        "1 duplicates",
        f"viewer 1: event {top} came where {top - 1} was due",
        f"viewer 2: event {top} came again, {top + 1} was due",
    }


# The instruments themselves.


def server_frame(opcode: int, payload: bytes) -> bytes:
    """Return a server's frame, written down as RFC 6455 section 5.2 has it."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


def event(offset: int, length: int, *, binary: bool) -> bytes:
    """Return the frame of an event."""
    message = {"type": "drop.paused", "drop_id": "x" * length, "offset": offset, "at": 1}
    return server_frame(BINARY, pack(message)) if binary else server_frame(TEXT, msgspec.json.encode(message))


LENGTHS = some.sampled_from([1, 60, 61, 62, 63, 64, 65, 300, 65_400, 65_500])


@settings(deadline=None)  # a busy machine is no failure
@given(some.lists(some.tuples(LENGTHS, some.booleans()), max_size=6), some.data())
def test_frames_are_read_wherever_they_are_cut(messages: list[tuple[int, bool]], data: Any) -> None:
    """Any cutting of a stream into pieces gives the same messages, pings and closes, and leaves no byte over."""
    stream = b"".join(event(n, length, binary=binary) for n, (length, binary) in enumerate(messages, 1))
    stream += server_frame(PING, b"hello") + server_frame(CLOSE, b'\x0b\xc0{"retry_after_ms":70}')
    cuts = sorted(data.draw(some.lists(some.integers(0, len(stream)), max_size=12)))
    seen: list[Told] = []
    rest = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        told, rest = read(rest + stream[start:end])
        seen += told
    assert rest == b""
    assert [told.offset for told in seen[:-2]] == list(range(1, len(messages) + 1))
    assert (seen[-2].opcode, seen[-2].payload) == (PING, b"hello")
    assert (seen[-1].opcode, seen[-1].code, seen[-1].retry_ms) == (CLOSE, 3008, 70)


@pytest.mark.parametrize("head", ["0205", "c205", "8285"], ids=["fragmented", "compressed", "masked"])
def test_what_a_server_may_not_send_here_is_refused(head: str) -> None:
    """Fragments and compression, which nobody asked for, and masked frames are errors and not messages."""
    with pytest.raises(FrameError):
        read(bytes.fromhex(head) + b"\0\0\0\0hello")


def told_of(**message: Any) -> Told:
    """Return what a viewer reads of a message."""
    return read(server_frame(BINARY, pack(message)))[0][0]


def a_witness(**welcome: Any) -> Witness:
    """Return one who was welcomed at offset 5."""
    witness = Witness("one", Book(), binary=True)
    witness.begin()
    standard = {"type": "welcome", "epoch": "e", "offset": 5, "recovered": False}
    witness.take(told_of(**{**standard, **welcome}), 1)
    return witness


STOCK = {"type": "stock.updated", "drop_id": "d", **NUMBERS}


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([{"type": "drop.paused", "offset": 6}, {"type": "drop.paused", "offset": 7}], (0, 0, 0, 0)),
        ([{"type": "drop.paused", "offset": 7}], (1, 0, 0, 0)),
        ([{"type": "drop.paused", "offset": 6}, {"type": "drop.paused", "offset": 6}], (0, 1, 0, 0)),
        ([{**STOCK, "revision": 2}, {**STOCK, "revision": 3}], (0, 0, 0, 0)),
        ([{**STOCK, "revision": 3}, {**STOCK, "revision": 2}], (0, 0, 1, 0)),
        ([{**STOCK, "revision": 3, "held": 3}], (0, 0, 0, 1)),
        ([{"type": "error", "code": "unavailable", "message": "no"}], (0, 0, 0, 1)),
        ([{"type": "welcome", "epoch": "e", "offset": 5, "recovered": True, "missed": 0}], (0, 0, 0, 1)),
    ],
    ids=["in-order", "gap", "duplicate", "newer", "older", "wrong-sum", "error", "welcomed-twice"],
)
def test_a_witness_finds_what_is_wrong(
    messages: list[dict[str, Any]], found: tuple[int, int, int, int]
) -> None:
    """Each broken promise is counted under its kind, and what is in order under none."""
    witness = a_witness()
    for message in messages:
        witness.take(told_of(**message), 2)
    book = witness.book
    assert (book.gaps, book.duplicates, book.stale, book.wrong) == found
    assert len(book.examples) == sum(found)


@pytest.mark.parametrize(
    ("welcome", "wrong"),
    [
        ({"recovered": True, "offset": 9, "missed": 4}, 0),
        ({"recovered": True, "offset": 9, "missed": 3}, 1),
        ({"recovered": True, "offset": 9, "missed": 4, "epoch": "another"}, 1),
        ({"recovered": False, "offset": 9}, 0),
    ],
    ids=["our-place", "another-place", "another-epoch", "start-over"],
)
def test_a_return_to_another_place_is_found(welcome: dict[str, Any], wrong: int) -> None:
    """A recovery must pick up at exactly the place that was asked for."""
    witness = a_witness()
    witness.begin()
    witness.take(told_of(**{"type": "welcome", "epoch": "e", **welcome}), 2)
    assert witness.book.wrong == wrong


def test_whoever_lacks_something_is_named() -> None:
    """A group in which one is away, one behind and one without the last numbers lacks three things."""
    last = Stock(9, *NUMBERS.values())
    expected = Expected(7, last)
    whole = Census(size=3, here=3, lowest=7, highest=7, stocks=Counter({last: 3}))
    assert missing("all", whole, expected) == []
    older = last._replace(revision=8)
    lacking = Census(4, 3, 6, 7, Counter({last: 2, older: 1}), closes=Counter({3008: 1}))
    assert len(missing("all", lacking, expected)) == 3
    assert len(missing("all", lacking, expected, whole=False)) == 2


def test_delays_are_counted_from_the_asking() -> None:
    """Of a hundred deliveries after 1 to 100 ms the median is 50, p99 is 99, and first to last are 99 apart."""
    moments = [1_000_000 * (5 + ms) for ms in range(100, 0, -1)]
    seen = measured({3: moments, 4: [0]}, {3: 5_000_000})
    assert (seen.count, seen.p50_ms, seen.p99_ms, seen.longest_ms, seen.skew_ms) == (100, 50, 99, 100, 99)
