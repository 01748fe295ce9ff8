"""One connection after its handshake: bytes in to messages, frames out, liveness, and an orderly end.

It takes uvicorn's place as the transport's protocol. While nothing happens it has no task, no queue, no buffer and
no timer of its own: only the slots below. What the messages mean is a subclass's matter.

Bound: what waits to be sent is the transport's, as references to frames that all viewers share. Above the low mark
the connection counts as behind; above the high mark it is closed with 3008. A peer that takes nothing at all gets
`CLOSE_SECONDS` for the close frame and is then cut off. What comes in is read `PIECE` by piece, and a peer that
sends what no limit on messages counts (pings, pongs, anything after our close frame) is let go after `MAX_UNCOUNTED`:
a frame costs its sender 6 bytes and us a microsecond, and the loop reads megabytes in one turn where it may.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import msgspec

from server import metrics
from server.clock import monotonic
from server.errors import CLOSE_NO_PONG, CLOSE_TOO_MANY_MESSAGES, CLOSE_TOO_SLOW, Close
from server.gateway import frames
from server.gateway.frames import CLOSE, Format, frame
from server.gateway.parser import BINARY, PING, PONG, Parser

if TYPE_CHECKING:
    from server.gateway.timers import Timers

MAX_REASON_BYTES = 123  # RFC 6455 section 5.5
CLOSE_SECONDS = 10.0  # time that a closed connection has to take what was sent; then it is cut off
PIECE = 16_384  # bytes read before the connection is looked at again: 3 ms where all are empty frames
MAX_UNCOUNTED = 1_000  # frames between two looks that no limit on messages counts
LOW_MARK_SHARE = 8  # the low mark is this part of the high one
GONE = 1006  # the connection ended without a close frame


def close_reason(code: Close, text: str, retry_after_ms: int | None) -> bytes:
    """Return a close reason as JSON that fits a close frame; the text is cut where it must be."""
    fields: dict[str, object] = {"code": int(code), "message": text}
    if retry_after_ms is not None:
        fields["retry_after_ms"] = retry_after_ms
    while len(encoded := msgspec.json.encode(fields)) > MAX_REASON_BYTES:
        text = text[: -(len(encoded) - MAX_REASON_BYTES)]
        fields["message"] = text
    return encoded


class Socket(asyncio.Protocol, ABC):
    """A connection that speaks websocket. Subclasses take `message`, `overdue`, `caught_up` and `lost`."""

    __slots__ = (
        "_connections",
        "_parser",
        "_timers",
        "behind",
        "closing",
        "code",
        "due",
        "form",
        "heard",
        "high_mark",
        "pinged_at",
        "slot",
        "transport",
        "uncounted",
    )

    def __init__(
        self, timers: Timers, form: Format, *, inflate: bool, message_bytes: int, high_mark: int
    ) -> None:
        self._timers = timers
        self._parser = Parser(message_bytes, deflate=inflate)
        self.form = form
        self.high_mark = high_mark
        self.behind = False  # more than the low mark waits to be sent
        self.closing = False  # a close frame was sent; nothing is said or heard after it
        self.code = GONE  # how it ended, once it has
        self.heard = True  # since the last look
        self.pinged_at = 0.0  # when the ping left that waits for a sign of life; 0.0 where none does
        self.due = 0  # the tick of the deadline, kept by the timers
        self.slot = 0
        self.uncounted = 0  # frames since the last look that were no messages, or came after the end

    def take_over(self, transport: asyncio.Transport, connections: set[Any]) -> None:
        """Become the protocol of a transport; `connections` is the server's own list, left at the end."""
        self.transport = transport
        self._connections = connections
        connections.add(self)
        self._timers.keep(self)
        transport.set_write_buffer_limits(high=self.high_mark // LOW_MARK_SHARE)
        transport.set_protocol(self)

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer."""
        self.heard = True
        if len(data) <= PIECE:
            self._take_in(data)
        else:
            for at in range(0, len(data), PIECE):
                if self.transport.is_closing():
                    break
                self._take_in(data[at : at + PIECE])

    def pause_writing(self) -> None:
        """Count as behind: more than the low mark waits."""
        self.behind = True

    def resume_writing(self) -> None:
        """Be on time again."""
        self.behind = False
        if not self.closing:
            self.caught_up()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's name for what we need not know
        """Leave every list."""
        self._timers.forget(self)
        self._connections.discard(self)
        if not self.closing:
            self.closing = True
            self.code = self._parser.close_code or GONE
            metrics.closed_by_peer(self.code)
        self.lost()

    def shutdown(self) -> None:
        """End at once: uvicorn has no more time."""
        self.transport.abort()

    # What the gateway calls.

    def write(self, data: bytes) -> None:
        """Send whole frames, or close the connection where too much waits already."""
        if self.closing:
            return
        if self.behind:
            waiting = self.transport.get_write_buffer_size()
            if waiting + len(data) > self.high_mark:
                self.close(CLOSE_TOO_SLOW, f"{waiting} bytes behind", retry_after_ms=1000)
                return
        self.transport.write(data)

    def close(self, code: Close, text: str, retry_after_ms: int | None = None) -> None:
        """Send a close frame behind what waits; the first call decides. The peer's own close ends the connection."""
        if self.closing:
            return
        self.closing = True
        self.code = int(code)
        metrics.CLOSED.labels(str(int(code))).inc()
        payload = int(code).to_bytes(2, "big") + close_reason(code, text, retry_after_ms)
        self.transport.write(frame(CLOSE, payload))
        self._timers.deadline(self, CLOSE_SECONDS)

    def look(self) -> None:
        """Be looked at: alive, to be pinged, or dead."""
        self.uncounted = 0
        if self.heard:
            self.heard = False
            self.pinged_at = 0.0
        elif self.pinged_at:
            self._dead()
        else:
            self.pinged_at = monotonic()
            self.write(frames.PING)

    def overdue(self) -> None:
        """Meet the deadline: of a connection that is closing, the last one."""
        self.transport.abort()

    # What subclasses do.

    @abstractmethod
    def message(self, data: bytes, *, binary: bool) -> None:
        """Take a whole message; text is valid UTF-8."""

    def caught_up(self) -> None:
        """Know that the peer has taken what waited."""

    def lost(self) -> None:
        """Know that the connection is gone."""

    # Private.

    def _take_in(self, data: bytes) -> None:
        parser = self._parser
        for kind, payload in parser.feed(data):
            if kind <= BINARY and not self.closing:
                self.message(payload, binary=kind is BINARY)
            else:
                self.uncounted += 1
                if kind is PING:
                    self._reply(parser.take_pongs())  # all of them with the first: no answer may come between
                elif kind is PONG:
                    self._ponged()
        if parser.ended:
            self._reply(parser.take_reply())
            self._ended()
        elif self.uncounted > MAX_UNCOUNTED:
            self._overdo()

    def _overdo(self) -> None:
        """Close the connection of a peer that sends too much of what no limit counts; cut it off if that was done."""
        if self.closing:
            self.transport.abort()
        else:
            self.close(CLOSE_TOO_MANY_MESSAGES, f"{self.uncounted} pings and pongs", retry_after_ms=1000)
            self.uncounted = 0

    def _reply(self, reply: bytes) -> None:
        if self.closing or not reply:
            return
        # A peer that sends pings without reading our answers would grow the buffer for as long as it likes.
        if self.behind:
            self.transport.abort()
        else:
            self.transport.write(reply)

    def _ponged(self) -> None:
        if self.pinged_at:
            metrics.PING_SECONDS.observe(monotonic() - self.pinged_at)
            self.pinged_at = 0.0

    def _ended(self) -> None:
        """Hang up once the closing handshake is done, or the stream was no websocket's."""
        if not self.closing:
            self.closing = True
            self.code = self._parser.close_code or GONE
            if self._parser.failed:
                metrics.CLOSED.labels(str(self._parser.close_code)).inc()
            else:
                metrics.closed_by_peer(self.code)
        if not self.transport.is_closing():
            self.transport.close()
            self._timers.deadline(self, CLOSE_SECONDS)

    def _dead(self) -> None:
        if self.closing or self.behind:
            self.transport.abort()
            return
        self.close(CLOSE_NO_PONG, "no pong", retry_after_ms=1000)
        self.transport.close()
