"""The pool of HTTP connections: kept where they may be, and never an answer that is not ours."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from loadtests.audience.http import HttpError, Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}'
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n4\r\n: 2}\r\n0\r\n\r\n'
LAST = b'HTTP/1.1 402 Payment Required\r\nConnection: close\r\nContent-Length: 12\r\n\r\n{"code":"x"}'


class Door:
    """A server that answers each request with the next of its answers; empty ones end the connection."""

    def __init__(self, *answers: bytes) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self._answers = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection to its end."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self._answers.pop(0)
                writer.write(answer)
                if not answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def pool_at(door: Door) -> AsyncIterator[Pool]:
    """Give a pool to a door."""
    server = await asyncio.start_server(door.serve, "127.0.0.1", 0)
    pool = Pool(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield pool
    finally:
        pool.close()
        server.close()
        await server.wait_closed()


async def test_a_connection_serves_many_requests() -> None:
    """One request after the other takes one connection, in whatever way the answers say their length."""
    door = Door(OK, CHUNKED, OK)
    async with pool_at(door) as pool:
        answers = [await pool.call("POST", "/x", "t", {"b": 1}, key="k") for _ in range(3)]
    assert [answer.body["a"] for answer in answers] == [1, 2, 1]
    assert door.connections == 1
    assert door.requests[0].endswith(b'\r\n\r\n{"b":1}')
    assert b"\r\nAuthorization: Bearer t\r\n" in door.requests[0]
    assert b"\r\nIdempotency-Key: k\r\n" in door.requests[0]


async def test_at_once_means_several_connections() -> None:
    """Requests do not wait for each other."""
    door = Door(OK, OK, OK)
    async with pool_at(door) as pool:
        await asyncio.gather(*(pool.call("GET", "/x", "t") for _ in range(3)))
    assert door.connections == 3


async def test_an_answer_may_end_the_connection() -> None:
    """After `Connection: close` the next request takes a new one; the problem's code is read."""
    door = Door(LAST, OK)
    async with pool_at(door) as pool:
        assert (await pool.call("GET", "/x", "t")).code == "x"
        assert (await pool.call("GET", "/x", "t")).status == 200
    assert door.connections == 2


@pytest.mark.parametrize("answer", [b"", b"rubbish\r\n\r\n"], ids=["no answer", "rubbish"])
async def test_no_answer_is_an_error(answer: bytes) -> None:
    """A connection that ends before its answer, or says what is no HTTP, is an error and not kept."""
    door = Door(answer, OK)
    async with pool_at(door) as pool:
        with pytest.raises(HttpError):
            await pool.call("GET", "/x", "t")
        assert (await pool.call("GET", "/x", "t")).status == 200


async def test_nobody_there_is_an_error() -> None:
    """A refused connection is an error that says so."""
    door = Door()
    async with pool_at(door) as pool:
        url = f"http://127.0.0.1:{pool.port}"
    with pytest.raises(HttpError, match="no connection"):
        await Pool(url).call("GET", "/x", "t")
