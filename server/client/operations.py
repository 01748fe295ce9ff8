"""What a viewer has asked for and not been answered: repeated under the same id, so nothing is ever taken twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server import ids
from server.client.backoff import pause
from server.client.failures import LiveDropError
from server.errors import Code

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.client.outbox import Outbox
    from server.protocol.events import Message

MOST = 256  # that wait for an answer; one more is refused before it is sent
ANSWERS = frozenset({"reservation", "waitlist", "bundle"})


@dataclass(slots=True)
class Operation:
    """A command, whoever waits for its answer, and the timer of its next repeat."""

    message: Message
    answer: asyncio.Future[Message] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    refusals: int = 0  # that said nothing about the outcome
    again: asyncio.TimerHandle | None = None


class Operations:
    """The commands under way, in the order in which they were given, over as many connections as it takes."""

    def __init__(self, outbox: Outbox, chance: Callable[[], float] = ids.chance) -> None:
        self._outbox = outbox
        self._chance = chance
        self._under_way: dict[str, Operation] = {}
        self._ended = ""

    async def ask(self, command: Message, operation: str | None, within: float) -> Message:
        """Return the answer to a command. Raises LiveDropError: `unavailable` where none came `within` seconds.

        A cancelled one is not repeated any more; what became of it is unknown.
        """
        name = operation or ids.secret(12)
        asked = self._begin({**command, "id": name})
        try:
            async with asyncio.timeout(within):
                return await asked.answer
        except TimeoutError:
            text = f"No answer came within {within:g} s."
            raise LiveDropError(Code.UNAVAILABLE, text, operation=name) from None
        finally:
            del self._under_way[name]
            self._outbox.drop(asked.message)
            if asked.again is not None:
                asked.again.cancel()

    def repeat(self) -> None:
        """Send all of them, on a connection that has just begun."""
        for asked in self._under_way.values():
            if asked.again is not None:
                asked.again.cancel()
            self._outbox.put(asked.message)

    def heard(self, message: Message) -> bool:
        """Whether a message answers one of them; then whoever waits for it gets it."""
        asked = self._under_way.get(message.get("id", ""))
        if asked is None or asked.answer.done():
            return False
        if message["type"] in ANSWERS:
            asked.answer.set_result(message)
        elif message["type"] == "error":
            self._refused(asked, _error_in(message))
        return True

    def end(self, reason: str) -> None:
        """Answer all of them, and all that come, with `unavailable`: there will be no connection any more."""
        self._ended = reason
        for name, asked in self._under_way.items():
            if not asked.answer.done():
                asked.answer.set_exception(LiveDropError(Code.UNAVAILABLE, reason, operation=name))

    def _begin(self, message: Message) -> Operation:
        name = message["id"]
        if self._ended:
            raise LiveDropError(Code.UNAVAILABLE, self._ended, operation=name)
        if name in self._under_way:
            raise LiveDropError(Code.IN_PROGRESS, "It waits for its answer already.", operation=name)
        if len(self._under_way) >= MOST:
            text = f"{MOST} commands wait for their answers already."
            raise LiveDropError(Code.RATE_LIMITED, text, operation=name)
        self._under_way[name] = asked = Operation(message)
        self._outbox.put(message)
        return asked

    def _refused(self, asked: Operation, error: LiveDropError) -> None:
        if not error.unknown:
            asked.answer.set_exception(error)
            return
        asked.refusals += 1
        wait = pause(error, asked.refusals, self._chance)
        if error.code == Code.RATE_LIMITED:
            self._outbox.slow_down((error.retry_after_ms or 0) / 1000)
        if asked.again is not None:
            asked.again.cancel()
        asked.again = asyncio.get_running_loop().call_later(wait, self._outbox.put, asked.message)


def _error_in(message: Message) -> LiveDropError:
    extras = {name: value for name, value in message.items() if name not in {"type", "id", "code", "message"}}
    code: str = message["code"]
    return LiveDropError(code, message.get("message") or code, extras, message["id"])
