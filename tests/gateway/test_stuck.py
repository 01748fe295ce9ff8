"""Viewers who missed too much to catch up, and peers who send without ever reading."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from websockets.frames import Frame, Opcode

from server.errors import CLOSE_TOO_MANY_MESSAGES
from server.gateway.socket import CLOSE_SECONDS, MAX_UNCOUNTED
from tests.gateway.sluggish import Sluggish, pin_big_products
from tests.server import ServerProcess, own_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stage import Stage

BUFFER = 65_536
PINGS_AT_ONCE = 500
MOST_PINGS = 1_000_000
PATIENCE_SECONDS = 25.0  # the keepalive, which would also find such a peer, takes 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server with small buffers."""
    with own_server(
        tmp_path_factory.mktemp("small"), {"LIVEDROP_VIEWER_BUFFER_BYTES": str(BUFFER)}
    ) as process:
        yield process


async def pin(stage: Stage, *skus: str) -> None:
    """Pin products."""
    pinned = await stage.host("PUT", f"/v1/shows/{stage.show}/pinned", json={"skus": list(skus)})
    assert pinned.status_code == 200, pinned.text


async def flood(peer: Sluggish) -> None:
    """Send pings and read nothing, for as long as the connection takes them. Raises TimeoutError if that is long."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in range(MOST_PINGS // PINGS_AT_ONCE):
            for number in range(PINGS_AT_ONCE):
                peer._protocol.send_ping(number.to_bytes(125, "big"))
            await peer._flush()


async def send_on(peer: Sluggish, data: bytes) -> None:
    """Send the same bytes again and again, for as long as the connection takes them."""
    while True:
        await asyncio.get_running_loop().sock_sendall(peer._socket, data)


async def test_who_missed_more_than_fits_gets_the_picture(stage: Stage) -> None:
    """Missed events beyond the viewer's buffer: a snapshot instead, and the connection stays; few are caught up."""
    await pin_big_products(stage, 0)
    token = stage.viewer()
    async with stage.watching(token) as viewer:
        place = viewer.place
    await pin(stage, "MUG")
    async with stage.watching(token, since=place) as back:
        assert back.welcome["recovered"] is True
    for _ in range(5):
        await pin(stage, "BIG0")  # 20 kB each
    async with stage.watching(token, since=place) as back:
        assert back.welcome["recovered"] is False
        assert [product["sku"] for product in back.welcome["snapshot"]["pinned"]] == ["BIG0"]
        assert (await back.request({"type": "ping"}))["type"] == "pong"
    await pin(stage)


async def test_a_peer_who_pings_and_never_reads_is_cut_off(stage: Stage) -> None:
    """Once the answers to its pings do not leave any more, its connection is ended; nobody else notices."""
    async with stage.watching() as other, Sluggish(stage) as peer:
        await peer.send({"type": "hello", "token": stage.viewer()})
        with pytest.raises(ConnectionError):
            await flood(peer)
        assert (await other.request({"type": "ping"}))["type"] == "pong"


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
async def test_a_peer_who_sends_nothing_but_signs_of_life_is_let_go(stage: Stage, opcode: Opcode) -> None:
    """No limit on messages counts them, and they cost more to read than to send: with too many it is 3013.

    It reads all that it is sent, and needs no token. Who goes on sending after our close frame is cut off.
    """
    empty = Frame(opcode, b"").serialize(mask=True)
    async with stage.watching() as other, Sluggish(stage) as peer:
        await asyncio.get_running_loop().sock_sendall(peer._socket, empty * (MAX_UNCOUNTED + 1))
        code, reason = await peer.closed()
        assert (code, reason["code"]) == (CLOSE_TOO_MANY_MESSAGES, CLOSE_TOO_MANY_MESSAGES)
        async with asyncio.timeout(CLOSE_SECONDS / 2):
            with pytest.raises(ConnectionError):
                await send_on(peer, empty * MAX_UNCOUNTED)
        assert (await other.request({"type": "ping"}))["type"] == "pong"
