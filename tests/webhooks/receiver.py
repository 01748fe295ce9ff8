"""A shop's receiver of webhooks on a real socket: keeps what it got, answers as a test wants, can be down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import msgspec
from standardwebhooks import Webhook

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Got:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    content: bytes

    @property
    def id(self) -> str:
        """The message's id."""
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        """The message itself."""
        decoded: dict[str, Any] = msgspec.json.decode(self.content)
        return decoded

    def verified(self, secret: str) -> Any:
        """Return the message, if the standard's own library finds it signed with this secret; else raise."""
        return Webhook(secret).verify(self.content, self.headers)


@dataclass(slots=True)
class Say:
    """What to answer; with `hold` not before that is set, and without `status` never."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hold: asyncio.Event | None = None


class Receiver:
    """Listens on a port of its own from `up` to `down`; coming up again it has the same port."""

    def __init__(
        self,
        answer: Callable[[Got], Say] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.answer = answer or (lambda _got: Say())
        self.got: list[Got] = []
        self.taken: list[str] = []  # ids of messages whose senders left with their answer
        self.host = host
        self.port = port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' if self._tls else ''}://{self.host}:{self.port}/hook"

    def ids(self) -> list[str]:
        """Return the ids of the messages in the order in which they came."""
        return [got.id for got in self.got]

    async def up(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections, and end those that are open."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._connections):
                writer.close()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the sender left
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        pairs = (line.partition(": ") for line in lines)
        headers = {name.lower(): value for name, _, value in pairs}
        content = await reader.readexactly(int(headers["content-length"]))
        got = Got(first.split(" ")[1], headers, content)
        self.got.append(got)
        say = self.answer(got)
        if say.hold is not None:
            await say.hold.wait()
        told = {"content-length": str(len(say.body)), **say.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        writer.write(f"HTTP/1.1 {say.status} Said\r\n{head}\r\n".encode() + say.body)
        await writer.drain()
        await reader.read()  # the sender has one request for each connection, and ends it
        self.taken.append(got.id)
