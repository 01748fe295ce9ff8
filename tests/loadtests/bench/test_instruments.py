"""The benchmarks' instruments: the meter, the frames, the cheap websocket client, the goals."""

from __future__ import annotations

import os
import time

import pytest
from websockets.asyncio.server import ServerConnection, serve

from loadtests.bench.framing import BINARY, PING, answered, frames, plain
from loadtests.bench.goals import Goal
from loadtests.bench.meter import Block, Figure, Way, cpu_seconds, resident_bytes
from loadtests.bench.wires import Wire, WireError, close_wires, open_wires
from tests.waiting import wait_for


def test_the_meter_counts_this_process() -> None:
    """CPU time grows by the work that is done, and memory is that of a Python process: between 5 MB and 5 GB."""
    before = cpu_seconds(os.getpid())
    began = time.process_time()
    while time.process_time() - began < 0.1:
        pass
    assert 0.1 <= cpu_seconds(os.getpid()) - before < 1.0
    assert cpu_seconds(os.getpid()) == pytest.approx(time.process_time(), abs=0.05)
    assert 5e6 < resident_bytes(os.getpid()) < 5e9


def test_a_way_is_the_median_of_its_blocks() -> None:
    """Rate and cost are the medians of the blocks, so one disturbed block does not count; the spread is theirs."""
    blocks = [Block(100, 1.0, {"it": 0.01}), Block(100, 10.0, {"it": 0.01}), Block(100, 1.0, {"it": 0.04})]
    way = Way("a way", {"it": 1}, blocks)
    assert way.per_second == pytest.approx(100)
    cost = way.cost("it")
    assert (cost.middle, cost.least, cost.most) == pytest.approx((100, 100, 400))


def test_ways_are_compared_round_by_round() -> None:
    """A machine that gets slower for both from round to round does not change their ratio."""
    mine = Way("mine", {"it": 1}, [Block(100, 1.0, {"it": 0.02}), Block(100, 4.0, {"it": 0.08})])
    theirs = Way("theirs", {"peer": 2}, [Block(100, 0.5, {"peer": 0.01}), Block(100, 2.0, {"peer": 0.04})])
    assert mine.costs_of(theirs) == Figure.of([2.0, 2.0])
    assert mine.faster_than(theirs) == Figure.of([0.5, 0.5])


@pytest.mark.parametrize(
    ("goal", "reached", "shown"),
    [
        (Goal("cost", Figure(1.2, 1.1, 1.4), 1.25), True, "1.20 (1.10 … 1.40) times"),
        (Goal("cost", Figure.of([1.3]), 1.25), False, "1.30 times"),
        (Goal("rate", Figure.of([2.6]), 2.5, at_least=True), True, "2.60 times"),
        (Goal("rate", Figure.of([2.4]), 2.5, at_least=True), False, "2.40 times"),
        (Goal("viewers", Figure.of([10_000]), 10_000, "viewers", at_least=True), True, "10,000 viewers"),
        (Goal("cost", None, 1.25), False, "not installed"),
    ],
)
def test_a_goal_knows_its_side(goal: Goal, reached: bool, shown: str) -> None:  # noqa: FBT001  a parameter of the table
    """A cost is reached below its bound, a rate above it; what was not measured is not reached."""
    assert goal.reached is reached
    assert goal.shown == shown


def test_frames_are_told_apart() -> None:
    """Frames of every length class are found whole, wherever the bytes of the last one are cut off."""
    sent = [(BINARY, b""), (PING, b"p"), (BINARY, b"x" * 125), (BINARY, b"y" * 126), (BINARY, b"z" * 65_535)]
    data = b"".join(plain(payload, opcode) for opcode, payload in sent)
    assert frames(data) == (sent, b"")
    for cut in (1, 2, 130, 65_535, 65_536, 65_537, 65_538):
        found, rest = frames(data[:-cut])
        assert found == sent[:-1]
        assert frames(rest + data[-cut:]) == (sent[-1:], b"")


def test_an_answer_is_taken_when_it_is_whole() -> None:
    """A handshake's answer has a status and may have frames behind it; half of it is none."""
    assert answered(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n") is None
    assert answered(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x82\x01a") == (101, b"\x82\x01a")


async def test_the_cheap_client_speaks_websocket() -> None:
    """Frames of every length class, alone and many in one write, come back from a real server as they were sent."""
    payloads = [b"x" * size for size in (0, 1, 125, 126, 5_000, 65_535)]
    received: list[bytes] = []

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        (wire,) = await open_wires(
            f"ws://127.0.0.1:{port}/", [b"hello"], lambda _, payload: received.append(payload)
        )
        for payload in payloads:
            wire.send(payload)
        await wait_for(lambda: len(received) > len(payloads), "all to come back")
        await close_wires([wire])
    assert received == [b"hello", *payloads]


async def test_frames_may_arrive_in_pieces() -> None:
    """Bytes that arrive one by one make the same messages as at once."""
    received: list[bytes] = []
    wire = Wire("ws://127.0.0.1:1/", None, lambda _, payload: received.append(payload), binary=True)
    wire.opened.set_result(None)
    data = b"\x82\x03abc" + b"\x82\x7e\x00\xc8" + b"y" * 200 + b"\x82\x00"
    for byte in data:
        wire.data_received(bytes([byte]))
    assert received == [b"abc", b"y" * 200, b""]


async def test_a_refused_handshake_is_an_error() -> None:
    """A server that answers with anything but 101 is no connection."""

    async def never(_: ServerConnection) -> None:
        pytest.fail("the handshake was accepted")

    async def refuse(connection: ServerConnection, _: object) -> object:
        return connection.respond(403, "no")

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as server:  # type: ignore[arg-type]  # an answer is a Response
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(WireError, match="403"):
            await open_wires(f"ws://127.0.0.1:{port}/", [None], lambda *_: None)
