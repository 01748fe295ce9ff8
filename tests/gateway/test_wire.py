"""The handshake on a real server: the usual one, the odd ones, what comes behind it at once, and compression."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from server.gateway.frames import BINARY, COMPRESSED, TEXT
from server.gateway.wire import HAND_OVER, MAX_EARLY_BYTES, Wire
from server.protocol.codec import Codec, unpack_event
from server.settings import Settings
from tests.gateway.fronted import serving
from tests.server import ServerProcess, own_server
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.stage import Stage

SECONDS = 10.0
KEY = base64.b64encode(bytes(range(16))).decode()
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
ACCEPT = base64.b64encode(hashlib.sha1(f"{KEY}{GUID}".encode()).digest()).decode()  # noqa: S324  the RFC's own


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server that agrees to compression."""
    with own_server(tmp_path_factory.mktemp("wire"), {"LIVEDROP_DEFLATE": "true"}) as process:
        yield process


def request(stage: Stage, **changed: str | None) -> bytes:
    """Return an upgrade request, with headers changed (underscores are hyphens), or left out with None."""
    headers: dict[str, str | None] = {
        "Host": f"127.0.0.1:{stage.server.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Protocol": Codec.JSON.value,
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET /v1/shows/{stage.show}/live HTTP/1.1", *lines, "", ""]).encode()


def masked(opcode: Opcode, payload: bytes) -> bytes:
    """Return a client's frame."""
    return Frame(opcode, payload).serialize(mask=True)


@asynccontextmanager
async def line(stage: Stage) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect without a word."""
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.server.port)
        try:
            yield reader, writer
        finally:
            writer.close()


async def answer(stage: Stage, data: bytes) -> tuple[int, dict[str, str]]:
    """Send a handshake and return the answer's status and headers, lower case."""
    async with line(stage) as (reader, writer):
        writer.write(data)
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        pairs = [each.split(": ", 1) for each in lines]
        assert len({name.lower() for name, _value in pairs}) == len(pairs), "a header came twice"
        return int(status.split()[1]), {name.lower(): value for name, value in pairs}


async def test_the_usual_handshake_is_answered_as_the_rfc_says(stage: Stage) -> None:
    """101 with the key's digest, the subprotocol that was offered, and the security headers of every answer."""
    status, headers = await answer(stage, request(stage))
    assert status == 101
    assert headers["upgrade"].lower() == "websocket"
    assert headers["connection"].lower() == "upgrade"
    assert headers["sec-websocket-accept"] == ACCEPT
    assert headers["sec-websocket-protocol"] == Codec.JSON.value
    assert "sec-websocket-extensions" not in headers
    assert "server" not in headers


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Sec_WebSocket_Key": "!" * 24}, 400),
        ({"Sec_WebSocket_Key": base64.b64encode(bytes(15)).decode()}, 400),
        ({"Sec_WebSocket_Version": "12"}, 400),
        ({"Sec_WebSocket_Version": None}, 400),
        ({"Sec_WebSocket_Protocol": "other.v9"}, 400),
    ],
)
async def test_a_handshake_that_is_none_is_refused(
    stage: Stage, changed: dict[str, str | None], status: int
) -> None:
    """A missing or broken key, another version, an unknown subprotocol: refused, and the connection ends."""
    async with line(stage) as (reader, writer):
        writer.write(request(stage, **changed))
        head = await reader.readuntil(b"\r\n\r\n")
        assert int(head.split()[1]) == status
        await reader.read()  # to the end: the server has hung up


async def test_an_unknown_path_is_no_websocket(stage: Stage) -> None:
    """Elsewhere an upgrade is refused like any unknown path, and the server has nothing to log about."""
    status, _headers = await answer(stage, request(stage).replace(b"/live", b"/none"))
    assert status == 403
    assert "Traceback" not in stage.server.log.read_text()


async def test_what_comes_right_behind_the_handshake_is_heard(stage: Stage) -> None:
    """A client need not wait for the answer: hello and ping in the same segment are answered."""
    hello = msgspec.json.encode({"type": "hello", "token": stage.viewer()})
    ping = msgspec.json.encode({"type": "ping", "id": "early"})
    async with line(stage) as (reader, writer):
        writer.write(request(stage) + masked(Opcode.TEXT, hello) + masked(Opcode.TEXT, ping))
        await reader.readuntil(b"\r\n\r\n")
        heard = b""
        while b'"early"' not in heard:
            heard += await reader.read(65_536)
        assert heard.index(b'"welcome"') < heard.index(b'"pong"')


class Keeper(asyncio.Protocol):
    """A successor that keeps what it is given."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def take_over(self, transport: asyncio.Transport, connections: set[Any]) -> None:
        self.transport, self.connections = transport, connections
        connections.add(self)
        transport.set_protocol(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.got.append(data)


async def test_nothing_overtakes_what_came_before_the_hand_over(stage: Stage) -> None:
    """Bytes that wait at the socket in that very moment are read after those that were kept; uvloop is in a hurry."""
    kept = Keeper()
    handshake = request(stage)
    with socket.socket() as client:

        async def app(scope: Any, receive: Any, send: Any) -> None:
            def successor(_compressed: bool) -> Keeper:  # noqa: FBT001  as the gateway's
                client.send(b"second")
                return kept

            await receive()
            await send({"type": "websocket.accept"})
            assert scope["extensions"][HAND_OVER](successor)

        with serving(Settings(), Wire, app) as server:
            client.connect(("127.0.0.1", server.port))
            client.send(handshake + b"first ")
            await wait_for(lambda: len(b"".join(kept.got)) == len(b"first second"), "all of it")
    assert b"".join(kept.got) == b"first second"


async def test_too_much_before_the_answer_ends_the_connection(stage: Stage) -> None:
    """What a client sends before it is answered is bounded."""

    async def undecided(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        assert (await receive())["type"] == "websocket.disconnect"

    with serving(Settings(), Wire, undecided) as server:
        async with server.client() as client:
            client.send(request(stage) + bytes(MAX_EARLY_BYTES + 1))
            with suppress(ConnectionError):  # a reset, where bytes were still on their way
                assert await client.rest() == b""


class Compressed:
    """A client of the library with compression, byte by byte."""

    def __init__(self, stage: Stage, codec: Codec, **offer: int | bool) -> None:
        self.extension = ClientPerMessageDeflateFactory(**offer)  # type: ignore[arg-type]  # bits or flags, by name
        uri = parse_uri(f"ws://127.0.0.1:{stage.server.port}/v1/shows/{stage.show}/live")
        self.protocol = ClientProtocol(
            uri, extensions=[self.extension], subprotocols=[Subprotocol(codec.value)], max_size=None
        )
        self.codec = codec
        self.first_bytes: set[int] = set()

    async def talk(self, stage: Stage) -> list[dict[str, object]]:
        """Say hello, have the host tell something long, send a long ping, and return all messages up to its pong."""
        told: list[dict[str, object]] = []
        async with line(stage) as (reader, writer):
            self.protocol.send_request(self.protocol.connect())
            while not any(message["type"] == "pong" for message in told):
                for data in self.protocol.data_to_send():
                    writer.write(data)
                data = await reader.read(65_536)
                assert data, "hung up"
                self.first_bytes.add(data[0])
                self.protocol.receive_data(data)
                for event in self.protocol.events_received():
                    if isinstance(event, Response):
                        self._send({"type": "hello", "token": stage.viewer()})
                    elif isinstance(event, Frame):
                        told.append(self._read(event))
                        if told[-1]["type"] == "welcome":
                            pinned = await stage.host(
                                "PUT", f"/v1/shows/{stage.show}/pinned", json={"skus": ["MUG"]}
                            )
                            assert pinned.status_code == 200
                        if told[-1]["type"] == "product.pinned":
                            self._send({"type": "ping", "id": "p", "more": "again and again " * 500})
        return told

    def _send(self, message: dict[str, object]) -> None:
        data = self.codec.encode(message)
        (self.protocol.send_binary if self.codec.binary else self.protocol.send_text)(data)

    def _read(self, event: Frame) -> dict[str, object]:
        data = bytes(event.data)
        told: dict[str, object] = unpack_event(data) if self.codec.binary else msgspec.json.decode(data)
        return told


@pytest.mark.parametrize("codec", list(Codec))
async def test_compression_is_agreed_without_context_takeover(stage: Stage, codec: Codec) -> None:
    """Compressed both ways: the shared event is understood, and so is the client's compressed command."""
    client = Compressed(stage, codec)
    told = await client.talk(stage)
    assert [type(each).__name__ for each in client.protocol.extensions] == ["PerMessageDeflate"]
    assert {"welcome", "product.pinned", "pong"} <= {str(message["type"]) for message in told}
    assert client.first_bytes & {TEXT | COMPRESSED, BINARY | COMPRESSED}, "nothing came compressed"


async def test_who_has_a_smaller_window_is_sent_plain_frames(stage: Stage) -> None:
    """Shared frames use the whole window: whoever cannot have it may compress, and gets messages as they are."""
    client = Compressed(stage, Codec.JSON, server_max_window_bits=10)
    await client.talk(stage)
    assert len(client.protocol.extensions) == 1
    assert not client.first_bytes & {TEXT | COMPRESSED, BINARY | COMPRESSED}
