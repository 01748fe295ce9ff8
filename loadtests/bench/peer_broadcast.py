"""`websockets.broadcast`: events of one show's channel to every connection of the library's own server."""

from __future__ import annotations

import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from loadtests.bench.peer import following, told_to_leave


async def main(port: int, redis_url: str, channel: str) -> None:
    """Serve until SIGTERM."""
    connections: set[ServerConnection] = set()

    async def handle(connection: ServerConnection) -> None:
        connections.add(connection)
        try:
            await connection.wait_closed()
        finally:
            connections.discard(connection)

    def deliver(message: bytes) -> None:
        broadcast(connections, message)

    serving = serve(handle, "127.0.0.1", port, compression=None, ping_interval=None, close_timeout=1)
    async with serving, following(redis_url, channel, deliver):
        await told_to_leave()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), *sys.argv[2:]))
