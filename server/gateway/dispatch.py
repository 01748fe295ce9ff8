"""From a viewer's command to the use case that answers it.

What changes a show's stock or its queues is put into the show's line and answered when its step is done: no task and
no future exists for it meanwhile. Everything else is answered at once.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

import structlog

from server import metrics, tracing
from server.auth import Right, require
from server.clock import monotonic
from server.errors import Code, Problem, unavailable
from server.gateway.places import place
from server.ids import show_of
from server.inventory import asks, facts
from server.inventory.outcomes import Held, Waiting, unknown
from server.protocol.codec import invalid
from server.protocol.commands import (
    AnyCommand,
    Bundle,
    Chat,
    Command,
    JoinWaitlist,
    LeaveWaitlist,
    Ping,
    Question,
    React,
    Release,
    Reserve,
    StockCommand,
)
from server.protocol.events import Message, error_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.gateway.places import Places
    from server.gateway.reactions import Reactions
    from server.gateway.viewer import Viewer
    from server.inventory.asks import Ask
    from server.inventory.batcher import Batches
    from server.inventory.outcomes import Outcome
    from server.receipts import Receipt
    from server.store.redis_clock import RedisClock

    Sign = Callable[[Receipt], str]

log = structlog.get_logger(__name__)


class Dispatch:
    """The commands of a live connection after hello. One answer per command, or none where it has none."""

    def __init__(
        self, batches: Batches, reactions: Reactions, clock: RedisClock, places: Places, sign: Sign
    ) -> None:
        self._batches = batches
        self._reactions = reactions
        self._clock = clock
        self._places = places
        self._sign = sign

    def submit(self, viewer: Viewer, command: StockCommand) -> Message | None:
        """Put a command into its show's line; `viewer.answered` gets the answer, once, later, on the loop.

        Return what to tell its sender instead where it is refused at once.
        """
        try:
            require(viewer.role, Right.BUY)
            ask = _ask(viewer, command)
        except Exception as error:  # noqa: BLE001  a bug costs this command its answer, not the viewer the connection
            return _error(command, error)
        done: Callable[[Outcome], None] = partial(self._done, viewer, command, ask)
        if tracing.spans is not None:
            done = tracing.command(_name(command), ask, done)
        self._batches.submit(ask, done)
        return None

    def answer_at_once(self, viewer: Viewer, command: AnyCommand) -> Message | None:
        """Carry a command out that needs nobody else, and return what to tell its sender."""
        try:
            answer = self._here(viewer, command)
        except Exception as error:  # noqa: BLE001  a bug costs this command its answer, not the viewer the connection
            return _error(command, error)
        _count(command, "ok")
        return answer

    def _here(self, viewer: Viewer, command: AnyCommand) -> Message | None:
        if isinstance(command, Ping):
            pong: Message = {"type": "pong", "server_time_at": self._clock.now_ms()}
            return pong if command.id is None else {**pong, "id": command.id}
        if isinstance(command, React):
            self._reactions.add(viewer.show, command.kind, command.count)
            return None
        if isinstance(command, Chat | Question):
            raise Problem(Code.NOT_FOUND, f"This show has no {_name(command)}.")
        raise invalid("This message has no meaning here.")

    def _done(self, viewer: Viewer, command: StockCommand, ask: Ask, outcome: Outcome) -> None:
        """Tell a viewer what became of a command."""
        metrics.RESERVATION_SECONDS.observe(monotonic() - ask.since)
        try:
            answer = self._answer(viewer, command, outcome)
        except Exception as error:  # noqa: BLE001  a bug costs this command its answer, not those behind it theirs
            answer = _error(command, error)
        else:
            _count(command, outcome.code.value if isinstance(outcome, Problem) else "ok")
        viewer.answered(answer)

    def _answer(self, viewer: Viewer, command: StockCommand, outcome: Outcome) -> Message:
        """Return what to tell the sender of a command."""
        if isinstance(outcome, Held):
            answer: Message = {
                "type": "reservation",
                "id": command.id,
                "reservation": outcome.reservation,
                "replayed": outcome.replayed,
            }
            viewer.knows(outcome.reservation)
            if outcome.waiting is not None:
                self._places.answered(viewer, outcome.waiting)
                answer["waiting"] = place(outcome.waiting)
        elif isinstance(outcome, Waiting):
            self._places.answered(viewer, outcome)
            answer = {"type": "waitlist", "id": command.id, "drop": outcome.drop, **place(outcome)}
        elif isinstance(outcome, Problem):
            answer = error_message(outcome, command.id)
        else:
            viewer.knows(*outcome.reservations)
            answer = {
                "type": "bundle",
                "id": command.id,
                "reservations": outcome.reservations,
                "replayed": outcome.replayed,
            }
        if isinstance(command, Reserve) and command.receipt:
            receipt = facts.receipt(viewer.show, viewer.subject, command.id, command.quantity, outcome)
            if receipt is not None:
                answer["receipt"] = self._sign(receipt)
        return answer


def _ask(viewer: Viewer, command: StockCommand) -> Ask:
    """Return what a command asks of the inventory. Raises `not-found`, `invalid-message`."""
    show, subject, operation, address = viewer.show, viewer.subject, command.id, viewer.address
    if isinstance(command, Reserve):
        return asks.reserve(
            show,
            subject,
            operation,
            command.drop,
            command.quantity,
            part=command.part,
            exact=command.receipt,
            address=address,
        )
    if isinstance(command, Release):
        if show_of(command.reservation, "rs") != show:
            raise unknown(command.reservation)  # the token of this connection speaks for this show only
        return asks.release(show, subject, command.reservation)
    if isinstance(command, JoinWaitlist):
        return asks.join(show, subject, operation, command.drop, command.quantity, address=address)
    if isinstance(command, LeaveWaitlist):
        return asks.leave(show, subject, command.drop)
    if isinstance(command, Bundle):
        items = [(item.drop, item.quantity) for item in command.items]
        if len(dict(items)) < len(items):
            raise invalid("items: a drop may stand in a bundle once.")
        return asks.bundle(show, subject, operation, items, address=address)
    raise invalid("This message has no meaning here.")


def _error(command: Command, error: Exception) -> Message:
    """Return what to tell the sender of a command that failed."""
    operation: str | None = getattr(command, "id", None)
    if isinstance(error, Problem):
        _count(command, error.code.value)
        return error_message(error, operation)
    log.error("command.failed", command=_name(command), exc_info=error)
    _count(command, "bug")
    return error_message(
        unavailable("The command failed inside the server; its outcome is unknown."), operation
    )


def _count(command: Command, outcome: str) -> None:
    metrics.COMMANDS.count(_name(command), outcome)


@cache
def _tag(kind: type[Command]) -> str:
    return str(kind.__struct_config__.tag)


def _name(command: Command) -> str:
    return _tag(type(command))
