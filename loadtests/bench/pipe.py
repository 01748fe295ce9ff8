"""A connection to Redis that is kept busy: commands packed and answers parsed in C, as Redis is to be measured."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import hiredis

from loadtests.bench.ground import WAIT_SECONDS, BenchError
from server.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.store.lua import Script

READ_BYTES = 1 << 16
pack: Any = hiredis.pack_command  # its stub knows only tuples of one word


def packed(*words: str | bytes) -> bytes:
    """Return a command as Redis reads it."""
    return bytes(pack(words))


def call(script: Script, show: str, **values: str | bytes) -> bytes:
    """Return the call of a script on a show, its arguments by name, as Redis reads it."""
    places = [keys.key(name, show=show) for name in script.keys]
    words = [values[slot.name] for slot in script.args]
    return packed("EVALSHA", script.sha, str(len(places)), *places, *words)


def address(redis_url: str) -> tuple[str, int]:
    """Return host and port of a redis:// URL."""
    parts = urlsplit(redis_url)
    return parts.hostname or "", parts.port or 0


@dataclass(frozen=True, slots=True)
class Depth:
    """How busy: so many commands in one write, and at most so many unanswered at any time."""

    per_write: int
    under_way: int


PIPELINED = Depth(per_write=64, under_way=256)


async def kept_busy(
    redis_url: str,
    command: Callable[[], bytes],
    done: Callable[[bytes], int],
    depth: Depth,
    more: Callable[[], bool],
) -> int:
    """Send commands while there are to be `more`, and return how many units were done when all are answered.

    `done` returns the units of an answer. Raises BenchError.
    """
    reader, writer = await asyncio.open_connection(*address(redis_url))
    replies, unanswered, units = hiredis.Reader(), 0, 0
    try:
        while True:
            while unanswered <= depth.under_way - depth.per_write and more():
                writer.write(b"".join(command() for _ in range(depth.per_write)))
                unanswered += depth.per_write
            if not unanswered:
                return units
            async with asyncio.timeout(WAIT_SECONDS):
                received = await reader.read(READ_BYTES)
            if not received:
                raise BenchError("Redis closed the connection.")
            replies.feed(received)
            while (reply := replies.gets()) is not False:
                if not isinstance(reply, bytes):
                    raise BenchError(f"Redis refused: {reply!r}")
                units += done(reply)
                unanswered -= 1
    finally:
        writer.close()
        await writer.wait_closed()


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Return what is true for so long from now."""
    deadline = time.perf_counter() + seconds
    return lambda: time.perf_counter() < deadline
