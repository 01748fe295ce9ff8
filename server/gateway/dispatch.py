"""From a viewer's command to the use case that answers it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import structlog

from server import metrics
from server.auth import Right, require
from server.clock import monotonic
from server.errors import Code, Problem, unavailable
from server.ids import show_of
from server.inventory.holds import unknown
from server.protocol.commands import (
    AnyCommand,
    Chat,
    JoinWaitlist,
    LeaveWaitlist,
    Ping,
    Question,
    React,
    Release,
    Reserve,
)
from server.protocol.events import Message, error_message

if TYPE_CHECKING:
    from server.gateway.reactions import Reactions
    from server.gateway.viewer import Viewer
    from server.inventory.holds import Held, Holds
    from server.store.redis_clock import RedisClock

log = structlog.get_logger(__name__)


class Dispatch:
    """The commands of a live connection after hello. One answer per command, or none where it has none."""

    def __init__(self, holds: Holds, reactions: Reactions, clock: RedisClock) -> None:
        self._clock = clock
        self._holds = holds
        self._reactions = reactions

    def asks(self, command: AnyCommand) -> bool:
        """Whether the command has to ask Redis; every other one is for `answer_at_once`."""
        return isinstance(command, Reserve | Release)

    async def answer(self, viewer: Viewer, command: AnyCommand) -> Message | None:
        """Carry a command out and return what to tell its sender."""
        try:
            answer = await self._elsewhere(viewer, command)
        except Exception as error:  # noqa: BLE001  a bug costs this command its answer, not the viewer the connection
            return _error(command, error)
        _count(command, "ok")
        return answer

    def answer_at_once(self, viewer: Viewer, command: AnyCommand) -> Message | None:
        """Carry a command out that needs nobody else, and return what to tell its sender."""
        try:
            answer = self._here(viewer, command)
        except Exception as error:  # noqa: BLE001  a bug costs this command its answer, not the viewer the connection
            return _error(command, error)
        _count(command, "ok")
        return answer

    async def _elsewhere(self, viewer: Viewer, command: AnyCommand) -> Message | None:
        if isinstance(command, Reserve):
            return await self._reserve(viewer, command)
        if isinstance(command, Release):
            return await self._release(viewer, command)
        return self._here(viewer, command)

    def _here(self, viewer: Viewer, command: AnyCommand) -> Message | None:
        if isinstance(command, Ping):
            pong: Message = {"type": "pong", "server_time_at": self._clock.now_ms()}
            return pong if command.id is None else {**pong, "id": command.id}
        if isinstance(command, React):
            self._reactions.add(viewer.show, command.kind, command.count)
            return None
        if isinstance(command, JoinWaitlist | LeaveWaitlist | Chat | Question):
            raise Problem(Code.NOT_FOUND, f"This show has no {_name(command)}.")
        raise Problem(Code.INVALID_MESSAGE, "This message has no meaning here.")

    async def _reserve(self, viewer: Viewer, command: Reserve) -> Message:
        require(viewer.role, Right.BUY)
        began = monotonic()
        outcome = await self._holds.reserve(
            viewer.show, viewer.subject, command.id, command.drop, command.quantity
        )
        metrics.RESERVATION_SECONDS.observe(monotonic() - began)
        return _reservation(command.id, outcome)

    async def _release(self, viewer: Viewer, command: Release) -> Message:
        require(viewer.role, Right.BUY)
        if show_of(command.reservation) != viewer.show:
            raise unknown(command.reservation)  # the token of this connection speaks for this show only
        released = await self._holds.release(command.reservation, viewer.subject)
        return _reservation(command.id, released)


def _error(command: AnyCommand, error: Exception) -> Message:
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


def _count(command: AnyCommand, outcome: str) -> None:
    metrics.COMMANDS.count(_name(command), outcome)


@cache
def _tag(kind: type[AnyCommand]) -> str:
    return str(kind.__struct_config__.tag)


def _name(command: AnyCommand) -> str:
    return _tag(type(command))


def _reservation(operation: str, outcome: Held | Problem) -> Message:
    if isinstance(outcome, Problem):
        raise outcome
    return {
        "type": "reservation",
        "id": operation,
        "reservation": outcome.reservation,
        "replayed": outcome.replayed,
    }
