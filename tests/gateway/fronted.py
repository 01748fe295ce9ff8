"""A small server with `Front` as its first protocol, in a thread on the loop of production, and a client of bytes."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop
from uvicorn.server import ServerState

from server.gateway.front import Front, front
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

    from server.settings import Settings

SECONDS = 10.0  # bounds every wait of the client

Request = dict[str, Any]


class Server:
    """Answers each request with what it has understood of it; `/slow` once it may `go`."""

    def __init__(self, config: uvicorn.Config) -> None:
        self.config = config
        self.state = ServerState()
        self.asked: list[str] = []
        self.fronts: list[Front] = []
        self.port = 0
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._go: asyncio.Event
        self._end: asyncio.Event

    async def run(self) -> None:
        """Serve on a free port until the end, and leave no connection and no task."""
        self._loop, self._go, self._end = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        listening = await self._loop.create_server(self._accept, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        listening.close()
        self._go.set()
        for each in list(self.state.connections):
            each.transport.abort()
        await wait_for(lambda: not self.state.tasks and not self.state.connections, "nothing is left")

    def start(self) -> threading.Thread:
        """Serve in a thread."""
        thread = threading.Thread(target=lambda: uvloop.run(self.run()), daemon=True)
        thread.start()
        assert self._ready.wait(SECONDS)
        return thread

    def go(self, *, ahead: bool = True) -> None:
        """Let `/slow` go ahead, or make it wait again."""
        self._loop.call_soon_threadsafe(self._go.set if ahead else self._go.clear)

    def end(self) -> None:
        """Stop serving."""
        self._loop.call_soon_threadsafe(self._end.set)

    def _accept(self) -> Front:
        made: Front = self.config.http_protocol_class(  # type: ignore[call-arg, assignment]  # as uvicorn calls it
            config=self.config, server_state=self.state, app_state={}, _loop=self._loop
        )
        self.fronts.append(made)
        return made

    async def app(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Tell the request back as JSON."""
        assert scope["type"] == "http"
        self.asked.append(scope["path"])
        if scope["path"] == "/slow":
            await self._go.wait()
        body, more = b"", scope["path"] != "/early"
        while more:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        told = {
            "path": scope["path"],
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "body": body.decode(),
        }
        text = json.dumps(told).encode()
        length = [(b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": length, "trailers": False})
        await send({"type": "http.response.body", "body": text, "more_body": False})

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Connect."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes in one write."""
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        """Return the next answer's status and body."""
        async with asyncio.timeout(SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            return int(head.split()[1]), await self.reader.readexactly(length)

    async def request(self, data: bytes) -> Request:
        """Send a request that must be served, and return what the server has understood."""
        self.send(data)
        status, body = await self.answer()
        assert status == 200, body
        told: Request = json.loads(body)
        return told

    async def rest(self) -> bytes:
        """Return what comes until the server ends the connection."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()


@contextmanager
def serving(
    settings: Settings, ws: type[asyncio.Protocol] | None = None, app: Any = None
) -> Iterator[Server]:
    """Serve with these settings; `ws` is the class of the websocket's protocol, `app` what answers in place of it."""
    config = uvicorn.Config(
        app,
        http=front(settings),
        ws=ws or "none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=75,  # longer than anything here waits
    )
    server = Server(config)
    config.app = app or server.app
    config.load()
    thread = server.start()
    try:
        yield server
    finally:
        server.end()
        thread.join(2 * SECONDS)
        assert not thread.is_alive(), "a connection or a task is left"
