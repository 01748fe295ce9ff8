"""A viewer who reads only when told to, through the smallest window there is."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any, Self

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from server.protocol.codec import Codec, pack

if TYPE_CHECKING:
    from tests.stage import Stage

SECONDS = 10.0
WINDOW = 4096
BIG = 20_000  # characters of a description: three such products pinned are an event of 60 kB


class Sluggish:
    """A websocket on a bare TCP connection: nothing is read unless `read` or `closed` is called."""

    def __init__(self, stage: Stage) -> None:
        self._address = ("127.0.0.1", stage.server.port)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        self._socket.setblocking(False)
        uri = parse_uri(f"ws://127.0.0.1:{stage.server.port}/v1/shows/{stage.show}/live")
        self._protocol = ClientProtocol(uri, subprotocols=[Subprotocol(Codec.MSGPACK.value)], max_size=None)
        self.frames: list[Frame] = []

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().sock_connect(self._socket, self._address)
        self._protocol.send_request(self._protocol.connect())
        await self._flush()
        while self._protocol.state.name == "CONNECTING":
            await self.read()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self._protocol.send_binary(pack(message))
        await self._flush()

    async def read(self) -> bool:
        """Read once what has come; False where the server has hung up."""
        async with asyncio.timeout(SECONDS):
            data = await asyncio.get_running_loop().sock_recv(self._socket, 65_536)
        if not data:
            return False
        self._protocol.receive_data(data)
        self.frames += [event for event in self._protocol.events_received() if isinstance(event, Frame)]
        return True

    async def closed(self) -> tuple[int, dict[str, Any]]:
        """Read on until the close frame; return its code and the reason's JSON."""
        while not self.frames or self.frames[-1].opcode is not Opcode.CLOSE:
            assert await self.read(), "hung up without a close frame"
        data = bytes(self.frames[-1].data)
        return int.from_bytes(data[:2], "big"), json.loads(data[2:])

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            await asyncio.get_running_loop().sock_sendall(self._socket, data)


async def pin_big_products(stage: Stage, times: int) -> None:
    """Write events of 60 kB: three products with long descriptions, pinned over and over."""
    rows = "".join(f"big{number},Big,{'x' * BIG},BIG{number},1.00\n" for number in range(3))
    feed = f"Handle,Title,Body (HTML),Variant SKU,Variant Price\n{rows}".encode()
    imported = await stage.host("POST", "/v1/catalog/import?currency=EUR", content=feed)
    assert imported.json()["rejected"] == []
    for _ in range(times):
        body = {"skus": ["BIG0", "BIG1", "BIG2"]}
        pinned = await stage.host("PUT", f"/v1/shows/{stage.show}/pinned", json=body)
        assert pinned.status_code == 200, pinned.text
