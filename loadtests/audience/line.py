"""One connection of one viewer: frames in, frames out, and how it ended. No library, no task and no buffer of its own.

What a frame says is read once for all viewers who are sent the same bytes (`wire.Reader`).
"""

from __future__ import annotations

import _socket
import asyncio
import socket as _sockets
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import msgspec

from loadtests.audience.wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameError,
    answered,
    frame,
    refusal,
)
from server.protocol.codec import Codec, pack

if TYPE_CHECKING:
    from loadtests.audience.numbers import Message
    from loadtests.audience.wire import Reader, Told

VANISHED = 1006  # ended without a close frame, RFC 6455 section 7.4.1
NORMAL = (1000).to_bytes(2, "big")
NARROW_BUFFER = 4096  # bytes that the kernel takes for who reads slowly


class Ended(NamedTuple):
    """How a connection ended: a close code, or 0 and why there was none; and when to come back."""

    code: int
    reason: str
    retry_ms: int


class Ear(Protocol):
    """Who hears a line: a viewer."""

    def greet(self, line: Line) -> None:
        """Say hello: the handshake is done."""

    def hear(self, told: Told) -> None:
        """Take a message that came."""

    def lose(self, line: Line, ended: Ended) -> None:
        """Know that the server or the network has ended it."""


class Line(asyncio.Protocol):
    """A websocket. `request` is its opening handshake; the ear is told of everything, in order."""

    __slots__ = (
        "_codec",
        "_ear",
        "_ended",
        "_narrow",
        "_reader",
        "_request",
        "_rest",
        "_shaken",
        "_transport",
    )

    def __init__(self, ear: Ear, codec: Codec, reader: Reader, request: bytes, *, narrow: bool) -> None:
        self._ear = ear
        self._codec = codec
        self._reader = reader
        self._request = request
        self._narrow = narrow
        self._transport: asyncio.Transport | None = None
        self._shaken = False
        self._rest = b""
        self._ended = Ended(VANISHED, "the connection was lost", 0)

    def send(self, message: Message) -> None:
        """Send a message; on a connection that has ended it is lost."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._codec.binary:
            self._transport.write(frame(BINARY, pack(message)))
        else:
            self._transport.write(frame(TEXT, msgspec.json.encode(message)))

    def send_raw(self, payload: bytes) -> None:
        """Send a message of bytes that need not mean anything."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame(BINARY if self._codec.binary else TEXT, payload))

    def leave(self) -> None:
        """Say goodbye and go."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame(CLOSE, NORMAL))
            self._transport.close()

    def cut(self) -> None:
        """End it as a dead network does."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the websocket."""
        self._transport = cast("asyncio.Transport", transport)
        if self._narrow:
            narrow(transport.get_extra_info("socket").fileno())
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read what there is, and tell it."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        try:
            if not self._shaken:
                data = self._shake(data)
            frames, self._rest = self._reader.read(data)
            hear = self._ear.hear
            for told in frames:
                if told.opcode >= CLOSE:
                    self._control(told)
                else:
                    hear(told)
        except FrameError as error:
            self._end(Ended(0, str(error), 0))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell how it ended."""
        if exc is not None and self._ended.code == VANISHED:
            self._ended = Ended(VANISHED, f"the connection was lost: {exc}", 0)
        self._ear.lose(self, self._ended)

    def _shake(self, data: bytes) -> bytes:
        """Return the bytes after the handshake's answer, once that is whole."""
        answer = answered(data, self._codec)
        if answer is None:
            self._rest = data
            return b""
        if not answer[0]:
            status, retry_ms = refusal(data)
            self._end(Ended(0, f"HTTP {status}", retry_ms))
            return b""
        self._shaken = True
        self._ear.greet(self)
        return answer[1]

    def _control(self, told: Told) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if told.opcode == PING:
            self._transport.write(frame(PONG, told.payload))
        elif told.opcode == CLOSE:
            self._transport.write(frame(CLOSE, told.payload[:2]))
            reason = told.payload[2:].decode(errors="replace")
            self._end(Ended(told.code, f"closed with {told.code} {reason}".rstrip(), told.retry_ms))

    def _end(self, ended: Ended) -> None:
        self._ended = ended
        self._rest = b""
        if self._transport is not None:
            self._transport.close()


def narrow(descriptor: int) -> None:
    """Let the kernel take little for who does not read, as a phone on a bad line does.

    Past Python's own socket objects, which under Locust belong to another thread's event loop.
    """
    plain = _socket.socket(fileno=descriptor)
    try:
        plain.setsockopt(_sockets.SOL_SOCKET, _sockets.SO_RCVBUF, NARROW_BUFFER)
    finally:
        plain.detach()
