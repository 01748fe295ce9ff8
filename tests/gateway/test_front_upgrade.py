"""A request that becomes a websocket is handed over as it was parsed, with every byte that came behind it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from server.settings import Settings
from tests.gateway.fronted import serving
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.gateway.front import Front
    from tests.gateway.fronted import Server

HANDSHAKE = (
    b"GET /live?a=%20b HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\n"
    b"Upgrade: WebSocket\r\nX-Name: caf\xe9\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HELLO_FRAME = b"\x81\x85\0\0\0\0hello"  # masked with zeros: text, 5 bytes
QUICK = 1  # second for a head


class Taker(asyncio.Protocol):
    """Keeps what it is given, and says so to the other side."""

    made: ClassVar[list[Taker]] = []
    refuses: ClassVar[bool] = False

    def __init__(self, **given: Any) -> None:
        self.given = given
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.data = b""
        self.transport: Any = None
        self.made.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.given["server_state"].connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.given["server_state"].connections.discard(self)

    def take_request(self, front: Front) -> None:
        self.url, self.headers = front.url, list(front.headers)
        self.transport.write(b"taken")
        if self.refuses:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self.data += data


class Refuser(Taker):
    """Ends the connection at once."""

    refuses = True


@pytest.fixture(autouse=True)
def nothing_made() -> Iterator[None]:
    """Begin without protocols, and keep none."""
    Taker.made.clear()
    yield
    Taker.made.clear()


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server whose websockets only take."""
    with serving(Settings(handshake_seconds=60), Taker) as each:
        yield each


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    """Answer one text message of a websocket with the same."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": (await receive())["text"]})


@pytest.mark.parametrize("cut", [0, 1, 40, len(HANDSHAKE) - 3, len(HANDSHAKE)])
async def test_the_request_and_what_stands_behind_it_are_handed_over(server: Server, cut: int) -> None:
    """However the bytes are cut, the protocol gets the path with its query, the headers in order, and all the rest."""
    data = HANDSHAKE + HELLO_FRAME + HELLO_FRAME
    async with server.client() as client:
        client.send(data[:cut])
        await wait_for(lambda: len(server.fronts) == 1, "the connection is there")
        client.send(data[cut:])
        assert await client.reader.readexactly(5) == b"taken"
        (taker,) = Taker.made
        assert taker.url == b"/live?a=%20b"
        assert taker.headers[:3] == [
            (b"host", b"shop.example"),
            (b"connection", b"keep-alive, Upgrade"),
            (b"upgrade", b"WebSocket"),
        ]
        assert (b"x-name", b"caf\xe9") in taker.headers
        assert set(taker.given) == {"config", "server_state", "app_state"}
        client.send(HELLO_FRAME)
        await wait_for(lambda: taker.data == 3 * HELLO_FRAME, "every frame has arrived, once")
    assert server.state.connections <= {taker}
    await wait_for(lambda: not server.state.connections, "the connection is gone")


async def test_uvicorns_own_protocol_gets_them_too() -> None:
    """A protocol without `take_request` gets the request as text, and a frame behind it is not lost."""
    with serving(Settings(), WebSocketsSansIOProtocol, echo) as server:
        async with server.client() as client:
            client.send(HANDSHAKE + HELLO_FRAME)
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await client.reader.readexactly(7) == b"\x81\x05hello"


async def test_a_protocol_that_has_ended_the_connection_gets_nothing_more() -> None:
    """What stands behind a handshake that was refused is thrown away."""
    with serving(Settings(), Refuser) as server:
        async with server.client() as client:
            client.send(HANDSHAKE + HELLO_FRAME)
            assert await client.rest() == b"taken"
        assert [taker.data for taker in Taker.made] == [b""]


async def test_a_websocket_has_no_deadline_of_a_head() -> None:
    """The connection stays, however long it says nothing: it is another's now."""
    with serving(Settings(handshake_seconds=QUICK), Taker) as server:
        async with server.client() as client:
            client.send(HANDSHAKE)
            await client.reader.readexactly(5)
            await asyncio.sleep(1.5 * QUICK)  # the claim is about time that passes
            client.send(HELLO_FRAME)
            await wait_for(lambda: Taker.made[0].data == HELLO_FRAME, "the frame has arrived")


async def test_nothing_of_the_front_stays(server: Server) -> None:
    """The protocol before is freed at once, without the garbage collector: there are ten thousand of them."""
    gc.disable()
    try:
        async with server.client() as client:
            client.send(HANDSHAKE)
            await client.reader.readexactly(5)
            front = weakref.ref(server.fronts.pop())
            await wait_for(lambda: front() is None, "the front is freed")
    finally:
        gc.enable()


GET = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"


@pytest.mark.parametrize(
    ("handshake", "reason"),
    [
        (HANDSHAKE.replace(b"GET", b"POST"), b"A websocket begins with GET"),
        (HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0"), b"A websocket begins with GET and HTTP/1.1"),
        (HANDSHAKE.replace(b"X-Name: caf\xe9", b"Content-Length: 3"), b"cannot have a body"),
        (HANDSHAKE.replace(b"X-Name: caf\xe9", b"Transfer-Encoding: chunked"), b"cannot have a body"),
        (HANDSHAKE.replace(b"Host: shop.example\r\n", b""), b"One Host header"),
        (HANDSHAKE.replace(b"caf\xe9", 20_000 * b"x"), b"A request's head may have 16384 bytes"),
    ],
    ids=["POST", "1.0", "length", "chunked", "no host", "large"],
)
async def test_a_handshake_is_a_request_like_others(server: Server, handshake: bytes, reason: bytes) -> None:
    """The limits of a head hold for it, and it is a GET of HTTP/1.1 without a body (RFC 6455, 4.1)."""
    async with server.client() as client:
        client.send(handshake + b"abc")
        said = await client.rest()
        assert said.startswith(b"HTTP/1.1 4")
        assert reason in said
    assert Taker.made == []


async def test_a_length_of_nothing_is_no_body(server: Server) -> None:
    """Some devices say `Content-Length: 0`."""
    async with server.client() as client:
        client.send(HANDSHAKE.replace(b"X-Name: caf\xe9", b"Content-Length: 0"))
        assert await client.reader.readexactly(5) == b"taken"


async def test_a_handshake_waits_for_the_answers_before_it(server: Server) -> None:
    """Right behind a request under way it is refused: that answer would be written into the websocket."""
    async with server.client() as client:
        client.send(GET.replace(b" / ", b" /slow ") + HANDSHAKE)
        await wait_for(lambda: server.asked == ["/slow"], "the request is under way")
        server.go()
        assert (await client.answer())[0] == 200
        assert await client.rest() == b""
    assert Taker.made == []


async def test_a_handshake_may_follow_an_answer(server: Server) -> None:
    """A connection that has served a request may become a websocket."""
    async with server.client() as client:
        await client.request(GET)
        client.send(HANDSHAKE + HELLO_FRAME)
        assert await client.reader.readexactly(5) == b"taken"
        await wait_for(lambda: Taker.made[0].data == HELLO_FRAME, "the frame has arrived")
