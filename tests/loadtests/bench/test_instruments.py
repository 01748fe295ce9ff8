"""The benchmarks' instruments: the meter, the cheap websocket client, the goals; and that it all still runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from websockets.asyncio.server import ServerConnection, serve

from loadtests.bench.goals import Goal
from loadtests.bench.meter import Block, Way, cpu_seconds, resident_bytes
from loadtests.bench.wires import Wire, WireError, open_wires
from loadtests.stagehand import ROOT
from tests.waiting import wait_for


def test_the_meter_counts_this_process() -> None:
    """CPU time grows with work, and memory is that of a Python process: between 5 MB and 5 GB."""
    before = cpu_seconds(os.getpid())
    began = time.process_time()
    while time.process_time() - began < 0.1:
        pass
    assert 0.05 < cpu_seconds(os.getpid()) - before < 1.0
    assert 5e6 < resident_bytes(os.getpid()) < 5e9


def test_a_way_is_the_median_of_its_blocks() -> None:
    """The rate is the median of the blocks, so one disturbed block does not count; the cost is over all of them."""
    blocks = [Block(100, 1.0, {"it": 0.01}), Block(100, 10.0, {"it": 0.01}), Block(100, 1.0, {"it": 0.04})]
    way = Way("a way", {}, blocks)
    assert way.per_second == pytest.approx(100)
    assert way.micros("it") == pytest.approx(200)


@pytest.mark.parametrize(
    ("goal", "reached"),
    [
        (Goal("cost", 1.2, 1.25), True),
        (Goal("cost", 1.3, 1.25), False),
        (Goal("rate", 2.6, 2.5, at_least=True), True),
        (Goal("rate", 2.4, 2.5, at_least=True), False),
    ],
)
def test_a_goal_knows_its_side(goal: Goal, reached: bool) -> None:  # noqa: FBT001  a parameter of the table
    """A cost is reached below its bound, a rate above it."""
    assert goal.reached is reached


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
            f"ws://127.0.0.1:{port}/",
            1,
            lambda _, payload: received.append(payload),
            lambda _: b"hello",
            None,
            binary=True,
        )
        for payload in payloads:
            wire.send(payload)
        await wait_for(lambda: len(received) > len(payloads), "all to come back")
        wire.close()
    assert received == [b"hello", *payloads]


async def test_frames_may_arrive_in_pieces() -> None:
    """Bytes that arrive one by one make the same messages as at once."""
    received: list[bytes] = []
    wire = Wire("ws://127.0.0.1:1/", None, lambda _, payload: received.append(payload), binary=True)
    wire.opened.set_result(None)
    frames = b"\x82\x03abc" + b"\x82\x7e\x00\xc8" + b"y" * 200 + b"\x82\x00"
    for byte in frames:
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
            await open_wires(f"ws://127.0.0.1:{port}/", 1, lambda *_: None, None, None, binary=True)


def test_the_benchmarks_run() -> None:
    """The smallest run goes through every part, prints every goal, and ends with 0 whatever was reached."""
    small = ("--viewers", "100", "--connections", "4", "--blocks", "1", "--seconds", "0.2")
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.bench", *small],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for goal in (
        "vs one EVALSHA each",
        "over websockets vs the naive server",
        "vs the raw loop",
        "idle viewer",
    ):
        assert goal in done.stdout, done.stdout
