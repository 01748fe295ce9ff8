"""A client of one show that stays: the live socket and the checkout, for asyncio programs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from server import ids
from server.client.credential import Credential
from server.client.door import ANSWER_SECONDS as HTTP_SECONDS
from server.client.door import CHECKOUT_SECONDS, Door
from server.client.failures import ClosedError
from server.client.keeper import Connection, Keeper
from server.client.listeners import Listeners
from server.client.operations import Operations
from server.client.outbox import Outbox
from server.client.server_clock import ServerClock
from server.client.unread import MOST, Unread
from server.client.wire import address_of, dial
from server.protocol.codec import Codec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import TracebackType

    from server.client.credential import Source
    from server.client.wire import Dial
    from server.protocol.events import Message

OPERATION_SECONDS = 30.0
NORMAL = 1000  # RFC 6455: ended by our own will


class LiveDrop:
    """A viewer of one show, for as long as the `async with` lasts.

        async with LiveDrop(url, show, token) as live:
            reservation = await live.reserve(drop)
            order = await live.checkout({"reservations": [reservation["id"]], "payment": {…}})
            async for message in live:
                …

    Entering waits for the first welcome, for as long as it takes (`asyncio.timeout` bounds it), and raises
    ClosedError where the server will never give one. From then on:

    - Every show event comes once and in order, or the stream starts over: a `welcome` with a `snapshot`.
    - Operations are repeated under one id, over breaks, until they are answered: nothing is ever taken twice.
      They raise LiveDropError with the contract's code; `unknown` tells that it may have happened.
    - Breaks are waited out with full jitter, and no shorter than the server asks for.
    - `token` may be an async function that fetches one: called for a connection or a request when the last one has
      grown old, and in time before it expires.
    - In front of a full show it waits in line, for as long as it takes; a `waiting` message says where (`place`,
      `estimate_ms`). The place is the token's subject's: a fresh token has to be of the same one.
    - Work that the server asks of unknown viewers is done in a thread, up to 26 bits, and once while its proof counts.

    What waits is bounded: 256 operations, beyond which one is refused at once (`rate-limited`); `unread` messages,
    beyond which the iteration starts over with a snapshot, live numbers counting once per drop; 64 reactions in line,
    beyond which they are dropped; 100 checkouts without an answer. Not for several event loops.
    """

    def __init__(  # noqa: PLR0913  three that say where and who, the rest has its defaults
        self,
        url: str,
        show: str,
        token: Source,
        *,
        codec: Codec = Codec.MSGPACK,
        unread: int = MOST,
        chance: Callable[[], float] = ids.chance,
        dial: Dial = dial,
    ) -> None:
        address_of(url, show)  # raises ValueError
        self.clock = ServerClock()
        self.connection = Connection("connecting")
        self.snapshot: Message = {}  # where the stream began, or began anew; what came after it is not in it
        self._credential = Credential(token, chance)
        self._door = Door(url, self._credential, self.clock, chance)
        self._outbox = Outbox()
        self._operations = Operations(self._outbox, chance)
        self._listeners = Listeners()
        self._keeper = Keeper(
            lambda: dial(url, show, codec),
            credential=self._credential,
            clock=self.clock,
            outbox=self._outbox,
            operations=self._operations,
            chance=chance,
            told=self._told,
            turned=self._turned,
        )
        self._unread = Unread(unread, self._keeper.start_over)
        self._keeping: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # welcomed once, or ended

    async def __aenter__(self) -> Self:
        if self._keeping is not None:
            raise RuntimeError("A LiveDrop is entered once.")
        self._keeping = asyncio.create_task(self._keeper.run())
        self._keeping.add_done_callback(self._ended)
        try:
            await self._settled.wait()
            if self._keeping.done():
                await self._keeping
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over all messages but pongs, each read once; of what comes before a welcome the newest.

        Ends with the `async with`; raises ClosedError after the last message where the server ended it for good.
        """
        return self._unread

    def on(self, kind: str, callback: Callable[[Any], object]) -> Callable[[], None]:
        """Call back with each message of a type (`drop.opened`, …) or `message`: of any, or with each `connection`.

        In order, on the event loop, before the iteration has it. What a callback raises goes to the loop's exception
        handler. The function that is returned ends it.
        """
        return self._listeners.add(kind, callback)

    def now(self) -> int:
        """Return the server's Unix time in ms, as near as the quickest round trip tells (`clock.uncertainty_ms`)."""
        return self.clock.now()

    def renew(self, token: str) -> None:
        """Hand over a fresh token, where `token` was none that could be fetched."""
        self._credential.replace(token)
        self._keeper.bring_token()

    async def reserve(  # noqa: PLR0913  all but the first have their defaults
        self,
        drop: str,
        quantity: int = 1,
        *,
        part: bool = False,
        receipt: bool = False,
        operation: str | None = None,
        within: float = OPERATION_SECONDS,
    ) -> Message:
        """Take units and return the reservation; at most one comes of an `operation`, whoever repeats it.

        With `part`: what is left, and in `waiting` the place in the queue for the rest; where nothing is left, that
        place alone (`position`, `length`, `quantity`). With `receipt`: a signed account in `receipt`.
        Raises LiveDropError: `out-of-stock` (`extras["available"]`), `limit-reached`, `drop-not-open`, …
        """
        wanted: Message = {"type": "reserve", "drop": drop, "quantity": quantity}
        wanted |= ({"part": True} if part else {}) | ({"receipt": True} if receipt else {})
        return _content(await self._operations.ask(wanted, operation, within))

    async def bundle(
        self,
        items: Mapping[str, int],
        *,
        operation: str | None = None,
        within: float = OPERATION_SECONDS,
    ) -> list[Message]:
        """Take units of several drops (drop -> how many), all or none; return the reservations in that order."""
        wanted = [{"drop": drop, "quantity": quantity} for drop, quantity in items.items()]
        answer = await self._operations.ask({"type": "bundle", "items": wanted}, operation, within)
        taken: list[Message] = answer["reservations"]
        return taken

    async def release(self, reservation: str, *, within: float = OPERATION_SECONDS) -> Message:
        """Give a reservation back and return it as it now is."""
        command = {"type": "release", "reservation": reservation}
        return _content(await self._operations.ask(command, None, within))

    async def join(
        self,
        drop: str,
        quantity: int = 1,
        *,
        operation: str | None = None,
        within: float = OPERATION_SECONDS,
    ) -> Message:
        """Queue for units, or enter a draw; return the place: `position`, `length`, `quantity`."""
        command = {"type": "waitlist.join", "drop": drop, "quantity": quantity}
        return _content(await self._operations.ask(command, operation, within))

    async def leave(self, drop: str, *, within: float = OPERATION_SECONDS) -> Message:
        """Give the place up; return it with position 0."""
        return _content(await self._operations.ask({"type": "waitlist.leave", "drop": drop}, None, within))

    async def react(self, kind: str, count: int = 1) -> bool:
        """Applaud, at most once: applause has no answer, so none that a break swallows is repeated.

        Return whether it is on its way; it is not while the connection is away or too much is in line.
        """
        return self._outbox.offer({"type": "react", "kind": kind, "count": count})

    async def checkout(
        self, body: Message, *, key: str | None = None, within: float = CHECKOUT_SECONDS
    ) -> Message:
        """Turn reservations into one paid order and return it; `body` is the contract's.

        One Idempotency-Key is kept until the answer is known, also over errors with `unknown` and cancellations:
        call again with the same body. A `key` of your own, kept somewhere safe, outlives this process too.
        One that is not settled yet (`confirming`, `requires_action`) is told on by `order.updated`.
        Raises LiveDropError: `payment-declined`, `total-changed`, `reservation-expired`, …
        """
        return await self._door.checkout(body, key, within)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        key: str | None = None,
        within: float = HTTP_SECONDS,
    ) -> Any:
        """Return the decoded answer to one HTTP request of the API, `key` being its Idempotency-Key.

        Raises LiveDropError; nothing is repeated.
        """
        return await self._door.request(method, path, body=body, key=key, within=within)

    def _told(self, message: Message) -> None:
        if "snapshot" in message:
            self.snapshot = message["snapshot"]
        self._listeners.tell(message["type"], message)
        self._listeners.tell("message", message)
        self._unread.put(message)

    def _turned(self, connection: Connection) -> None:
        self.connection = connection
        if connection.state == "live":
            self._settled.set()
        self._listeners.tell("connection", connection)

    def _ended(self, keeping: asyncio.Task[None]) -> None:
        error = None if keeping.cancelled() else keeping.exception()
        if error is not None and not isinstance(error, ClosedError):
            context = {"message": "A LiveDrop has failed.", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
        closed = error if isinstance(error, ClosedError) else ClosedError(NORMAL, "left")
        self._turned(Connection("ended", closed.code, closed.message))
        self._operations.end(f"The connection has ended: {closed}.")
        self._unread.end(error)
        self._settled.set()

    async def _leave(self) -> None:
        try:
            if self._keeping is not None:
                self._keeping.cancel()
                await asyncio.wait({self._keeping})
        finally:
            await self._door.aclose()


def _content(answer: Message) -> Message:
    """Return what an answer is about: the reservation with what came beside it, or the place in a queue."""
    beside = {name: answer[name] for name in ("waiting", "receipt") if name in answer}
    if answer["type"] == "reservation":
        return {**answer["reservation"], **beside}
    return {name: value for name, value in answer.items() if name not in {"type", "id"}}
