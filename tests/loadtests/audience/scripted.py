"""A viewer without a server: what they send goes to a function, and what that returns is what they hear."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from loadtests.audience.line import Line
from loadtests.audience.person import Person
from loadtests.audience.venue import Terms, Venue
from loadtests.audience.wire import BINARY, TEXT, Reader, told
from loadtests.plan import Plan, Sale
from server.protocol.codec import Codec, pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.audience.numbers import Message

DROP = "dr_x_y"
NOWHERE = "http://127.0.0.1:9"
SALE = Sale(at=1.0, seconds=2.0, quantity=10, spread_ms=200)
PLAN = Plan(shape="test", seed=7, viewers=10, seconds=5.0, arrival_seconds=0.0, sales=(SALE,))
HOLD_SECONDS = 5

Somebody = TypeVar("Somebody", bound=Person)


class ScriptedLine(Line):
    """A connection whose other end is `answer`: called with each message, it returns what comes back."""

    def __init__(self, person: Person, answer: Callable[[Message], list[Message]]) -> None:
        super().__init__(person, Codec.MSGPACK, Reader(), b"", narrow=False)
        self.sent: list[Message] = []
        self._person = person
        self._answer = answer

    def send(self, message: Message) -> None:
        """Hand a message to the other end, and hear its answers."""
        self.sent.append(message)
        for answer in self._answer(message):
            say(self._person, answer)


def a_venue(plan: Plan = PLAN) -> Venue:
    """Return a venue that has begun just now, with one drop whose limit is two."""
    venue = Venue(NOWHERE, "sh_x", plan, "token", time.time())
    venue.terms[DROP] = Terms(2, HOLD_SECONDS)
    return venue


def welcomed(person: Somebody, answer: Callable[[Message], list[Message]] = lambda _: []) -> Somebody:
    """Return a person who is connected to `answer` and was welcomed at offset 4."""
    person.line = ScriptedLine(person, answer)
    person.watch.begin()
    say(person, {"type": "welcome", "epoch": "e", "offset": 4, "recovered": False, "snapshot": {"drops": []}})
    return person


def say(person: Person, message: Message) -> None:
    """Let a person hear a message."""
    binary = person.codec.binary
    person.hear(told(BINARY if binary else TEXT, pack(message) if binary else Codec.JSON.encode(message)))


def reservation(command: Message, **changes: Any) -> Message:
    """Return the answer to a reserve command that is granted."""
    held = {
        "id": "rs_1",
        "drop": command["drop"],
        "sku": "MUG",
        "quantity": command["quantity"],
        "state": "held",
        "unit_price": 1250,
        "currency": "EUR",
        "expires_at": round((time.time() + HOLD_SECONDS) * 1000),
    }
    return {
        "type": "reservation",
        "id": command["id"],
        "replayed": False,
        "reservation": {**held, **changes},
    }


def refusal(command: Message, code: str, **more: Any) -> Message:
    """Return the answer to a command that is refused."""
    return {"type": "error", "id": command["id"], "code": code, "message": "no", **more}
