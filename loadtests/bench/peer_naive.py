"""What one writes first, with Starlette: `/` counts a key down for each message, `/live` echoes and tells everybody.

No holds, no limits, no log, nobody's slowness thought of.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from loadtests.bench.peer import following

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UNITS = 10**12


def app(redis_url: str, channel: str) -> Starlette:
    """Return the app."""
    client = Redis.from_url(redis_url)
    everybody: set[WebSocket] = set()

    async def countdown(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                message = await websocket.receive_json()
                left = await client.decrby(f"naive:{message['drop']}", message["quantity"])
                await websocket.send_json({"reserved": left >= -UNITS, "left": left})
        except WebSocketDisconnect:
            pass

    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        everybody.add(websocket)
        try:
            while True:
                await websocket.send_bytes(await websocket.receive_bytes())
        except WebSocketDisconnect:
            pass
        finally:
            everybody.discard(websocket)

    async def deliver(message: bytes) -> None:
        for websocket in list(everybody):
            await websocket.send_bytes(message)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with following(redis_url, channel, deliver):
            yield

    routes = [WebSocketRoute("/", countdown), WebSocketRoute("/live", live)]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(
        app(sys.argv[2], sys.argv[3]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
    )
