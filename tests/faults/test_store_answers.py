"""Answers with which a store says that it cannot: each is one command sent, and `unavailable` or a bug to be seen."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import hiredis
import pytest
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ResponseError

from server.errors import Code, Problem
from server.store.redis import connect, reaching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.store.redis import Redis

READ_BYTES = 65_536
UNABLE = [
    "LOADING Valkey is loading the dataset in memory",
    "BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Errors writing to the AOF file: No space left on device",
    "NOREPLICAS Not enough good replicas to write.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN Hash slot not served",
    "MOVED 1180 127.0.0.1:1",
    "ASK 1180 127.0.0.1:1",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "UNBLOCKED client unblocked via CLIENT UNBLOCK",
    "NOPERM User livedrop has no permissions to run the 'incrby' command",
]
BUGS = [
    "CROSSSLOT Keys in request don't hash to the same slot",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR value is not an integer or out of range",
]


class Store:
    """Listens on a port of its own, agrees to whatever a client begins with, and answers a counting with its error."""

    def __init__(self, error: str) -> None:
        self.error = error
        self.asked: list[list[bytes]] = []  # commands, without those that a connection begins with
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        requests = hiredis.Reader()
        try:
            while read := await reader.read(READ_BYTES):
                requests.feed(read)
                while (command := requests.gets()) is not False:
                    writer.write(self._answer(command))
        finally:
            writer.transport.abort()

    def _answer(self, command: Any) -> bytes:
        if command[0] != b"INCRBY":
            return b"+OK\r\n"
        self.asked.append(command)
        return f"-{self.error}\r\n".encode()


@asynccontextmanager
async def answering(error: str) -> AsyncIterator[tuple[Store, Redis]]:
    """Give a store that answers so, and our client of it."""
    store = Store(error)
    listening = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    client = connect(f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0?protocol=2")
    try:
        yield store, client
    finally:
        await client.aclose()
        listening.close()


def first_word(error: str) -> str:
    """Return the word that a test goes by."""
    return error.partition(" ")[0]


@pytest.mark.parametrize("error", UNABLE, ids=first_word)
async def test_a_store_that_cannot_is_unavailable(error: str) -> None:
    """The command is sent once, its caller hears `unavailable`, and no word of the store reaches the public."""
    async with answering(error) as (store, client):
        with pytest.raises(Problem) as caught, reaching("a test"):
            await client.incr("n")
        assert (caught.value.code, caught.value.status) == (Code.UNAVAILABLE, 503)
        assert caught.value.extras["retry_after_ms"] > 0
        assert error not in caught.value.detail
        assert len(store.asked) == 1


@pytest.mark.parametrize("error", BUGS, ids=first_word)
async def test_a_bug_of_ours_stays_visible(error: str) -> None:
    """What no waiting mends is not called `unavailable`: it is raised as it came, and sent once as well."""
    async with answering(error) as (store, client):
        with pytest.raises(ResponseError), reaching("a test"):
            await client.incr("n")
        assert len(store.asked) == 1


async def test_a_client_that_repeats_is_found() -> None:
    """Negative control: with one retry allowed, the same answer makes the library send the command again."""
    async with answering(UNABLE[0]) as (store, client):
        client.connection_pool.connection_kwargs["retry"] = Retry(NoBackoff(), 1)
        with pytest.raises(BusyLoadingError):
            await client.incr("n")
        assert len(store.asked) > 1
