"""What a viewer may say on the live socket: one struct per command, told apart by `type`.

Unknown fields are ignored, so that newer clients can talk to older servers; everything known is checked for its
type and range before anybody acts on it.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from server.protocol.shapes import Count, Identifier, OperationId, Quantity

MAX_REACTIONS_AT_ONCE = 100
MAX_BUNDLE_ITEMS = 10  # drops that are taken together


class Command(Struct, tag_field="type", kw_only=True, frozen=True):
    """The base of all commands."""


class Since(Struct, frozen=True):
    """A place in a show's log: the last event that the viewer has seen."""

    epoch: Annotated[str, Meta(max_length=64)]
    offset: Count


class Proof(Struct, frozen=True):
    """Work that was done for a challenge: SHA-256 of `nonce:answer` begins with so many zero bits as were asked for."""

    nonce: Annotated[str, Meta(max_length=64)]
    answer: Annotated[str, Meta(pattern=r"^[0-9]{1,20}$")]


class Hello(Command, tag="hello", frozen=True):
    """The first message: who I am, and where I was; with `proof` again where the answer was a challenge."""

    token: str
    since: Since | None = None
    proof: Proof | None = None


class StockCommand(Command, frozen=True):
    """The base of what changes a show's stock or its queues: answered by its id, and safe to repeat with it."""

    id: OperationId


class Reserve(StockCommand, tag="reserve", frozen=True):
    """Take units; repeating the id never takes twice.

    With `part`: what is left, and a place in the queue for the rest. With `receipt` the answer is signed.
    """

    drop: Identifier
    quantity: Quantity
    part: bool = False
    receipt: bool = False


class BundleItem(Struct, frozen=True):
    """Units of one drop."""

    drop: Identifier
    quantity: Quantity


class Bundle(StockCommand, tag="bundle", frozen=True):
    """Take units of several drops, no drop twice: all of them or none."""

    items: Annotated[list[BundleItem], Meta(min_length=1, max_length=MAX_BUNDLE_ITEMS)]


class Release(StockCommand, tag="release", frozen=True):
    """Give a held reservation back."""

    reservation: Identifier


class JoinWaitlist(StockCommand, tag="waitlist.join", frozen=True):
    """Queue for units that may come back, or enter a draw; doing it again changes the quantity, not the place."""

    drop: Identifier
    quantity: Quantity = 1


class LeaveWaitlist(StockCommand, tag="waitlist.leave", frozen=True):
    """Give up the place in the queue, or the entry into the draw."""

    drop: Identifier


class React(Command, tag="react", frozen=True):
    """Applaud; there is no answer."""

    kind: Annotated[str, Meta(min_length=1, max_length=16, pattern=r"^[a-z0-9_-]+(?!\n)$")]
    count: Annotated[int, Meta(ge=1, le=MAX_REACTIONS_AT_ONCE)] = 1


class Chat(Command, tag="chat", frozen=True):
    """Reserved for the show's conversation."""

    id: OperationId
    text: str


class Question(Command, tag="question", frozen=True):
    """Reserved for the show's conversation."""

    id: OperationId
    text: str


class Ping(Command, tag="ping", frozen=True):
    """Ask for a sign of life and the server's clock."""

    id: OperationId | None = None


class Token(Command, tag="token", frozen=True):
    """Bring a fresh token before the old one expires."""

    token: str


AnyCommand = (
    Hello | Reserve | Bundle | Release | JoinWaitlist | LeaveWaitlist | React | Chat | Question | Ping | Token
)
