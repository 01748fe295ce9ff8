"""picows, a websocket library in Cython: events of one show's channel to every connection, and an echo."""

from __future__ import annotations

import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from loadtests.bench.peer import following, told_to_leave

BACKLOG = 2048
DATA = (WSMsgType.BINARY, WSMsgType.TEXT)

everybody: set[WSTransport] = set()


class Listener(WSListener):
    """One connection: what it says comes back."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Remember it."""
        everybody.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Echo, or leave when the viewer does."""
        if frame.msg_type in DATA:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget it."""
        everybody.discard(transport)


def listener(_request: WSUpgradeRequest) -> Listener:
    """Take every connection."""
    return Listener()


def deliver(message: bytes) -> None:
    """Send a message to all."""
    for transport in everybody:
        transport.send(WSMsgType.BINARY, message)


async def main(port: int, redis_url: str, channel: str) -> None:
    """Serve until SIGTERM."""
    server = await ws_create_server(listener, "127.0.0.1", port, backlog=BACKLOG)
    async with server, following(redis_url, channel, deliver):
        await told_to_leave()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), *sys.argv[2:]))
