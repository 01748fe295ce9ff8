"""Viewers who fall behind: live numbers wait for them, then the connection does not; nobody else notices either."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from server.protocol.codec import Codec, unpack_event
from tests.gateway.sluggish import Sluggish, pin_big_products
from tests.gateway.test_limits import SLOW, figure
from tests.server import ServerProcess, own_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.client import LiveClient
    from tests.stage import Stage

HIGH_MARK = 4_194_304
PINS_AT_ONCE = 5  # of 60 kB: far less than lies between the low mark and the high one
MOST_PINS = 1000
SKIPPED = "livedrop_slow_skips_total"
DROPS = 3
CHANGES = 3

Message = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server whose marks lie far apart."""
    with own_server(
        tmp_path_factory.mktemp("slow"), {"LIVEDROP_VIEWER_BUFFER_BYTES": str(HIGH_MARK)}
    ) as process:
        yield process


def said(peer: Sluggish) -> list[Message]:
    """Return the messages that a peer has read so far."""
    return [unpack_event(bytes(frame.data)) for frame in peer.frames if frame.opcode.name == "BINARY"]


async def stall(stage: Stage, peer: Sluggish, drop: str) -> int:
    """Let a peer join and fall behind, above the low mark; return how many events that took."""
    await peer.send({"type": "hello", "token": stage.viewer()})
    while not peer.frames:
        await peer.read()
    skipped, pins = await figure(stage, SKIPPED), 0
    async with stage.watching() as other:
        while await figure(stage, SKIPPED) == skipped:
            assert pins < MOST_PINS, "nobody is ever behind"
            await pin_big_products(stage, PINS_AT_ONCE)
            pins += PINS_AT_ONCE
            await change(stage, drop)
            held = (await stage.stock(drop))["held"]
            await other.until(lambda each: each.stock.get(drop, {}).get("held") == held)  # noqa: B023  awaited here
    return pins


async def change(stage: Stage, drop: str) -> None:
    """Change a drop's numbers."""
    assert (await stage.reserve(stage.viewer(), drop)).status_code == 201


def knows(newest: dict[str, int], viewer: LiveClient) -> bool:
    """Whether a viewer has been told these revisions."""
    return {drop: numbers["revision"] for drop, numbers in viewer.stock.items() if drop in newest} == newest


async def test_who_is_behind_is_owed_only_the_newest_numbers(stage: Stage) -> None:
    """Above the low mark no live number is sent; who reads again gets every event, and the newest of every drop."""
    drops = [await stage.drop(1000) for _ in range(DROPS)]
    async with Sluggish(stage) as slow, stage.watching(codec=Codec.JSON) as other:
        start = other.place["offset"]
        let_go = await figure(stage, SLOW)
        pins = await stall(stage, slow, drops[0])
        for _ in range(CHANGES):
            for drop in drops:
                await change(stage, drop)
            newest = {drop: (await stage.stock(drop))["revision"] for drop in drops}
            await other.until(partial(knows, newest))
        assert await figure(stage, SLOW) == let_go

        def told() -> dict[str, int]:
            numbers = [message for message in said(slow) if message.get("drop_id") in drops]
            return {message["drop_id"]: message["revision"] for message in numbers}

        while told() != newest:
            assert await slow.read()
        messages = said(slow)
        offsets = [message["offset"] for message in messages if "at" in message]
        assert offsets == list(range(start + 1, start + pins + 1))
        for drop in drops[1:]:
            revisions = [message["revision"] for message in messages if message.get("drop_id") == drop]
            assert set(revisions) == {newest[drop]}
        await slow.send({"type": "ping", "id": "on time again"})
        await change(stage, drops[0])
        newest[drops[0]] += 1
        while told() != newest or "on time again" not in [message.get("id") for message in said(slow)]:
            assert await slow.read()
        await other.until(lambda each: each.place["offset"] == start + pins)


async def test_who_is_too_far_behind_is_let_go_and_keeps_what_they_hold(stage: Stage) -> None:
    """Above the high mark: 3008 after the whole frames sent before it; what they reserved is theirs as before."""
    drop, token = await stage.drop(1000), stage.viewer()
    held = (await stage.reserve(token, drop)).json()
    async with stage.watching() as quick, stage.watching(codec=Codec.JSON) as also, Sluggish(stage) as slow:
        start, pins, before = quick.place["offset"], 0, await figure(stage, SLOW)
        await slow.send({"type": "hello", "token": token})
        while await figure(stage, SLOW) == before:
            assert pins < MOST_PINS, "the slow one is never let go"
            await pin_big_products(stage, 2 * PINS_AT_ONCE)
            pins += 2 * PINS_AT_ONCE
        for viewer in (quick, also):
            await viewer.until(lambda each: each.place["offset"] == start + pins)
            assert viewer.offsets == list(range(start + 1, start + pins + 1))
            assert (await viewer.request({"type": "ping"}))["type"] == "pong"
        code, reason = await slow.closed()
        assert (code, reason["retry_after_ms"]) == (3008, 1000)
        offsets = [message["offset"] for message in said(slow) if "at" in message]
        assert offsets == list(range(start + 1, start + len(offsets) + 1))
        kept = await stage.call("GET", f"/v1/reservations/{held['id']}", token)
        assert (kept.json()["state"], kept.json()["expires_at"]) == ("held", held["expires_at"])
        async with stage.watching(
            token, since={"epoch": quick.welcome["epoch"], "offset": offsets[-1]}
        ) as back:
            await back.until(lambda each: each.place["offset"] == start + pins)
