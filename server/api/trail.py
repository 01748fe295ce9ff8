"""What is noted of a request in the trail of actions: hosts, moderators and services who ask for a change.

Refused ones too. Not what only repeats an answer, and neither bodies nor tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from server import ids
from server.auth import Role
from server.ledger.actions import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from server.api.http import Call, Operation
    from server.api.rooms import Rooms
    from server.auth import Identity

LOOKS = frozenset({"GET", "HEAD"})
REPLAYED = "idempotent-replayed"
MAX_REQUEST_ID = 128
KINDS = {"order": "or", "reservation": "rs"}  # parts of a path that lead back to their show

log = structlog.get_logger(__name__)

Made = tuple[str | None, str | None]  # a show, and an object


class Trail:
    """What is known of one request by its end."""

    __slots__ = ("call", "identity")

    def __init__(self) -> None:
        self.identity: Identity | None = None  # once the caller is known, by a token
        self.call: Call | None = None  # once it could be read

    def close(
        self, operation: Operation, rooms: Rooms, request: Request, response: Response | None, outcome: str
    ) -> None:
        """Note what has happened, a row for each show that it was about; a bug here costs the row, not the answer."""
        try:
            self._note(operation, rooms, request, response, outcome)
        except Exception:
            log.exception("action.unnoted", operation=operation.name)

    def _note(
        self, operation: Operation, rooms: Rooms, request: Request, response: Response | None, outcome: str
    ) -> None:
        identity = self.identity
        if identity is None or identity.role is Role.VIEWER or operation.method in LOOKS:
            return
        if response is not None and REPLAYED in response.headers:
            return
        at, named = rooms.now_ms(), _request_id(request)
        for show, thing in self._about(request.path_params, response):
            rooms.actions.note(
                Action(at, identity.subject, identity.role.value, show, operation.name, thing, outcome, named)
            )

    def _about(self, path: dict[str, Any], response: Response | None) -> Iterator[Made]:
        named = {part: value for part, value in path.items() if ids.is_id(value)}
        thing = next((value for part, value in reversed(named.items()) if part != "show"), None)
        if thing is None and response is not None:
            thing = _made(response)
        shows = [named["show"]] if "show" in named else [_show_of(part, named[part]) for part in named]
        if thing is not None and not named:
            shows = [thing if thing.startswith("sh_") else None]
        touched = self.call.touched if self.call is not None else []
        for show in dict.fromkeys([each for each in shows if each] or touched or [None]):
            yield show, thing if thing != show else None


def _made(response: Response) -> str | None:
    """Return the id of what an answer says that was made."""
    if response.status_code != 201:  # noqa: PLR2004  RFC 9110
        return None
    made = msgspec.json.decode(bytes(response.body))
    name = made.get("id") if isinstance(made, dict) else None
    return name if isinstance(name, str) else None


def _show_of(part: str, value: str) -> str | None:
    kind: Any = KINDS.get(part)
    return ids.show_of(value, kind) if kind else None


def _request_id(request: Request) -> str | None:
    """Return the id that the caller, or a proxy, gave the request; nothing that is not a short printable line."""
    named = request.headers.get("x-request-id", "")
    return named if 0 < len(named) <= MAX_REQUEST_ID and named.isprintable() else None
