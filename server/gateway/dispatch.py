"""From a viewer's command to the use case that answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from server import metrics
from server.auth import Identity, Right
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
    from server.gateway.hub import Hub
    from server.inventory.holds import Held, Holds
    from server.store.redis_clock import RedisClock

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Caller:
    """Who sends the commands of one connection; a fresh token replaces the identity."""

    show: str
    identity: Identity


class Dispatch:
    """The commands of a live connection after hello. One answer per command, or none where it has none."""

    def __init__(self, holds: Holds, hub: Hub, clock: RedisClock) -> None:
        self._clock = clock
        self._holds = holds
        self._hub = hub

    async def answer(self, caller: Caller, command: AnyCommand) -> Message | None:
        """Carry a command out and return what to tell its sender."""
        name = str(type(command).__struct_config__.tag)
        operation: str | None = getattr(command, "id", None)
        try:
            message = await self._carry_out(caller, command)
        except Problem as problem:
            metrics.COMMANDS.labels(name, problem.code.value).inc()
            return error_message(problem, operation)
        except Exception:  # a bug costs this command its answer, not the viewer the connection
            log.exception("command.failed", command=name)
            metrics.COMMANDS.labels(name, "bug").inc()
            failed = "The command failed inside the server; its outcome is unknown."
            return error_message(unavailable(failed), operation)
        metrics.COMMANDS.labels(name, "ok").inc()
        return message

    async def _carry_out(self, caller: Caller, command: AnyCommand) -> Message | None:
        match command:
            case Reserve():
                return await self._reserve(caller, command)
            case Release():
                return await self._release(caller, command)
            case Ping():
                pong: Message = {"type": "pong", "server_time_at": self._clock.now_ms()}
                return pong if command.id is None else {**pong, "id": command.id}
            case React():
                self._hub.react(caller.show, command.kind, command.count)
                return None
            case JoinWaitlist() | LeaveWaitlist() | Chat() | Question():
                raise Problem(Code.NOT_FOUND, f"This show has no {type(command).__struct_config__.tag}.")
            case _:
                raise Problem(Code.INVALID_MESSAGE, "This message has no meaning here.")

    async def _reserve(self, caller: Caller, command: Reserve) -> Message:
        caller.identity.require(Right.BUY)
        began = monotonic()
        outcome = await self._holds.reserve(
            caller.show, caller.identity.subject, command.id, command.drop, command.quantity
        )
        metrics.RESERVATION_SECONDS.observe(monotonic() - began)
        return _reservation(command.id, outcome)

    async def _release(self, caller: Caller, command: Release) -> Message:
        caller.identity.require(Right.BUY)
        if show_of(command.reservation) != caller.show:
            raise unknown(command.reservation)  # the token of this connection speaks for this show only
        released = await self._holds.release(command.reservation, caller.identity.subject)
        return _reservation(command.id, released)


def _reservation(operation: str, outcome: Held | Problem) -> Message:
    if isinstance(outcome, Problem):
        raise outcome
    return {
        "type": "reservation",
        "id": operation,
        "reservation": outcome.reservation,
        "replayed": outcome.replayed,
    }
