"""Commands that wait for their answers: repeated under the same id over breaks, and given up after a while.

An answer that does not come while the socket stays open is a broken promise; one that a break has swallowed is
asked for again on the next connection.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from server.errors import Code

if TYPE_CHECKING:
    from collections import deque

    from loadtests.audience.line import Line
    from loadtests.audience.numbers import Message
    from loadtests.audience.person import Person

ANSWER_SECONDS = 15.0
ENOUGH_SECONDS = 10.0  # that a command must have waited when the run ends, to be called unanswered
ROUNDS = 4  # of so many seconds, over breaks
AGAIN_MOST = 8  # repeats of what was refused without a verdict
AGAIN_SECONDS = 0.5  # before one, where the server names no time
LOOK_SECONDS = 0.5
# Refusals that say nothing about the outcome: the same id again is safe, and may be answered.
NO_VERDICT = frozenset({Code.UNAVAILABLE, Code.RATE_LIMITED, Code.IN_PROGRESS})


class NoAnswerError(Exception):
    """A command was not answered; whether it was done is unknown."""


class Asked:
    """A command under way: `line` is the connection that it was last sent on."""

    __slots__ = ("answer", "deadline", "line", "message", "person", "rounds")

    def __init__(self, person: Person, message: Message) -> None:
        self.person = person
        self.message = message
        self.line: Line | None = None
        self.answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.deadline = time.monotonic() + ANSWER_SECONDS
        self.rounds = ROUNDS

    @property
    def ignored(self) -> bool:
        """Whether it was sent on the connection that is still open, and that had time enough for an answer."""
        waited = time.monotonic() - (self.deadline - ANSWER_SECONDS)
        return (
            not self.answer.done() and self.line is self.person.line is not None and waited > ENOUGH_SECONDS
        )


def no_verdict(answer: Message) -> float | None:
    """Return the seconds after which the same is asked again, or None where an answer has settled it."""
    if answer["type"] != "error" or answer["code"] not in NO_VERDICT:
        return None
    return float(answer.get("retry_after_ms", AGAIN_SECONDS * 1000)) / 1000


def give_up(asked: deque[Asked]) -> None:
    """End the wait for what is overdue: `asked` has the commands in the order of their deadlines."""
    now = time.monotonic()
    while asked and asked[0].deadline <= now:
        late = asked.popleft()
        if late.answer.done():
            continue
        late.rounds -= 1
        if not late.ignored and late.rounds:
            late.deadline = now + ANSWER_SECONDS
            asked.append(late)
            continue
        if late.ignored:
            late.person.account.unanswered.append(late.message["id"])
        late.answer.set_exception(NoAnswerError(f"no answer to {late.message['type']} {late.message['id']}"))
