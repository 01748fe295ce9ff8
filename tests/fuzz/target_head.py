"""HTTP's first bytes: a request is understood as another server would, wherever the network cuts it, or refused."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.server import ServerState

from server.gateway.front import BadHeadError, Front, front
from server.settings import Settings
from tests.fuzz.mutation import changed

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 16 * 1024
HEADER_BYTES = 2_048
TURNS = 2_000  # of the loop, for all that one connection has asked for: each answer takes a few
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n"
)
GET = b"GET /one?a=b HTTP/1.1\r\nHost: shop.example\r\n\r\n"
REQUESTS = (
    GET,
    GET * 3,
    b"\r\n" + GET,
    b"GET /old HTTP/1.0\r\n\r\n",
    b"POST /two HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n\r\nabc" + GET,
    b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n"
    + GET,
    b"POST /3 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    b"GET /v1/shows/sh_a/live HTTP/1.1\r\nHost: a\r\n" + UPGRADE + b"\r\n\x81\x85maskhello",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET,
    b"GET http://other.example/x HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\nCookie: a=b\r\n\r\n",
)
WORDS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b"\x00", b"\x0b", b"\x7f", b"\xff", b"%00", b"%2e", b"#f",
    b"?", b"Host: b\r\n", b"host:a\r\n", b"Host : a\r\n", b" Host: a\r\n", b"Content-Length: 0\r\n",
    b"Content-Length: 1\r\n",
    b"Content-Length: +1\r\n", b"Content-Length: 1, 1\r\n", b"Content-Length: 18446744073709551617\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n", b"Transfer-Encoding\x00: chunked\r\n", b"Connection: close\r\n", UPGRADE,
    b"Upgrade: h2c\r\n", b"0\r\n\r\n", b"1\r\nx\r\n", b"ffffffffffffffff\r\n", b"0x1\r\n", b"1;\n",
    b"HTTP/1.1", b"HTTP/1.0",
    b"HTTP/2.0", b"HTTP/0.9", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n", b"HEAD", b"GET",
)  # fmt: skip

Understood = tuple[bytes, bytes, bytes]  # a request's method, its target and its body


class Wire(asyncio.Transport):
    """A transport without a network: what is written is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closing = False
        self.protocol: asyncio.BaseProtocol | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default if name != "peername" else ("127.0.0.1", 1)

    def write(self, data: Any) -> None:
        if not self.closing:
            self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def pause_reading(self) -> None:
        """Go on: all that there is has been given already."""

    resume_reading = pause_reading

    def get_write_buffer_size(self) -> int:
        return 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self.protocol is not None
        return self.protocol


class Live(asyncio.Protocol):
    """Stands where the websocket's protocol does: notes that it was given a request."""

    def __init__(self, *, config: uvicorn.Config, server_state: ServerState, app_state: Any) -> None:
        self.heard = b""
        del config, server_state, app_state

    def take_request(self, asked: Front) -> None:
        """Look at the request that the websocket begins with, as the real one does."""
        names = [name for name, _ in asked.headers]
        assert names.count(b"host") == 1, "a websocket without one Host"

    def data_received(self, data: bytes) -> None:
        self.heard += data


@dataclass(slots=True)
class Talk:
    """What came of a connection."""

    requests: list[Understood] = field(default_factory=list)
    hosts: list[int] = field(default_factory=list)  # Host headers of each request that came to the app
    statuses: list[int] = field(default_factory=list)
    too_large: bool = (
        False  # a head, or a trailer, whose refusal has no answer where its request is under way
    )
    upgraded: bool = False


class Heads:
    """An input's first byte says where the stream behind it is cut."""

    def __init__(self, loop: asyncio.AbstractEventLoop, made: type[Front] | None = None) -> None:
        self._loop = loop
        self._talk = Talk()
        limits = Settings(handshake_seconds=60, header_bytes=HEADER_BYTES)
        self._config = uvicorn.Config(
            self._app,
            http=self._noting(made or front(limits)),
            ws=Live,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        self._config.load()

    def _noting(self, made: type[Front]) -> type[Front]:
        """Return the protocol that says when something is too large for it."""
        heads = self

        class Noting(made):  # type: ignore[misc, valid-type]  # whichever it is
            def _too_large(self) -> BadHeadError:
                heads._talk.too_large = True
                error: BadHeadError = super()._too_large()
                return error

        return Noting

    def first(self) -> list[bytes]:
        """Return requests of every kind."""
        return [bytes((cut,)) + each for each in REQUESTS for cut in (0, 9)]

    def make(self, chance: Random, kept: list[bytes]) -> bytes:
        """Return a changed stream."""
        return changed(chance, kept, WORDS, MOST_BYTES)

    def look(self, given: bytes) -> str:
        """Let it be read whole and in pieces: the same requests come of it, and h11 finds no other in the first."""
        seed, stream = (given[0] if given else 0), given[1:]
        whole = self._loop.run_until_complete(self._talked([stream]))
        cut = self._loop.run_until_complete(self._talked(_pieces(stream, seed)))
        assert all(hosts <= 1 for hosts in (*whole.hosts, *cut.hosts)), "a request with two hosts"
        # How large a head or a trailer is said to be depends on what came in one read with it.
        if not (whole.too_large or cut.too_large):
            same = min(len(whole.requests), len(cut.requests))
            assert whole.requests[:same] == cut.requests[:same], "cut elsewhere it is another request"
            assert whole.requests[:1] == cut.requests[:1], "cut elsewhere there is no request"
        _compare(whole, stream)
        shown = " ".join(map(str, whole.statuses[-3:]))
        return f"{min(len(whole.requests), 3)} {shown} {whole.upgraded}"

    def most_memory(self, given: bytes) -> int:
        """Return what two readings may take: a request of 20 bytes is a task and some dozen objects."""
        return 4 * 2**20 + 200 * len(given)

    async def _talked(self, pieces: list[bytes]) -> Talk:
        """Let the pieces come, each after all that can be answered is; return what came of them."""
        self._talk = talk = Talk()
        state, wire = ServerState(), Wire()
        made: Any = self._config.http_protocol_class
        protocol = made(config=self._config, server_state=state, app_state={}, _loop=self._loop)
        wire.set_protocol(protocol)
        protocol.connection_made(wire)
        for piece in pieces:
            if wire.closing:
                break
            current: Any = wire.get_protocol()
            current.data_received(piece)
            await _settled(state)
        talk.upgraded = wire.get_protocol() is not protocol
        if not talk.upgraded:
            protocol.connection_lost(None)
            assert protocol._deadline is None, "a deadline is left"
        await _settled(state)
        assert not state.tasks, "a request is left"
        assert not state.connections, "a connection is left"
        talk.statuses = _statuses(bytes(wire.written))
        return talk

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        """Note a request once it is whole, and answer it."""
        talk, body, more = self._talk, b"", True
        talk.hosts.append([name for name, _ in scope["headers"]].count(b"host"))
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        talk.requests.append((scope["method"].encode(), scope["raw_path"] + query, body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def _settled(state: ServerState) -> None:
    """Let all go on that can: until nothing happens for some turns of the loop."""
    quiet, before = 0, (-1, -1)
    for _ in range(TURNS):
        await asyncio.sleep(0)
        now = (len(state.tasks), state.total_requests)
        quiet, before = (quiet + 1 if now == before else 0), now
        if quiet > 4:  # a task takes fewer to begin, to be answered and to end
            return
    raise AssertionError(f"not settled after {TURNS} turns of the loop")


def _pieces(stream: bytes, seed: int) -> list[bytes]:
    chance, at, pieces = Random(seed), 0, []  # noqa: S311  chance that can be had again
    while at < len(stream):
        size = chance.choice((1, 2, 7, 40, 400))
        pieces.append(stream[at : at + size])
        at += size
    return pieces


def _statuses(written: bytes) -> list[int]:
    """Return the statuses of all answers: what is written must be answers and nothing else."""
    found = []
    rest = written
    while rest:
        head, end, rest = rest.partition(b"\r\n\r\n")
        assert end, f"an answer without an end: {head[:60]!r}"
        version, status, *_ = head.split(b" ", 2)
        assert version == b"HTTP/1.1", f"no answer: {head[:60]!r}"
        found.append(int(status))
        lengths = [
            line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        ]
        rest = rest[int(lengths[0]) if lengths else 0 :]
    return found


def _compare(talk: Talk, stream: bytes) -> None:
    """Hold the first request against what h11 understands of the same bytes, where it takes them."""
    if not talk.requests:
        return
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_BYTES)
    reader.receive_data(stream)
    body = b""
    try:
        event = reader.next_event()
        if not isinstance(event, h11.Request):
            return
        method, target = bytes(event.method), bytes(event.target)
        while isinstance(event := reader.next_event(), h11.Data):
            body += bytes(event.data)
    except h11.RemoteProtocolError:
        return  # it is stricter than we are in places
    assert isinstance(event, h11.EndOfMessage), f"h11 still waits for more of {method!r} {target[:60]!r}"
    if target.startswith(b"/"):  # others are told to the app by their path alone
        path, _, query = target.partition(b"#")[0].partition(b"?")
        there = (method, path + (b"?" + query if query else b""), body)
        assert talk.requests[0] == there, f"h11 understands another request: {there}"


@contextmanager
def heads(made: type[Front] | None = None) -> Iterator[Heads]:
    """Give the target with a loop of its own."""
    loop = asyncio.new_event_loop()
    try:
        yield Heads(loop, made)
    finally:
        loop.close()
