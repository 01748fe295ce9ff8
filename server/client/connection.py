"""One connection to a show, as it is: for tests, load and simulated audiences.

It speaks either subprotocol, answers commands with their replies, and keeps what it saw: the offsets of the log,
the newest stock, its own reservations and places in queues. It does not reconnect by itself;
`live(…, since=client.place)` does.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from server import ids
from server.client.failures import NO_CONNECTION, ClosedError
from server.client.wire import address_of, framed, message_in
from server.client.work import proof_of
from server.protocol.codec import Codec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from server.protocol.events import Message

ANSWER_SECONDS = 10.0
ENTRANCES = frozenset({"welcome", "waiting", "challenge"})  # what answers a hello
MAX_KEPT = 10_000  # messages a client remembers; the oldest are forgotten


class LiveClient:
    """One connection to a show. Made by `live`; not for several tasks at once, except for `request`."""

    def __init__(self, socket: ClientConnection, codec: Codec) -> None:
        self._socket = socket
        self._codec = codec
        self._operations = itertools.count(1)
        self._name = ids.secret(6)  # operation ids are unique per viewer, who may have several connections
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._changed = asyncio.Event()
        self.entrance: Message = {}  # the newest answer to a hello
        self.welcome: Message = {}
        self.messages: list[Message] = []
        self.offsets: list[int] = []
        self.stock: dict[str, Message] = {}
        self.reservations: dict[str, Message] = {}
        self.places: dict[str, Message] = {}  # by drop: only where it waits
        self.closed: ClosedError | None = None

    @property
    def place(self) -> Message:
        """The place in the log to come back to."""
        newest = self.offsets[-1] if self.offsets else self.welcome["offset"]
        return {"epoch": self.welcome["epoch"], "offset": newest}

    async def send(self, message: Message) -> None:
        """Send a message."""
        await self._socket.send(framed(self._codec, message))

    async def enter(self, hello: Message) -> None:
        """Say hello, do the work that may be asked for, and wait for the welcome: in line for as long as it takes.

        Raises ClosedError, TimeoutError.
        """
        proof: Message = {}
        while True:
            with suppress(ConnectionClosed):
                await self.send({**hello, **proof})
            entrance: Message = await self.until(lambda client: client.entrance)
            if entrance["type"] != "challenge":
                break
            self.entrance = {}
            proof = {"proof": await proof_of(entrance)}
        await self.until(lambda client: client.welcome, None)

    async def request(self, message: Message) -> Message:
        """Send a command and return its answer; an id is made where it has none. Raises ClosedError, TimeoutError."""
        operation = message.setdefault("id", f"{self._name}-{next(self._operations)}")
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[operation] = answer
        try:
            await self.send(message)
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except ConnectionClosed:
            raise self.closed or ClosedError(NO_CONNECTION, "") from None
        finally:
            self._waiting.pop(operation, None)

    async def reserve(
        self, drop: str, quantity: int = 1, operation: str | None = None, **more: bool
    ) -> Message:
        """Ask for units, `part=True`: for what is left; returns the `reservation`, `waitlist` or `error` message."""
        message: Message = {"type": "reserve", "drop": drop, "quantity": quantity, **more}
        return await self.request(message if operation is None else {**message, "id": operation})

    async def bundle(self, *items: tuple[str, int], operation: str | None = None) -> Message:
        """Ask for units of several drops, all or nothing; returns the `bundle` or `error` message."""
        wanted = [{"drop": drop, "quantity": quantity} for drop, quantity in items]
        message: Message = {"type": "bundle", "items": wanted}
        return await self.request(message if operation is None else {**message, "id": operation})

    async def release(self, reservation: str) -> Message:
        """Give a reservation back."""
        return await self.request({"type": "release", "reservation": reservation})

    async def join(self, drop: str, quantity: int = 1) -> Message:
        """Queue for units, or enter a draw; returns the `waitlist` or `error` message."""
        return await self.request({"type": "waitlist.join", "drop": drop, "quantity": quantity})

    async def leave(self, drop: str) -> Message:
        """Give up the place; returns the `waitlist` or `error` message."""
        return await self.request({"type": "waitlist.leave", "drop": drop})

    async def until(self, predicate: Callable[[Self], Any], seconds: float | None = 30.0) -> Any:
        """Wait until the predicate of this client is true and return its value. Raises TimeoutError, ClosedError."""
        async with asyncio.timeout(seconds):
            while not (value := predicate(self)):
                if self.closed is not None:
                    raise self.closed
                self._changed.clear()
                await self._changed.wait()
        return value

    async def event(self, kind: str, seconds: float = 30.0) -> Message:
        """Wait for the newest message of a type, also one that has come already, and return it."""
        message: Message = await self.until(
            lambda client: next((m for m in reversed(client.messages) if m["type"] == kind), None), seconds
        )
        return message

    async def read(self) -> None:
        """Take messages until the connection ends."""
        try:
            async for data in self._socket:
                self._take(message_in(data))
        except ConnectionClosed:
            pass
        finally:
            self.closed = ClosedError(
                self._socket.close_code or NO_CONNECTION, self._socket.close_reason or ""
            )
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(self.closed)
            self._changed.set()

    def _take(self, message: Message) -> None:
        kind = message["type"]
        if kind in ENTRANCES:
            self.entrance = message
        if kind == "welcome":
            self._begin(message)
        elif "offset" in message:
            self.offsets.append(message["offset"])
        elif kind == "stock.updated":
            self._keep_stock(message)
        elif kind == "reservation":
            self._keep_reservations(message["reservation"])
            if "waiting" in message:
                self._keep_place({"drop": message["reservation"]["drop"], **message["waiting"]})
        elif kind == "bundle":
            self._keep_reservations(*message["reservations"])
        elif kind == "waitlist":
            self._keep_place(message)
        self.messages.append(message)
        del self.messages[:-MAX_KEPT]
        answer = self._waiting.get(message.get("id", ""))
        if answer is not None and not answer.done():
            answer.set_result(message)
        self._changed.set()

    def _begin(self, welcome: Message) -> None:
        self.welcome = welcome
        snapshot = welcome.get("snapshot", {})
        for drop in snapshot.get("drops", ()):
            self._keep_stock({**drop, "drop_id": drop["id"]})
        self._keep_reservations(*snapshot.get("reservations", welcome.get("reservations", ())))
        for place in snapshot.get("waitlist", welcome.get("waitlist", ())):
            self._keep_place(place)

    def _keep_reservations(self, *reservations: Message) -> None:
        self.reservations.update((each["id"], each) for each in reservations)

    def _keep_place(self, place: Message) -> None:
        self.places.pop(place["drop"], None)
        if place["position"]:
            self.places[place["drop"]] = place

    def _keep_stock(self, message: Message) -> None:
        known = self.stock.get(message["drop_id"])
        if known is None or known["revision"] <= message["revision"]:
            self.stock[message["drop_id"]] = message


@asynccontextmanager
async def live(
    url: str, show: str, token: str, *, codec: Codec = Codec.MSGPACK, since: Message | None = None
) -> AsyncIterator[LiveClient]:
    """Connect to a show of the server at `url` (http://…), say hello and give the welcomed client.

    Raises ClosedError where the server ends the connection instead of welcoming.
    """
    async with connect(
        address_of(url, show),
        subprotocols=[Subprotocol(codec.value)],
        compression=None,
        max_size=None,
        proxy=None,
    ) as socket:
        client = LiveClient(socket, codec)
        reading = asyncio.create_task(client.read())
        try:
            hello: Message = {"type": "hello", "token": token}
            await client.enter(hello if since is None else {**hello, "since": since})
            yield client
        finally:
            await socket.close()
            await reading
