"""The bytes of a websocket client that costs next to nothing, so that the server is what is measured.

A server sends thousands of viewers the same bytes, and what bytes mean depends on nothing else: so `Reader` keeps
what it read last, and the ten-thousandth viewer's message costs one comparison. No sockets, no clock.
Client frames are masked with zeros: allowed on the wire, and the same work for the server.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from websockets.utils import accept_key

from loadtests.audience.numbers import stocks_in, wrong_stock
from server.protocol.codec import Codec, pack, unpack_event

if TYPE_CHECKING:
    from loadtests.audience.numbers import Message

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
FINAL, MASKED, NO_MASK = 0x80, 0x80, b"\0\0\0\0"
SHORT, MEDIUM = 125, 126  # RFC 6455 section 5.2
HEAD_BYTES = 2
NO_CODE = 1005  # a close frame without a code, RFC 6455 section 7.4.1
REMEMBERED = 256  # messages

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the sample of RFC 6455: it guards caches, and there are none here
ACCEPTED = accept_key(KEY).encode()
SWITCHING = b"HTTP/1.1 101 "
RETRY_MS = re.compile(rb'"retry_after_ms": ?(\d+)')
RETRY_SECONDS = re.compile(rb"\r\nretry-after: (\d+)\r\n", re.IGNORECASE)
USUAL_RETRY_MS = 1000


class FrameError(Exception):
    """The server sent what it never may; the sentence says what."""


class Stock(NamedTuple):
    """The numbers of a drop."""

    revision: int
    available: int
    held: int
    sold: int
    quantity: int


class Numbers(NamedTuple):
    """A drop as a message tells of it; `status` is empty where only its numbers are told."""

    drop: str
    stock: Stock
    status: str


class Welcome(NamedTuple):
    """What a welcome says about the place in the log."""

    epoch: str
    offset: int
    recovered: bool
    missed: int


class Told(NamedTuple):
    """One frame of the server, read once for all who are sent the same bytes."""

    opcode: int
    kind: str = ""  # the message's type; empty for a control frame
    message: Message = {}  # noqa: RUF012  never changed: many viewers share it
    offset: int = 0  # of an event of the log; 0 where it is none
    stock: Stock | None = None  # of the first drop that it speaks of
    drops: tuple[Numbers, ...] = ()  # all that it speaks of
    live: bool = False  # whether it is a live number of that drop
    welcome: Welcome | None = None
    payload: bytes = b""  # of a control frame
    code: int = 0  # of a close
    retry_ms: int = 0  # beside it
    wrong: tuple[str, ...] = ()


class Reader:
    """Reads for many viewers who are sent the same, such as all of one codec."""

    __slots__ = ("_data", "_read")

    def __init__(self) -> None:
        self._data = b""
        self._read: tuple[tuple[Told, ...], bytes] = ((), b"")

    def read(self, data: bytes) -> tuple[tuple[Told, ...], bytes]:
        """Return what `read` returns, at once where these are the bytes of the last time."""
        if data != self._data:
            self._read = read(data)
            self._data = data
        return self._read


def read(data: bytes) -> tuple[tuple[Told, ...], bytes]:
    """Return the whole frames at the start of `data` and the bytes after them. Raises FrameError."""
    found, at, end = [], 0, len(data)
    while end - at >= HEAD_BYTES:
        first, size, start = data[at], data[at + 1], at + HEAD_BYTES
        if first & ~0x0F != FINAL or size & MASKED:
            raise FrameError(f"a frame began with {data[at:start].hex()}: fragmented, compressed or masked")
        if size > SHORT:
            width = 2 if size == MEDIUM else 8
            size = int.from_bytes(data[start : start + width], "big")
            start += width
        if start > end or start + size > end:
            break
        at = start + size
        found.append(told(first & 0x0F, data[start:at]))
    return tuple(found), data[at:]


@lru_cache(REMEMBERED)
def told(opcode: int, payload: bytes) -> Told:
    """Return what one frame says. Raises FrameError."""
    if opcode == CLOSE:
        retry = RETRY_MS.search(payload)
        code = int.from_bytes(payload[:2], "big") or NO_CODE
        return Told(opcode, payload=payload, code=code, retry_ms=int(retry[1]) if retry else USUAL_RETRY_MS)
    if opcode in {PING, PONG}:
        return Told(opcode, payload=payload)
    if opcode not in {TEXT, BINARY}:
        raise FrameError(f"a frame had opcode {opcode}")
    try:
        message = unpack_event(payload) if opcode == BINARY else msgspec.json.decode(payload)
        return _message(opcode, message)
    except (ValueError, KeyError, TypeError) as error:
        raise FrameError(f"a message of {len(payload)} bytes could not be read: {error!r}") from None


def _message(opcode: int, message: Message) -> Told:
    kind = message["type"]
    stocks = list(stocks_in(message))
    drops = tuple(Numbers(drop, _stock(stock), stock.get("status", "")) for drop, stock in stocks)
    known = Told(
        opcode,
        kind,
        message,
        stock=drops[0].stock if drops else None,
        drops=drops,
        live=kind == "stock.updated",
        wrong=tuple(sentence for drop, stock in stocks for sentence in wrong_stock(drop, stock)),
    )
    if kind != "welcome":
        return known._replace(offset=message.get("offset", 0))
    place = Welcome(message["epoch"], message["offset"], message["recovered"], message.get("missed", 0))
    return known._replace(welcome=place)


def _stock(numbers: Message) -> Stock:
    return Stock(*(numbers[name] for name in Stock._fields))


def request(host: str, show: str, codec: Codec) -> bytes:
    """Return the opening handshake for a show's live socket, `host` with its port."""
    lines = (
        f"GET /v1/shows/{show}/live HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {codec.value}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def answered(data: bytes, codec: Codec) -> tuple[bool, bytes] | None:
    """Return whether the handshake was accepted and the bytes after it, or None while the answer is not whole.

    Raises FrameError where it was accepted and not as RFC 6455 section 4.1 wants it.
    """
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    if not head.startswith(SWITCHING):
        return False, rest
    fields = {
        name.lower(): value for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n"))
    }
    chosen = fields.get(b"sec-websocket-protocol")
    if fields.get(b"sec-websocket-accept") != ACCEPTED or chosen != codec.value.encode():
        raise FrameError(f"the handshake was answered with {head!r}")
    return True, rest


def refusal(data: bytes) -> tuple[int, int]:
    """Return the status of a refused handshake and the ms after which it may be tried again."""
    status = int(data.split(b" ", 2)[1])
    if told_ms := RETRY_MS.search(data):
        return status, int(told_ms[1])
    seconds = RETRY_SECONDS.search(data)
    return status, 1000 * int(seconds[1]) if seconds else USUAL_RETRY_MS


def hello(token: str, since: Message | None, codec: Codec) -> bytes:
    """Return the frame of a hello, with the place to return to where there is one."""
    message: dict[str, Any] = {"type": "hello", "token": token}
    if since is not None:
        message["since"] = since
    return frame(BINARY, pack(message)) if codec.binary else frame(TEXT, msgspec.json.encode(message))


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame of less than 64 KiB."""
    size = len(payload)
    if size <= SHORT:
        return bytes((FINAL | opcode, MASKED | size)) + NO_MASK + payload
    return bytes((FINAL | opcode, MASKED | MEDIUM)) + size.to_bytes(2, "big") + NO_MASK + payload
