"""The HTTP door for thousands: kept connections, one request at a time on each, and nothing that is not needed."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

import msgspec
from httptools import HttpParserError, HttpResponseParser

if TYPE_CHECKING:
    from loadtests.audience.numbers import Message

IDLE_SECONDS = 2.0  # after so long a kept connection is not used again: the server may be about to end it
ANSWER_SECONDS = 20.0
CONNECTIONS = 256  # at most; who finds none waits, and the wait is part of what is measured


class HttpError(Exception):
    """No answer: it could not be asked, or the connection ended; whether it was done is unknown."""


class Answer(NamedTuple):
    """A response; `body` is the JSON object in it, or nothing."""

    status: int
    body: Message

    @property
    def code(self) -> str:
        """The problem's code; empty where it is none."""
        return str(self.body.get("code", ""))


class Kept(asyncio.Protocol):
    """One connection of the pool."""

    def __init__(self) -> None:
        self.used_at = time.monotonic()
        self.open = False
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = None
        self._parts: list[bytes] = []
        self._answer: asyncio.Future[Answer] | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its answer. Raises HttpError."""
        if self._transport is None or not self.open:
            raise HttpError("the connection has ended")
        self._parser, self._parts = HttpResponseParser(self), []
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._answer
        except TimeoutError:
            raise HttpError(f"no answer within {ANSWER_SECONDS:g} s") from None
        finally:
            if self._answer is not None and not self._answer.done():
                self.close()
            self._answer = None
            self.used_at = time.monotonic()

    def close(self) -> None:
        """End it; harmless when repeated."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    # What the loop and the parser call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Know that there is a connection."""
        self._transport, self.open = cast("asyncio.Transport", transport), True

    def data_received(self, data: bytes) -> None:
        """Read on in the answer."""
        if self._parser is None:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(f"the answer cannot be read: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let who waits know."""
        self.open = False
        self._fail(f"the connection ended before the answer: {exc or 'closed'}")

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        parser, self._parser = self._parser, None
        if parser is None or self._answer is None or self._answer.done():
            return
        if not parser.should_keep_alive():
            self.open = False
        self._answer.set_result(Answer(parser.get_status_code(), _object(b"".join(self._parts))))

    def _fail(self, sentence: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(HttpError(sentence))


class Pool:
    """Kept connections to the server at `url` (http://… or https://…), at most `CONNECTIONS` at a time."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self.tls = ssl.create_default_context() if place.scheme == "https" else None
        self.host, self.port = place.hostname or "", place.port or (443 if self.tls else 80)
        self._authority = place.netloc
        self._idle: list[Kept] = []
        self._turns = asyncio.Semaphore(CONNECTIONS)

    async def call(
        self, method: str, path: str, token: str, body: Any = None, *, key: str | None = None
    ) -> Answer:
        """Send a request, with an Idempotency-Key where one is given; return the answer. Raises HttpError."""
        request = self._request(method, path, token, body, key)
        async with self._turns:
            kept = self._take() or await self._connect()
            answer = await kept.ask(request)
            if kept.open:
                self._idle.append(kept)
            return answer

    def close(self) -> None:
        """End what is kept."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> Kept | None:
        now = time.monotonic()
        while self._idle:
            kept = self._idle.pop()
            if kept.open and now - kept.used_at < IDLE_SECONDS:
                return kept
            kept.close()
        return None

    async def _connect(self) -> Kept:
        loop = asyncio.get_running_loop()
        try:
            _, kept = await loop.create_connection(Kept, self.host, self.port, ssl=self.tls)
        except OSError as error:
            raise HttpError(f"no connection: {error}") from None
        return kept

    def _request(self, method: str, path: str, token: str, body: Any, key: str | None) -> bytes:
        content = b"" if body is None else msgspec.json.encode(body)
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self._authority}",
            f"Authorization: Bearer {token}",
            f"Content-Length: {len(content)}",
        ]
        if content:
            lines.append("Content-Type: application/json")
        if key is not None:
            lines.append(f"Idempotency-Key: {key}")
        return "\r\n".join((*lines, "", "")).encode() + content


def _object(content: bytes) -> Message:
    """Return a JSON object's fields, or an empty map where the body is none."""
    try:
        fields = msgspec.json.decode(content or b"{}")
    except msgspec.DecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}
