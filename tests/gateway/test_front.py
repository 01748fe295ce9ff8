"""The first protocol of a connection: heads are bounded in time and size, and mean one thing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from server.settings import Settings
from tests.gateway.fronted import serving
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.gateway.fronted import Client, Server

QUICK = 1  # second for a head, where a head is meant to be too slow
DRIP_SECONDS = 0.05
HOST = b"Host: shop.example\r\n"
GET = b"GET /one HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /two HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server with small heads and much patience."""
    with serving(Settings(handshake_seconds=60, header_bytes=2048)) as each:
        yield each


@pytest.fixture
def hasty() -> Iterator[Server]:
    """Give a server that waits a second for a head."""
    with serving(Settings(handshake_seconds=QUICK)) as each:
        yield each


async def drip(client: Client, data: bytes) -> bytes:
    """Send the same bytes again and again until the server ends the connection; return what it has said."""
    ended = asyncio.ensure_future(client.rest())
    while not ended.done():
        client.send(data)
        await asyncio.wait([ended], timeout=DRIP_SECONDS)
    return ended.result()


# In time


async def test_who_says_nothing_is_let_go(hasty: Server) -> None:
    """A connection without a single byte ends without an answer."""
    async with hasty.client() as client:
        assert await client.rest() == b""


async def test_a_head_that_stops_is_cut(hasty: Server) -> None:
    """A head that is not complete in time is answered with 408 and the number, and the connection ends."""
    async with hasty.client() as client:
        client.send(GET[:20])
        said = await client.rest()
        assert said.startswith(b"HTTP/1.1 408 ")
        assert said.endswith(b"The request's head was not complete after 1 s.")
        assert b"connection: close\r\n" in said


async def test_a_head_in_drops_is_cut(hasty: Server) -> None:
    """Bytes that keep coming do not move the deadline."""
    async with hasty.client() as client:
        client.send(b"GET / HTTP/1.1\r\nX: ")
        assert (await drip(client, b"x")).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("drop", [b"\r\n", b"X"], ids=["empty lines", "a head"])
async def test_a_later_head_in_drops_is_cut(hasty: Server, drop: bytes) -> None:
    """After an answer the same deadline begins with the next byte, be it an empty line."""
    async with hasty.client() as client:
        await client.request(GET)
        await drip(client, drop)
    assert hasty.asked == ["/one"]


async def test_between_requests_there_is_time(hasty: Server) -> None:
    """An idle keep-alive connection has no deadline of its own and is not cut; the next request is served."""
    async with hasty.client() as client:
        for piece in (GET[:10], GET[10:20]):
            client.send(piece)
            await asyncio.sleep(DRIP_SECONDS)
        assert (await client.request(GET[20:]))["path"] == "/one"
        assert hasty.fronts[0]._deadline is None
        await asyncio.sleep(1.5 * QUICK)  # the claim is about time that passes
        assert (await client.request(POST))["body"] == "abc"


async def test_a_slow_answer_is_no_slow_head(hasty: Server) -> None:
    """While an answer is under way the next head may stand half sent; its deadline begins after the answer."""
    async with hasty.client() as client:
        client.send(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n" + GET[:10])
        await asyncio.sleep(1.5 * QUICK)  # the claim is about time that passes
        hasty.go()
        assert (await client.answer())[0] == 200
        assert (await client.rest()).startswith(b"HTTP/1.1 408 ")


async def test_an_answer_before_the_end_of_the_body_leaves_no_open_end(hasty: Server) -> None:
    """Who was answered early and goes on sending its body in drops is cut like a slow head."""
    async with hasty.client() as client:
        await client.request(b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n")
        await drip(client, b"x")


# In size


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + 2048 * b"x" + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + 2048 * b"x",
        b"GET /" + 2048 * b"x",
        b"GET / HTTP/1.1\r\n" + HOST + 129 * b"X: x\r\n" + b"\r\n",
        2049 * b"\n",
    ],
    ids=["whole", "cut", "url", "many", "empty lines"],
)
async def test_a_large_head_is_refused(server: Server, head: bytes) -> None:
    """A head beyond the limit, complete or not, is answered with 431 and the numbers, and the connection ends."""
    async with server.client() as client:
        client.send(head)
        said = await client.rest()
        assert said.startswith(b"HTTP/1.1 431 ")
        assert said.endswith(b"A request's head may have 2048 bytes and 128 headers.")
    assert server.asked == []


async def test_a_large_head_in_pieces_is_refused(server: Server) -> None:
    """A header without end is refused once it is too large, not when it ends."""
    async with server.client() as client:
        client.send(b"GET / HTTP/1.1\r\nX: ")
        assert (await drip(client, 500 * b"x")).startswith(b"HTTP/1.1 431 ")


async def test_a_large_head_behind_another_request_is_refused(server: Server) -> None:
    """In the same read as a good request: that one is answered, the large one ends the connection."""
    async with server.client() as client:
        client.send(GET + b"GET /large HTTP/1.1\r\n" + HOST + b"X: " + 2048 * b"x" + b"\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert await client.rest() == b""
    assert server.asked == ["/one"]


async def test_a_large_body_is_no_large_head(server: Server) -> None:
    """Bodies of any size and form pass, at once or in pieces, and a request behind them too."""
    large = 300_000 * b"x"
    chunked = b"%x\r\n%b\r\n" % (len(large), large) + b"1\r\ny\r\n0\r\n\r\n"
    async with server.client() as client:
        plain = b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 300000\r\n\r\n" + large
        assert len((await client.request(plain))["body"]) == 300_000
        head = b"POST /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        assert (await client.request(head + chunked))["body"].endswith("xxy")
        assert (await client.request(GET))["path"] == "/one"


async def test_a_trailer_without_end_is_refused(server: Server) -> None:
    """What comes behind a chunked body is bounded like a head."""
    async with server.client() as client:
        client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ")
        assert await drip(client, 500 * b"x") == b""


# One meaning


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        b"GET / HTTP/1.0\r\n" + HOST + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"host: other.example\r\n\r\n",
    ],
    ids=["none", "two", "two of 1.0", "two that differ"],
)
async def test_one_host_is_expected(server: Server, head: bytes) -> None:
    """HTTP/1.1 without Host, and any request with two, is answered with 400 (RFC 9112, 3.2)."""
    async with server.client() as client:
        client.send(head)
        said = await client.rest()
        assert said.startswith(b"HTTP/1.1 400 ")
        assert b"One Host header is expected" in said
    assert server.asked == []


async def test_http_1_0_may_have_no_host(server: Server) -> None:
    """Health checks of load balancers may be HTTP/1.0 without Host; the connection ends after the answer."""
    async with server.client() as client:
        assert (await client.request(b"GET /one HTTP/1.0\r\n\r\n"))["path"] == "/one"
        assert await client.rest() == b""


LENGTH = b"Content-Length: 3\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        (b"POST / HTTP/1.1", LENGTH + CHUNKED),
        (b"POST / HTTP/1.1", CHUNKED + LENGTH),
        (b"POST / HTTP/1.1", LENGTH + LENGTH),
        (b"POST / HTTP/1.1", LENGTH + b"Content-Length: 4\r\n"),
        (b"POST / HTTP/1.1", b"Content-Length: 3, 3\r\n"),
        (b"POST / HTTP/1.1", b"Content-Length: +3\r\n"),
        (b"POST / HTTP/1.0", CHUNKED),
        (b"POST / HTTP/1.1", b"Transfer-Encoding: chunked, identity\r\n"),
        (b"POST / HTTP/1.1", b"Transfer-Encoding : chunked\r\n"),
        (b"POST / HTTP/1.1", b"X: a\r\n Transfer-Encoding: chunked\r\n"),
        (b"POST / HTTP/1.1", b"X: a\n" + CHUNKED),
        (b"POST / HTTP/1.1", b"X: a\rb\r\n"),
        (b"POST / HTTP/1.1", b"X: a\0b\r\n"),
        (b"POST / HTTP/1.1", b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + LENGTH),
        (b"POST / HTTP/1.1", b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + CHUNKED),
        (b"CONNECT shop.example:80 HTTP/1.1", b""),
        (b"PRI * HTTP/2.0", b""),
        (b"HELLO", b""),
    ],
    ids=lambda each: each.decode().strip() if isinstance(each, bytes) else None,
)
async def test_a_head_of_two_meanings_is_refused(server: Server, line: bytes, headers: bytes) -> None:
    """What two servers could read differently (request smuggling) gets 400, and nothing behind it counts."""
    async with server.client() as client:
        client.send(line + b"\r\n" + HOST + headers + b"\r\nabc" + GET)
        said = await client.rest()
        assert said.startswith(b"HTTP/1.1 400 ")
        assert said.count(b"HTTP/1.1 ") == 1
    assert server.asked == []


@pytest.mark.parametrize("coding", [b"xchunked", b"gzip, chunked", b"identity"])
async def test_unknown_codings_are_refused(server: Server, coding: bytes) -> None:
    """A Transfer-Encoding besides `chunked` is answered with 501 before the app sees the request."""
    async with server.client() as client:
        client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n")
        said = await client.rest()
        assert said.startswith(b"HTTP/1.1 501 ")
    assert server.asked == []


@pytest.mark.parametrize("version", [b"2.0", b"0.9"])
async def test_other_versions_are_refused(server: Server, version: bytes) -> None:
    """A version besides 1.0 and 1.1 is answered with 505."""
    async with server.client() as client:
        client.send(b"GET / HTTP/" + version + b"\r\n" + HOST + b"\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 505 ")
    assert server.asked == []


async def test_a_trailer_is_no_header(server: Server) -> None:
    """Fields behind a chunked body do not become fields of its head (RFC 9110, 6.5.1)."""
    async with server.client() as client:
        head = b"POST /t HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n"
        told = await client.request(head + b"1\r\nx\r\n0\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n")
        assert told["headers"] == [["host", "shop.example"], ["transfer-encoding", "chunked"]]
        assert (await client.request(GET))["headers"] == [["host", "shop.example"]]


async def test_a_refusal_is_never_taken_for_an_answer(server: Server) -> None:
    """Behind a request under way a bad head gets no answer of its own: that request is answered, then it is over."""
    async with server.client() as client:
        client.send(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\nHELLO\r\n\r\n" + GET)
        await wait_for(lambda: server.asked == ["/slow"], "the request is under way")
        server.go()
        status, body = await client.answer()
        assert (status, b'"/slow"' in body) == (200, True)
        assert await client.rest() == b""
    assert server.asked == ["/slow"]


async def test_a_body_that_turns_out_bad_ends_the_connection(server: Server) -> None:
    """A chunk without its length ends the connection, and the app is not left waiting for the rest."""
    async with server.client() as client:
        client.send(b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n")
        await wait_for(lambda: server.asked == ["/"], "the request is under way")
        client.send(b"x\r\n")
        assert await client.rest() == b""
    await wait_for(lambda: not server.state.tasks, "the app has returned")


# What must go on as it did


async def test_requests_may_follow_each_other(server: Server) -> None:
    """Requests on one connection, one after the other and all at once, are answered in order."""
    async with server.client() as client:
        assert (await client.request(GET))["path"] == "/one"
        assert (await client.request(POST))["body"] == "abc"
        client.send(10 * (GET + POST))
        for _ in range(10):
            assert b'"/one"' in (await client.answer())[1]
            assert b'"abc"' in (await client.answer())[1]
        for _ in range(100):
            await client.request(GET)
    assert len(server.fronts) == 1


async def test_a_request_may_come_byte_by_byte(server: Server) -> None:
    """However the bytes of a request are cut, it is the same request."""
    async with server.client() as client:
        for byte in POST[:-1]:
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.request(POST[-1:]))["body"] == "abc"


async def test_requests_that_wait_for_their_turn_are_few(server: Server) -> None:
    """Who sends more than 32 requests behind a slow one gets the answers to those, and then the connection ends."""
    slow = b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n"
    async with server.client() as client:
        client.send(slow + 32 * GET)
        await wait_for(lambda: [len(each.pipeline) for each in server.fronts] == [32], "32 requests wait")
        server.go()
        for _ in range(33):
            assert (await client.answer())[0] == 200
        server.go(ahead=False)
        client.send(slow + 34 * GET)
        server.go()
        assert (await client.rest()).count(b"HTTP/1.1 200 ") == 33


async def test_an_unknown_upgrade_is_ignored(server: Server) -> None:
    """A request that offers HTTP/2 is served as it is, and so is the next one behind it (RFC 9110, 7.8)."""
    async with server.client() as client:
        client.send(GET.removesuffix(b"\r\n") + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + POST)
        assert b'"/one"' in (await client.answer())[1]
        assert b'"abc"' in (await client.answer())[1]


async def test_who_leaves_in_the_middle_leaves_no_deadline(server: Server) -> None:
    """A client that goes away within its head takes its deadline with it."""
    async with server.client() as client:
        client.send(GET[:20])
        await wait_for(lambda: [each._in_head for each in server.fronts] == [True], "the head has begun")
        assert server.fronts[0]._deadline is not None
    await wait_for(lambda: server.fronts[0]._deadline is None, "the deadline is gone")
