"""What one writes first, with Starlette: a call to Redis for each message; `/live` echoes and tells everybody.

`/` counts a key down: no holds, no limits. `/hold` calls a script that holds a unit. No log, and nobody's slowness is
thought of.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from loadtests.bench import lean
from loadtests.bench.peer import following

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UNITS = 10**12
CONNECTIONS = 1_000  # to Redis; its default of 100 is an error for whoever comes then


class Naive:
    """The server: what comes in on each path, and who is told."""

    def __init__(self, redis_url: str) -> None:
        self._client = Redis.from_url(redis_url, max_connections=CONNECTIONS)
        self._everybody: set[WebSocket] = set()

    async def countdown(self, websocket: WebSocket) -> None:
        """Count a key down for each message."""
        await websocket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                message = await websocket.receive_json()
                left = await self._client.decrby(f"naive:{message['drop']}", message["quantity"])
                await websocket.send_json({"reserved": left >= -UNITS, "left": left})

    async def hold(self, websocket: WebSocket) -> None:
        """Let somebody who was never seen before reserve a unit for each message."""
        await websocket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                message = await websocket.receive_json()
                answer = await self._client.evalsha(*lean.words(message["show"]))
                await websocket.send_json({"reserved": lean.held(answer) == 1})

    async def live(self, websocket: WebSocket) -> None:
        """Echo what comes in; whoever is here is told what the show says."""
        await websocket.accept()
        self._everybody.add(websocket)
        try:
            while True:
                await websocket.send_bytes(await websocket.receive_bytes())
        except WebSocketDisconnect:
            pass
        finally:
            self._everybody.discard(websocket)

    async def tell(self, message: bytes) -> None:
        """Tell everybody, one after the other."""
        for websocket in list(self._everybody):
            await websocket.send_bytes(message)


def app(redis_url: str, channel: str) -> Starlette:
    """Return the app."""
    naive = Naive(redis_url)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with following(redis_url, channel, naive.tell):
            yield

    paths = {"/": naive.countdown, "/hold": naive.hold, "/live": naive.live}
    return Starlette(routes=[WebSocketRoute(path, door) for path, door in paths.items()], lifespan=lifespan)


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
