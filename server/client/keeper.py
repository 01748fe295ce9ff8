"""Keeps a viewer connected: hello and resume, order of events, breaks waited out, until a final end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import structlog

from server.client.backoff import Backoff
from server.client.failures import ClosedError, not_connected
from server.client.place import Place, Step
from server.client.talk import Talk
from server.client.work import Work
from server.clock import monotonic
from server.errors import CLOSE_NO_TOKEN, CLOSE_POSITION_LOST, CLOSE_TOKEN_EXPIRED

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from server.client.credential import Credential
    from server.client.operations import Operations
    from server.client.outbox import Outbox
    from server.client.server_clock import ServerClock
    from server.client.wire import Wire
    from server.protocol.events import Message

State = Literal["connecting", "checking", "queued", "live", "waiting", "ended"]

# What keeps a connection from its welcome, and how it stands then.
HELD_UP: dict[str, State] = {"challenge": "checking", "waiting": "queued"}
STEADY_SECONDS = 10.0  # a connection that lasted this long ends a series of failed attempts

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Connection:
    """How it stands: `waiting` comes back after `retry_in` seconds, `ended` never does.

    `checking` does the work that this server asks of unknown viewers, `queued` is in the show's waiting room.
    """

    state: State
    code: int = 0
    reason: str = ""
    retry_in: float = 0.0


class Keeper:
    """One connection after the other, made by `dial`.

    `told` gets each message that counts, every event once and in order; `turned` each change of how it stands.
    """

    def __init__(  # noqa: PLR0913  the parts of a client that know nothing of each other
        self,
        dial: Callable[[], AbstractAsyncContextManager[Wire]],
        *,
        credential: Credential,
        clock: ServerClock,
        outbox: Outbox,
        operations: Operations,
        chance: Callable[[], float],
        told: Callable[[Message], None],
        turned: Callable[[Connection], None],
    ) -> None:
        self._dial = dial
        self._credential = credential
        self._clock = clock
        self._outbox = outbox
        self._operations = operations
        self._chance = chance
        self._told = told
        self._turned = turned
        self._backoff = Backoff(chance)
        self._place = Place()
        self._work = Work(clock.now)
        self._token = ""  # of the last hello
        self._wire: Wire | None = None
        self._accepted_at: float | None = None  # into the show, or into its waiting room
        self._held_up = ""  # what keeps the present connection from its welcome: how it stands

    async def run(self) -> None:
        """Keep the connection up; raise the ClosedError after which it may not come back."""
        while True:
            self._turned(Connection("connecting"))
            closed = await self._stay()
            if self._accepted_at is not None and monotonic() - self._accepted_at >= STEADY_SECONDS:
                self._backoff.steady()
            self._accepted_at = None
            self._held_up = ""
            if not self._may_return(closed):
                raise closed
            wait = self._backoff.wait(closed)
            self._turned(Connection("waiting", closed.code, closed.message, wait))
            await asyncio.sleep(wait)

    def start_over(self) -> None:
        """Give the present stream up and come back for a snapshot."""
        self._place.forget()
        if self._wire is not None:
            self._wire.abort()

    def bring_token(self) -> None:
        """Give the server the token that we now have; without a connection, the next welcome sees to it."""
        self._outbox.put({"type": "token", "token": self._credential.present})

    async def _stay(self) -> ClosedError:
        """Connect once, and return how that ended."""
        try:
            self._token = token = await self._credential.token(self._clock.now())
        except Exception as error:  # noqa: BLE001  whatever the program's own function may raise
            log.warning("token.not_given", error=repr(error))
            return not_connected("no token was to be had")
        try:
            async with self._dial() as wire:
                self._wire = wire
                hello: Message = {"type": "hello", "token": token}
                more = {"since": self._place.since, "proof": self._work.proof}
                hello |= {name: known for name, known in more.items() if known is not None}
                talk = Talk(
                    wire,
                    self._take,
                    outbox=self._outbox,
                    clock=self._clock,
                    credential=self._credential,
                    work=self._work,
                    chance=self._chance,
                )
                return await talk.run(hello)
        except ClosedError as closed:
            return closed
        finally:
            self._wire = None
            self._outbox.close()

    def _may_return(self, closed: ClosedError) -> bool:
        if closed.code == CLOSE_NO_TOKEN:
            return self._credential.refused(self._token)
        if closed.code == CLOSE_TOKEN_EXPIRED:
            self._credential.spoilt()
        if closed.code == CLOSE_POSITION_LOST:
            self._place.forget()
        return not closed.final

    def _take(self, message: Message) -> None:
        step = Step.NEXT
        if message["type"] == "welcome":
            step = self._place.welcomed(message)
        elif "offset" in message:
            step = self._place.take(message)
        if step is Step.GAP:
            raise not_connected(f"events are missing before {message['offset']}")
        if message["type"] == "welcome":
            self._go_live()
        elif message["type"] in HELD_UP:
            self._hold_up(HELD_UP[message["type"]])
        refusal = self._operations.heard(message) and message["type"] == "error"
        if step is Step.NEXT and message["type"] != "ok" and not refusal:
            self._told(message)

    def _hold_up(self, state: State) -> None:
        if state == "queued" and self._accepted_at is None:
            self._accepted_at = monotonic()
        if state != self._held_up:
            self._held_up = state
            self._turned(Connection(state))

    def _go_live(self) -> None:
        self._accepted_at = monotonic()
        self._outbox.open()
        if self._credential.present not in {"", self._token}:
            self.bring_token()
        self._operations.repeat()
        self._turned(Connection("live"))
