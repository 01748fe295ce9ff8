"""The peer of `buying`: what one writes first. Starlette, JSON, one DECR per message, no holds, nobody told."""

from __future__ import annotations

import sys

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

UNITS = 10**12


def app(redis_url: str) -> Starlette:
    """Return the app."""
    client = Redis.from_url(redis_url)

    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                message = await websocket.receive_json()
                left = await client.decrby(f"naive:{message['drop']}", message["quantity"])
                await websocket.send_json({"reserved": left >= -UNITS, "left": left})
        except WebSocketDisconnect:
            pass

    return Starlette(routes=[WebSocketRoute("/", live)])


if __name__ == "__main__":
    uvicorn.run(
        app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", ws="websockets-sansio"
    )
