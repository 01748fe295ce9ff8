"""One viewer's end of the wire: a bounded queue of bytes and the task that sends them.

Bound: `buffer_bytes` waiting for one viewer; beyond it the connection is closed with 3008, because a viewer who
is that far behind sees a stale show, and its memory belongs to the others. Their holds are not touched.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from server import metrics
from server.errors import CLOSE_TOO_SLOW, Close

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from server.gateway.frames import Frame
    from server.protocol.codec import Codec
    from server.protocol.events import Message

MAX_REASON_BYTES = 123  # RFC 6455 section 5.5
CLOSE_SECONDS = 10.0  # time that a closed connection has to take what was sent; then it is forgotten


def close_reason(code: Close, text: str, retry_after_ms: int | None) -> str:
    """Return a close reason as JSON that fits a close frame; the text is cut where it must be."""
    fields: dict[str, object] = {"code": int(code), "message": text}
    if retry_after_ms is not None:
        fields["retry_after_ms"] = retry_after_ms
    while len(encoded := msgspec.json.encode(fields)) > MAX_REASON_BYTES:
        text = text[: -(len(encoded) - MAX_REASON_BYTES)]
        fields["message"] = text
    return encoded.decode()


class Viewer:
    """A connection that said hello: who it is, where it is in the log, and what still has to be sent."""

    def __init__(self, websocket: WebSocket, codec: Codec, subject: str, buffer_bytes: int) -> None:
        self.codec = codec
        self.subject = subject
        self.counts = False  # whether it is one of the show's viewers: hosts and moderators are not
        self.offset = -1  # the newest event it has; -1 while it joins and everything waits in `early`
        self.early: list[Frame] = []
        self.revisions: dict[
            str, int
        ] = {}  # of the drops in the picture they joined with: older numbers are none
        self.patience: asyncio.Timeout | None = None  # bounds the connection's life once it is closed
        self._websocket = websocket
        self._buffer_bytes = buffer_bytes
        self._queue: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._close: tuple[Close, str] | None = None

    @property
    def closing(self) -> bool:
        """Whether the connection will be closed by `write`."""
        return self._close is not None

    def send(self, message: Message) -> None:
        """Queue a message for this viewer alone."""
        self._push(self.codec.encode(message))

    def deliver(self, frame: Frame) -> None:
        """Queue a shared frame. While the viewer joins it waits; a log event that they have already is dropped."""
        if self.offset < 0:
            self.early.append(frame)
            return
        if frame.offset:
            if frame.offset <= self.offset:
                return
            self.offset = frame.offset
        elif frame.drop in self.revisions:
            if frame.revision <= self.revisions[frame.drop]:
                return
            del self.revisions[frame.drop]  # from here on the hub's own order is enough
        self._push(frame.encoded(self.codec))

    def close(self, code: Close, text: str, retry_after_ms: int | None = None) -> None:
        """Close the connection after what is queued; the first call decides."""
        if self._close is None:
            self._close = (code, close_reason(code, text, retry_after_ms))
            metrics.CLOSED.labels(str(int(code))).inc()
            self._wake.set()
            if self.patience is not None:  # a peer that reads nothing would never let the close frame out
                self.patience.reschedule(asyncio.get_running_loop().time() + CLOSE_SECONDS)

    def _push(self, data: bytes) -> None:
        if self._close is not None:
            return
        if self._waiting_bytes + len(data) > self._buffer_bytes:
            self._queue.clear()
            self.close(CLOSE_TOO_SLOW, f"{self._waiting_bytes} bytes behind", retry_after_ms=1000)
            return
        self._queue.append(data)
        self._waiting_bytes += len(data)
        metrics.DELIVERIES.inc()
        self._wake.set()

    async def write(self) -> None:
        """Send what is queued until the connection is closed; the one task that writes to this websocket."""
        binary = self.codec.binary
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                data = self._queue.popleft()
                self._waiting_bytes -= len(data)
                if binary:
                    await self._websocket.send_bytes(data)
                else:
                    await self._websocket.send_text(data.decode())
            if self._close is not None:
                code, reason = self._close
                await self._websocket.close(code, reason)
                return
