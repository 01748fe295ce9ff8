"""One viewer's wire: a websocket with a reader of its own, answers matched to commands by their id.

Written with plain threads. Under Locust, whose import patches the standard library, every thread here is a
greenlet; so the same code is one viewer of a thousand there and a real thread in a test.
"""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from server.protocol.codec import Codec, pack, unpack_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from loadtests.watch import Message

    Take = Callable[[Message], None]

OPEN_SECONDS = 15.0
CLOSE_SECONDS = 3.0
ANSWER_SECONDS = 15.0


class WireClosedError(Exception):
    """The server or the network ended the connection; `code` is the close code, 1006 where there was none."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code = code


class Wire:
    """An open connection. `take` is called with every message, from the reader, before anybody waits on it."""

    def __init__(self, opening: AbstractContextManager[ClientConnection], codec: Codec, take: Take) -> None:
        self._block = ExitStack()
        self._socket: ClientConnection = self._block.enter_context(opening)
        self._codec = codec
        self._take = take
        self._operations = itertools.count(1)
        self._answers: dict[str, Message | None] = {}
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self.closed: WireClosedError | None = None

    @classmethod
    def open(cls, url: str, show: str, codec: Codec, take: Take) -> Self:
        """Connect to a show of the server at `url` (http://…) and start reading.

        Raises OSError and the handshake errors of websockets (WebSocketException).
        """
        address = f"ws{url.removeprefix('http').rstrip('/')}/v1/shows/{show}/live"
        opening = connect(
            address,
            subprotocols=[Subprotocol(codec.value)],
            compression=None,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            ping_interval=None,  # the server pings; its pings are answered below us
            max_size=None,
            max_queue=None,
            proxy=None,
        )
        wire = cls(opening, codec, take)
        wire._reader.start()
        return wire

    def send(self, message: Message) -> None:
        """Send a message. Raises WireClosedError."""
        packed = self._codec is Codec.MSGPACK
        try:
            self._socket.send(pack(message) if packed else msgspec.json.encode(message).decode())
        except ConnectionClosed:
            raise self._ending() from None

    def request(self, message: Message, seconds: float = ANSWER_SECONDS) -> Message:
        """Send a command and return its answer; an id is made where it has none.

        Raises WireClosedError, and TimeoutError where no answer came in time.
        """
        operation: str = message.setdefault("id", f"op-{next(self._operations)}-{time.monotonic_ns()}")
        self._answers[operation] = None
        try:
            self.send(message)
            if not self.wait(lambda: self._answers[operation] is not None, seconds):
                raise TimeoutError(f"no answer to {message['type']} within {seconds:g} s")
            answer = self._answers[operation]
            return answer or {}
        finally:
            del self._answers[operation]

    def wait(self, predicate: Callable[[], bool], seconds: float) -> bool:
        """Wait until messages have made the predicate true; False after `seconds`. Raises WireClosedError."""
        deadline = time.monotonic() + seconds
        with self._news:
            while not predicate():
                left = deadline - time.monotonic()
                if self.closed is not None:
                    raise self.closed
                if left <= 0:
                    return False
                self._news.wait(left)
        return True

    def close(self) -> None:
        """Close the connection and return when the reader has ended; harmless when repeated."""
        self._block.close()
        self._reader.join(CLOSE_SECONDS)

    def _read(self) -> None:
        try:
            with suppress(ConnectionClosed):
                for data in self._socket:
                    self._hear(unpack_event(data) if isinstance(data, bytes) else msgspec.json.decode(data))
        finally:  # also after a message that nobody can read: whoever waits must know
            with self._news:
                self.closed = self._ending()
                self._news.notify_all()

    def _hear(self, message: Message) -> None:
        with self._news:
            self._take(message)
            if message.get("id") in self._answers:
                self._answers[message["id"]] = message
            self._news.notify_all()

    def _ending(self) -> WireClosedError:
        return WireClosedError(self._socket.close_code or 1006, self._socket.close_reason or "")
