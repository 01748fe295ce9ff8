"""One websocket to a show: messages in, messages out, in either subprotocol, and one kind of end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from server.client.failures import NO_CONNECTION, ClosedError, not_connected
from server.errors import CLOSE_MALFORMED, CLOSE_NOT_ALLOWED, Close, Code
from server.protocol.codec import Codec, pack, unpack_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from websockets.http11 import Response

    from server.protocol.events import Message

    Dial = Callable[[str, str, Codec], AbstractAsyncContextManager["Wire"]]

OPEN_SECONDS = 10.0
MAX_MESSAGE_BYTES = 2**24  # a snapshot of ten thousand drops is half of it; larger ones end the connection
CLOSE_SECONDS = 2.0  # for the server's goodbye; who leaves does not wait longer
# Refusals of the handshake that another try would meet again, and the close codes that mean the same.
FINAL_REFUSALS: dict[str, Close] = {
    Code.NOT_FOUND: CLOSE_NOT_ALLOWED,
    Code.NOT_ALLOWED: CLOSE_NOT_ALLOWED,
    Code.INVALID_MESSAGE: CLOSE_MALFORMED,
}


class Wire(Protocol):
    """A connection as `LiveDrop` needs it."""

    async def send(self, message: Message) -> None:
        """Send a message; on a connection that has ended it is lost."""

    async def receive(self) -> Message:
        """Return the next message. Raises ClosedError."""

    def abort(self) -> None:
        """End it at once, without a goodbye that a dead network would never answer."""


def address_of(url: str, show: str) -> str:
    """Return where the live socket of a show is, on the server at `url` (http://… or https://…)."""
    scheme, _, rest = url.rstrip("/").partition("://")
    if scheme not in {"http", "https"} or not rest:
        raise ValueError(f"{url!r} is no http:// or https:// URL")
    return f"ws{scheme.removeprefix('http')}://{rest}/v1/shows/{quote(show, safe='')}/live"


def framed(codec: Codec, message: Message) -> bytes | str:
    """Return a message as it goes over the websocket."""
    return pack(message) if codec is Codec.MSGPACK else msgspec.json.encode(message).decode()


def message_in(data: bytes | str) -> Message:
    """Return the message in what came over the websocket."""
    message: Message = unpack_event(data) if isinstance(data, bytes) else msgspec.json.decode(data)
    return message


class Socket:
    """A `Wire` over a real websocket."""

    def __init__(self, socket: ClientConnection, codec: Codec) -> None:
        self._socket = socket
        self._codec = codec

    async def send(self, message: Message) -> None:
        """Send a message."""
        with suppress(ConnectionClosed):  # `receive` tells it
            await self._socket.send(framed(self._codec, message))

    async def receive(self) -> Message:
        """Return the next message."""
        try:
            data = await self._socket.recv()
        except ConnectionClosed:
            code, reason = self._socket.close_code, self._socket.close_reason
            raise ClosedError(code or NO_CONNECTION, reason or "") from None
        try:
            message = message_in(data)
        except (ValueError, msgspec.DecodeError) as error:
            raise not_connected(f"a message that cannot be read: {error}") from error
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise not_connected("a message without a type")
        return message

    def abort(self) -> None:
        """End it at once."""
        self._socket.transport.abort()


@asynccontextmanager
async def dial(url: str, show: str, codec: Codec) -> AsyncIterator[Wire]:
    """Connect to a show. Raises ClosedError where that does not work: a final one where it never will.

    A proxy of the environment is used. What is received waits in the kernel while nobody reads, as TCP has it.
    """
    try:
        socket = await connect(
            address_of(url, show),
            subprotocols=[Subprotocol(codec.value)],
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            ping_interval=None,  # pings of the protocol ask more: whether the server itself still answers
        )
    except InvalidStatus as refused:
        raise refusal(refused.response) from refused
    except (OSError, EOFError, TimeoutError, WebSocketException) as error:
        raise not_connected(f"{type(error).__name__}: {error}") from error
    try:
        yield Socket(socket, codec)
    finally:
        try:
            await socket.close()
        except asyncio.CancelledError:
            socket.transport.abort()
            raise


def refusal(response: Response) -> ClosedError:
    """Return what an answer in place of the handshake means.

    Only what this server itself says is final: something between may answer 404 while it is being moved.
    """
    try:
        problem = msgspec.json.decode(response.body or b"{}")
    except msgspec.DecodeError:
        problem = {}
    told = problem if isinstance(problem, dict) else {}
    detail = str(told.get("detail", f"the handshake was answered with {response.status_code}"))
    if told.get("code") in FINAL_REFUSALS:
        return ClosedError(FINAL_REFUSALS[told["code"]], detail)
    wait_ms = told.get("retry_after_ms")
    if not isinstance(wait_ms, int):
        header = response.headers.get("Retry-After", "")
        wait_ms = int(header) * 1000 if header.isascii() and header.isdigit() else None
    return not_connected(detail, wait_ms)
