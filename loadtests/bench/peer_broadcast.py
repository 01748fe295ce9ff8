"""The peers of `fanout`: events of one show's channel in Redis to every connection, with as little as possible.

`broadcast` is `websockets.broadcast`. `raw` writes the finished frame to one socket after the other, with one
write(2) each: the limit for one write per message in Python.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress

import uvloop
from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.frames import Frame, Opcode


async def main(port: int, redis_url: str, channel: str, way: str) -> None:
    """Serve until SIGTERM."""
    connections: dict[ServerConnection, int] = {}

    async def handle(connection: ServerConnection) -> None:
        connections[connection] = connection.transport.get_extra_info("socket").fileno()
        try:
            await connection.wait_closed()
        finally:
            del connections[connection]

    def deliver(message: bytes) -> None:
        if way == "broadcast":
            broadcast(connections, message)
            return
        frame = Frame(Opcode.BINARY, message).serialize(mask=False)
        for descriptor in connections.values():
            os.write(descriptor, frame)

    async def listen() -> None:
        client = Redis.from_url(redis_url, socket_timeout=None)
        async with client.pubsub() as pubsub:
            await pubsub.ssubscribe(channel)
            while True:
                message = await pubsub.get_message(timeout=None)
                if message is not None and message["type"] == "smessage" and message["data"].startswith(b"e"):
                    deliver(message["data"].partition(b"\n")[2])

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(handle, "127.0.0.1", port, compression=None, ping_interval=None, close_timeout=1):
        listening = asyncio.create_task(listen())
        await stop.wait()
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), *sys.argv[2:]))
