"""One connection that hears sharded channels: messages as Redis sends them, at about a microsecond each.

redis-py's own `PubSub` looks at the clock, sets a timeout and builds a map for every message, which at thousands of
messages a second is most of the work. This one reads from the connection itself: no timeout, no health check, no
reconnection. Whoever reads has a deadline of their own, which the channel's own traffic puts off.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self, cast

from server.errors import unavailable
from server.store.redis import reaching

if TYPE_CHECKING:
    from types import TracebackType

    from redis.asyncio.connection import AbstractConnection

    from server.store.redis import Redis

Push = tuple[bytes, bytes, bytes]
"""(`smessage`, channel, data), or (`ssubscribe` or `sunsubscribe`, channel, and a number)."""

WHAT = "listening"
SIGN = b"pong"  # how a server that is subscribed to answers a PING; in RESP3 it is as usual


class Subscription:
    """Open it with `async with`; a connection that is gone stays gone: open another, and read what was missed."""

    def __init__(self, subscriber: Redis) -> None:
        self._pool = subscriber.connection_pool
        self._connection: AbstractConnection | None = None

    async def __aenter__(self) -> Self:
        try:
            with reaching(WHAT):
                self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # untyped there
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)

    async def hear(self, *channels: bytes) -> None:
        """Ask for channels; each is heard from its confirmation on, which comes through `read`, also when repeated."""
        if channels:  # none would be an error
            await self._send("SSUBSCRIBE", *channels)

    async def leave(self, *channels: bytes) -> None:
        """Ask to hear channels no longer; messages that are under way still come."""
        if channels:  # none would be all
            await self._send("SUNSUBSCRIBE", *channels)

    async def ask_for_sign(self) -> None:
        """Ask for a sign of life, which comes through `read`."""
        await self._send("PING")

    async def _send(self, *command: str | bytes) -> None:
        connection = self._connection
        # Sending on a lost connection would make a new one, which hears these channels and no other.
        if connection is None or not connection.is_connected:
            raise unavailable(f"{WHAT}: the connection to the store is lost")
        with reaching(WHAT):
            await connection.send_command(*command, check_health=False)

    async def read(self) -> Push:
        """Return what comes next: waits without limit, and not at all for what has been received already.

        Raises RedisError where the connection is lost or Redis refused what was asked.
        """
        assert self._connection is not None  # noqa: S101  it is open
        push = await self._connection.read_response(
            timeout=math.inf, disconnect_on_error=False, push_request=True
        )
        return cast("Push", push)


def is_sign(push: Push) -> bool:
    """Whether what was read is a sign of life, and no more."""
    return push[0] == SIGN or not isinstance(push, list | tuple)
