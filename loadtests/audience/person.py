"""One simulated viewer: what they ask through both doors, and what they remember of the answers.

What they do is a coroutine over this class.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from loadtests.audience.asking import AGAIN_MOST, NO_VERDICT, Asked, NoAnswerError, no_verdict
from loadtests.audience.doing import generic
from loadtests.audience.http import HttpError
from loadtests.audience.presence import BACKOFF_SECONDS, Presence
from loadtests.audience.venue import error_of
from loadtests.seen import Refused

if TYPE_CHECKING:
    from loadtests.audience.http import Answer
    from loadtests.audience.numbers import Message
    from loadtests.audience.venue import Venue
    from loadtests.audience.wire import Told
    from loadtests.seen import Take

REFUSALS_KEPT = 64


class Person(Presence):
    """A viewer who asks. An answer is awaited over breaks, under one id, so nothing is ever taken twice."""

    def __init__(self, venue: Venue, number: int, kind: str) -> None:
        super().__init__(venue, number, kind)
        self.takes: dict[str, Take] = {}  # by reservation
        self.strange: dict[str, str] = {}  # states of reservations whose own answers have not come (yet)
        self._asked: dict[str, Asked] = {}
        self.answered_at = 0.0  # the monotonic moment of the last answer on the live socket
        self._operations = 0

    def operation(self) -> str:
        """Return a new id for a command, unique for this viewer."""
        self._operations += 1
        return f"{self.number}-{self._operations}"

    def tell(self, message: Message) -> None:
        """Send what has no answer; while nobody is connected and welcomed it is lost."""
        if self.line is not None and self.here:
            self.line.send(message)

    async def ask(self, command: Message, repeats: int = AGAIN_MOST) -> Message:
        """Send a command and return its answer, an `error` as well; it gets an id where it has none.

        Repeated under its id over breaks, and so often where the server could give no verdict. Raises NoAnswerError.
        """
        message = command if "id" in command else {**command, "id": self.operation()}
        answer = await self._answer(message)
        while repeats and (wait := no_verdict(answer)) is not None:
            repeats -= 1
            self.venue.measures.refused(message["type"], answer["code"])
            await asyncio.sleep(wait * self.random.uniform(1.0, 1.5))
            answer = await self._answer(message)
        return answer

    async def call(
        self, command: str, method: str, path: str, body: Message | None, key: str | None = None
    ) -> Answer:
        """Send a request through the HTTP door and return its answer, a refusal as well.

        Repeated under its key where there was none, or no verdict; counted as refusals of `command`. Raises
        NoAnswerError.
        """
        venue, wait = self.venue, BACKOFF_SECONDS[0]
        for _ in range(1 + AGAIN_MOST):
            try:
                answer = await venue.call(method, path, self.token, body, key=key)
            except HttpError as error:
                code, pause = "no-answer", wait
                if not venue.plan.deploys:
                    venue.measures.failed(command, generic(str(error)))
            else:
                if answer.code not in NO_VERDICT:
                    return answer
                code, pause = answer.code, answer.body.get("retry_after_ms", wait * 1000) / 1000
            venue.measures.refused(command, code)
            await asyncio.sleep(pause * self.random.uniform(1.0, 1.5))
            wait = min(2 * wait, BACKOFF_SECONDS[1])
        raise NoAnswerError(f"no answer to {method} {path} in {1 + AGAIN_MOST} attempts")

    def end(self) -> None:
        """Stop everything, complete the account and leave."""
        self.account.unanswered += [name for name, asked in self._asked.items() if asked.ignored]
        super().end()

    def refused(self, command: str, drop: str, code: str, asked_at: float, quantity: int = 0) -> None:
        """Remember that a command for so many units was refused; `asked_at` is a monotonic moment."""
        venue = self.venue
        venue.measures.refused(command, code)
        asked, answered = venue.server_time(asked_at), venue.server_time()
        self.account.refused.append(Refused(drop, code, asked, answered, quantity))
        del self.account.refused[:-REFUSALS_KEPT]

    def arrived(self) -> None:
        """Ask again on a new connection for what the last one has left open."""
        for asked in self._asked.values():
            self._send(asked)

    def answered(self, told: Told) -> None:
        """Hear an answer, or what the server says of its own accord to this viewer alone."""
        operation = told.message.get("id")
        if operation is None:
            if told.kind == "reservation":
                self._changed(told.message["reservation"])
            elif told.kind == "error":
                self.venue.measures.refused("unasked", told.message["code"])
                self.unasked_error(told.message)
            return
        asked = self._asked.get(operation)
        if asked is not None and not asked.answer.done():
            self.answered_at = time.monotonic()
            asked.answer.set_result(told.message)

    def unasked_error(self, error: Message) -> None:
        """Hear an error that answers no command: an honest viewer has given no cause for one."""
        self.venue.measures.failed("error", error_of(error))

    def _changed(self, reservation: Message) -> None:
        """Hear that the server has changed a reservation."""
        take = self.takes.get(reservation["id"])
        if take is None:
            self.strange[reservation["id"]] = reservation["state"]
        elif reservation["state"] == "expired":
            self.lapsed(take)

    def lapsed(self, take: Take) -> None:
        """Know that a reservation has lapsed; kept by who takes."""

    async def _answer(self, message: Message) -> Message:
        asked = Asked(self, message)
        self._asked[message["id"]] = asked
        self.venue.asked.append(asked)
        if self.here:
            self._send(asked)
        try:
            return await asked.answer
        finally:
            self._asked.pop(message["id"], None)

    def _send(self, asked: Asked) -> None:
        asked.line = self.line
        self.tell(asked.message)
