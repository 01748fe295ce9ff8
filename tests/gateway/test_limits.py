"""Slow, silent, broken and hostile clients cost the others nothing: a server with narrow limits, and who meets them."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.asyncio.client import connect as connect_live

from server.protocol.codec import Codec
from server.store.keys import key
from server.store.redis import connect
from tests.gateway.sluggish import Sluggish, pin_big_products
from tests.problems import assert_problem
from tests.server import ServerProcess, own_server
from tests.waiting import wait_for
from tests.wire import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stage import Stage

BUFFER = 65_536
MOST_PINS = 1000  # of 60 kB each
SLOW = 'livedrop_closed_total{code="3008"}'
SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server that is quick to lose its patience."""
    settings = {
        "LIVEDROP_HELLO_SECONDS": "1",
        "LIVEDROP_VIEWER_BUFFER_BYTES": str(BUFFER),
        "LIVEDROP_LOG_LENGTH": "20",
        "LIVEDROP_SOCKETS_PER_VIEWER": "2",
        "LIVEDROP_ALLOWED_ORIGINS": SHOP,
    }
    with own_server(tmp_path_factory.mktemp("narrow"), settings) as process:
        yield process


async def figure(stage: Stage, name: str) -> float:
    """Return a figure of /metrics, 0 where it is not there yet."""
    text = (await stage.http.get("/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_no_hello_in_time_closes_with_3500(stage: Stage) -> None:
    """Who connects and says nothing is sent away after the time that the sentence names."""
    async with wire(stage) as silent:
        code, reason = await silent.closed()
        assert (code, reason["message"]) == (3500, "No hello within 1 s.")
    async with wire(stage, stage.viewer()) as viewer:
        await viewer.lives()


async def test_slow_viewers_are_let_go_and_the_others_go_on(stage: Stage) -> None:
    """Who does not read is closed with 3008 once the buffer is full; who reads sees every event meanwhile.

    One of the slow ones reads on at last and finds out why; the other never does, and is forgotten all the same.
    """
    async with stage.watching() as quick, stage.watching(codec=Codec.JSON) as also:
        connections, start, pins = await figure(stage, "livedrop_connections"), quick.place["offset"], 0
        async with Sluggish(stage) as slow, Sluggish(stage) as deaf:
            for each in (slow, deaf):
                await each.send({"type": "hello", "token": stage.viewer()})
            while await figure(stage, SLOW) < 2:
                assert pins < MOST_PINS, "the slow ones are never let go"
                await pin_big_products(stage, 10)
                pins += 10
            for viewer in (quick, also):
                await viewer.until(lambda each: each.place["offset"] == start + pins)
                assert viewer.offsets == list(range(start + 1, start + pins + 1))
                await viewer.request({"type": "ping"})
            code, reason = await slow.closed()
            assert code == reason["code"] == 3008
            assert reason["retry_after_ms"] == 1000
            behind = re.fullmatch(r"(\d+) bytes behind", reason["message"])
            assert behind
            assert int(behind[1]) <= BUFFER

            async def forgotten() -> bool:
                return await figure(stage, "livedrop_connections") == connections

            await wait_for(forgotten, "both are forgotten", seconds=20)
            await quick.request({"type": "ping"})


async def test_sockets_per_viewer_are_bounded_by_the_setting(stage: Stage) -> None:
    """The limit is a setting, and its sentence has the number."""
    token = stage.viewer()
    async with wire(stage, token), wire(stage, token), wire(stage) as third:
        await third.send({"type": "hello", "token": token})
        code, reason = await third.closed()
        assert (code, reason["message"][:22]) == (3504, "2 connections are open")


async def test_a_named_origin_may_connect(stage: Stage) -> None:
    """A shop's own page connects once its origin is named, for the socket and for requests from its scripts."""
    async with wire(stage, stage.viewer(), origin=SHOP) as viewer:
        await viewer.lives()
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    answer = await stage.http.options(
        "/v1/checkout", headers={**asked, "Access-Control-Request-Headers": "authorization,idempotency-key"}
    )
    assert answer.headers["access-control-allow-origin"] == SHOP
    foreign = await stage.http.options("/v1/checkout", headers={**asked, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


async def test_clients_that_vanish_leave_nothing_behind(stage: Stage) -> None:
    """Cut lines, half handshakes and half requests end quietly; the connections are counted down again."""
    before, logged = await figure(stage, "livedrop_connections"), len(stage.server.log.read_text())
    port = stage.server.port
    for data in (
        b"GET /v1/shows/x/live HTTP/1.1\r\n",
        b"POST /v1/checkout HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nAuthorization: Bearer "
        + stage.viewer().encode()
        + b"\r\nIdempotency-Key: k\r\n\r\nhalf a body",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ):
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        await writer.drain()
        writer.transport.abort()
    for _ in range(5):
        async with wire(stage, stage.viewer()) as viewer:
            viewer.socket.transport.abort()

    async def counted_down() -> bool:
        return await figure(stage, "livedrop_connections") == before

    await wait_for(counted_down, "the connections are counted down")
    async with httpx.AsyncClient(base_url=stage.server.url) as fresh:
        assert (await fresh.get("/readyz")).status_code == 200
    log = stage.server.log.read_text()[logged:]
    assert "Traceback" not in log, log
    assert "request.failed" not in log, log


async def test_a_command_that_breaks_the_server_breaks_nothing_else(stage: Stage) -> None:
    """What fails inside is `unavailable` on both doors, the connection answers on, and the same id works afterwards."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Broken", "currency": "EUR"})
    stage.show = made.json()["id"]
    await stage.host("POST", f"/v1/shows/{stage.show}/start")
    drop, token = await stage.drop(2), stage.viewer()
    url = stage.server.store_url
    store, kept = connect(url), key("stock", show=stage.show)
    async with wire(stage, token) as viewer:
        reserve = {"type": "reserve", "id": "op", "drop": drop, "quantity": 1}
        await store.rename(kept, f"{kept}:aside")
        await store.set(kept, "not what a script expects")
        await viewer.send(reserve)
        failed = await viewer.answer()
        assert (failed["code"], failed["id"]) == ("unavailable", "op")
        assert failed["retry_after_ms"] > 0
        other = await stage.reserve(stage.viewer(), drop)
        assert_problem(other, 503, "unavailable", "outcome is unknown")
        assert "WRONGTYPE" not in failed["message"] + other.text
        await viewer.lives()
        await store.rename(f"{kept}:aside", kept)
        await viewer.send(reserve)
        taken = await viewer.answer()
        assert (taken["type"], taken["replayed"]) == ("reservation", False)
        assert stage.numbers(await stage.stock(drop)) == (1, 1, 0)
    await store.aclose()
    await stage.audit()


async def test_compression_is_off_unless_set(stage: Stage) -> None:
    """Who offers compression is not refused, and gets none: it costs the server more than it saves most viewers."""
    address = f"ws{stage.server.url.removeprefix('http')}/v1/shows/{stage.show}/live"
    async with connect_live(address, compression="deflate", proxy=None) as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
        assert socket.protocol.extensions == []
