"""The first protocol of every connection: HTTP requests whose heads are bounded in time and size and mean one thing.

uvicorn waits for a head for ever, takes one of any size, and parses a request that becomes a websocket twice. Here a
slow or oversized head ends the connection, a head that two servers could read differently is refused (RFC 9112), and
the websocket's protocol gets the head as it was parsed, with the bytes that came behind it. Bodies are left to the app.
"""

from __future__ import annotations

from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    from server.settings import Settings

MOST_HEADERS = 128
MOST_PIPELINED = 32  # requests of one connection that wait for their turn; one more ends the connection


class BadHeadError(Exception):
    """A request's head that is not taken: the status to answer with, and a sentence with the reason."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Front(HttpToolsProtocol):
    """One connection until it ends or becomes a websocket's; `front` gives the class with its limits.

    The deadline runs while a head is awaited and no answer is under way: from the connection's first moment, and
    later from a head's first byte. Between requests there is only uvicorn's own keep-alive timer.
    """

    head_seconds = 5.0
    header_bytes = 16_384

    _deadline: asyncio.TimerHandle | None = None
    _in_head = False
    _websocket = False  # what the last head has asked for
    _loose_bytes = (
        0  # came since the last whole head or piece of a body; not counted is what came in one read with it
    )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Await the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came: any part of one or of many requests."""
        self._unset_keepalive_if_required()
        self._loose_bytes += len(data)
        behind = None
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            behind = data[upgrade.args[0] :]
        except HttpParserError as error:
            self._refuse(_reason(error))
            return
        if behind is not None:
            self._upgrade(behind)
        elif self._loose_bytes > self.header_bytes:
            self._refuse(self._too_large())
        elif self._idle():
            self._await_head()

    # Called by the parser. An error that is raised here comes out of `feed_data` as the context of another.

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Check the head, and begin the request or the websocket."""
        self._websocket = self._check_head()
        self._in_head = False
        self._loose_bytes = 0
        self._stop_deadline()
        super().on_headers_complete()
        if not self._websocket:
            self.headers = []  # a chunked body's trailer would become part of the head (RFC 9110, 6.5.1)

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        self._loose_bytes = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Go on with the next request; where its head has begun already, its deadline begins now."""
        super().on_response_complete()
        if self._in_head and self._idle():
            self._await_head()

    # Heads

    def _check_head(self) -> bool:
        """Return whether the head asks for a websocket; raise BadHeadError where it is not taken."""
        names = [name for name, _ in self.headers]
        size = sum(map(len, chain.from_iterable(self.headers)), len(self.url))
        if size > self.header_bytes or len(names) > MOST_HEADERS:
            raise self._too_large()
        version = self.parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            raise BadHeadError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, f"HTTP/{version} is not spoken here.")
        hosts = names.count(b"host")
        if hosts != 1 and (hosts or version == "1.1"):
            raise _bad(f"One Host header is expected, {hosts} are given.")
        if b"transfer-encoding" in names:
            self._check_coding(version)
        if len(self.pipeline) >= MOST_PIPELINED:
            raise _bad(f"{MOST_PIPELINED} requests of this connection wait for their turn already.")
        return self.parser.should_upgrade() and self._check_upgrade(version)

    def _check_coding(self, version: str) -> None:
        """Refuse any coding but `chunked` (RFC 9112, 6.1); the parser has found no Content-Length beside it."""
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if version == "1.0":
            raise _bad("HTTP/1.0 has no Transfer-Encoding.")
        if codings != [b"chunked"]:
            reason = "The only Transfer-Encoding that is understood here is chunked."
            raise BadHeadError(HTTPStatus.NOT_IMPLEMENTED, reason)

    def _check_upgrade(self, version: str) -> bool:
        """Return whether an upgrade is one to a websocket; others are requests like any (RFC 9110, 7.8).

        None can have a body: the parser would take it for the next request.
        """
        for name, value in self.headers:
            if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")):
                raise _bad("A request with an Upgrade header cannot have a body.")
        if not super()._should_upgrade():
            return False
        if self.parser.get_method() != b"GET" or version != "1.1" or not self._idle():
            raise _bad(
                "A websocket begins with GET and HTTP/1.1, and after the answers to all requests before."
            )
        return True

    def _should_upgrade(self) -> bool:
        """Tell uvicorn, which asks often and would look through the headers each time."""
        return self._websocket

    def _upgrade(self, behind: bytes) -> None:
        if not self._websocket:
            if behind:
                self.data_received(behind)
            return
        if hasattr(self.ws_protocol_class, "take_request"):
            self._give_request()
        else:
            self.handle_websocket_upgrade()
        protocol: Any = self.transport.get_protocol()
        if behind and not self.transport.is_closing():
            protocol.data_received(behind)
        self.parser = None  # type: ignore[assignment]  # else the two would hold each other and wait for the collector

    def _give_request(self) -> None:
        """Hand over as uvicorn does, but for the request's text, which it puts together and has parsed again."""
        self.connections.discard(self)
        make: Any = self.ws_protocol_class
        protocol = make(config=self.config, server_state=self.server_state, app_state=self.app_state)
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.take_request(self)

    # Deadline and end

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.head_seconds, self._too_late)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._in_head and not self.transport.get_write_buffer_size():
            reason = f"The request's head was not complete after {self.head_seconds:g} s."
            self._refuse(BadHeadError(HTTPStatus.REQUEST_TIMEOUT, reason))
        else:
            self.transport.abort()  # nothing was asked, or the last answer is not taken

    def _too_large(self) -> BadHeadError:
        reason = f"A request's head may have {self.header_bytes} bytes and {MOST_HEADERS} headers."
        return BadHeadError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, reason)

    def _refuse(self, error: BadHeadError) -> None:
        """Answer and end the connection; behind requests under way only end it, once they are answered.

        Here and now, the answer would be taken for that of another request.
        """
        self._stop_deadline()
        self.logger.debug("Head refused: %s", error)
        if self._idle():
            self._write(error)
            self.transport.close()
        elif self.cycle.more_body:
            self.transport.close()  # what would never come to its end
        else:
            self.cycle.keep_alive = False  # the parser takes nothing more

    def _write(self, error: BadHeadError) -> None:
        text = str(error).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(text)),
            (b"connection", b"close"),
        ]
        lines = [b"%b: %b\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[error.status], *lines, b"\r\n", text]))


def front(settings: Settings) -> type[Front]:
    """Return the class for uvicorn's `http=` with the limits of `settings`."""

    class Limited(Front):
        head_seconds = float(settings.handshake_seconds)
        header_bytes = settings.header_bytes

    return Limited


def _bad(reason: str) -> BadHeadError:
    return BadHeadError(HTTPStatus.BAD_REQUEST, reason)


def _reason(error: HttpParserError) -> BadHeadError:
    """Return what was raised in a callback, or what the parser itself has found."""
    cause = error.__context__
    return cause if isinstance(cause, BadHeadError) else _bad(f"This is not valid HTTP: {error}.")
