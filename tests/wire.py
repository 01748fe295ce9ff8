"""A viewer's websocket without manners: sends what it is told to, also what no client would, and sees every byte."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from server.protocol.codec import Codec, pack, unpack_event
from server.workers.audit import audit
from tests.houses import house_at
from tests.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from tests.server import ServerProcess

SECONDS = 10.0
LIVE = frozenset({"stock.updated", "viewers.updated", "reactions"})
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loopback speaks none; the usual one costs 20 ms to make
NAMES = itertools.count(1001)  # of the viewers of shared shows: everybody is new there

Message = dict[str, Any]


class Wire:
    """One connection. `raw` sends bytes or text as they are, `answer` gives the next message that answers one."""

    def __init__(self, socket: ClientConnection, codec: Codec) -> None:
        self.socket = socket
        self.codec = codec
        self.seen: list[Message] = []

    async def raw(self, data: bytes | str) -> None:
        """Send a websocket message: bytes as binary, str as text."""
        await self.socket.send(data)

    def frame(self, message: Any) -> bytes | str:
        """Return a message in this connection's codec; JSON may hold what JSON forbids, such as NaN."""
        return pack(message) if self.codec is Codec.MSGPACK else json.dumps(message)

    async def send(self, message: Any) -> None:
        """Send a message in this connection's codec."""
        await self.raw(self.frame(message))

    async def read(self) -> Message:
        """Return the next message; raises ConnectionClosed, TimeoutError."""
        async with asyncio.timeout(SECONDS):
            data = await self.socket.recv()
        message: Message = unpack_event(data) if isinstance(data, bytes) else msgspec.json.decode(data)
        assert isinstance(data, bytes) is self.codec.binary
        self.seen.append(message)
        return message

    async def answer(self) -> Message:
        """Return the next message that is neither an event nor a live number."""
        while True:
            message = await self.read()
            if "offset" not in message and message["type"] not in LIVE:
                return message

    async def hello(self, token: str, since: Message | None = None) -> Message:
        """Say hello and return the welcome."""
        await self.send({"type": "hello", "token": token} | ({"since": since} if since else {}))
        return await self.read()

    async def closed(self) -> tuple[int, Message]:
        """Read until the server closes; return its code and the reason's JSON, empty where there is none."""
        try:
            while True:
                await self.read()
        except ConnectionClosed:
            reason = self.socket.close_reason or "{}"
            return self.socket.close_code or 1006, json.loads(reason) if reason.startswith("{") else {}

    async def lives(self) -> None:
        """Assert that the connection still answers."""
        await self.send({"type": "ping", "id": "alive"})
        pong = await self.answer()
        assert (pong["type"], pong["id"]) == ("pong", "alive")


@asynccontextmanager
async def wire(  # noqa: PLR0913  everything that a handshake can name
    stage: Stage,
    token: str | None = None,
    *,
    codec: Codec = Codec.MSGPACK,
    offered: Sequence[str] | None = None,
    origin: str | None = None,
    show: str | None = None,
    since: Message | None = None,
) -> AsyncIterator[Wire]:
    """Connect; with a token also say hello and await the welcome. `offered` replaces the codec's subprotocol."""
    address = f"ws{stage.server.url.removeprefix('http')}/v1/shows/{show or stage.show}/live"
    names = [codec.value] if offered is None else offered
    async with connect(
        address,
        subprotocols=[Subprotocol(name) for name in names] or None,
        origin=Origin(origin) if origin else None,
        compression=None,
        max_size=None,
        proxy=None,
    ) as socket:
        opened = Wire(socket, codec)
        if token is not None:
            welcome = await opened.hello(token, since)
            assert welcome["type"] == "welcome", welcome
        yield opened


def shared_show(server: ServerProcess) -> Iterator[str]:
    """Give one live show for a whole module; when the module is done its books must balance."""

    async def opened() -> str:
        async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
            stage = Stage(server, http)
            await stage.open()
            return stage.show

    async def closed() -> None:
        assert await differences(server, show) == []
        async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
            stage = Stage(server, http)
            stage.show = show
            await stage.close()

    show = asyncio.run(opened())
    yield show
    asyncio.run(closed())


async def differences(server: ServerProcess, show: str) -> list[str]:
    """Return what `livedrop audit` would find wrong with a show, without the second that a command takes to start."""
    url = server.store_url
    async with house_at(url, server.data) as house:
        return [line for drop in await audit(house.client, house.orders, show) for line in drop.differences]


async def stage_of(server: ServerProcess, show: str) -> AsyncIterator[Stage]:
    """Give a stage on a show that is live already; after the test every drop of it has numbers that add up."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
        stage = Stage(server, http)
        stage.show = show
        stage._names = NAMES
        yield stage
        listed = await stage.host("GET", f"/v1/shows/{show}/drops")
        for drop in listed.json()["items"]:
            assert drop["available"] + drop["held"] + drop["sold"] == drop["quantity"], drop
