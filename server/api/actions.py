"""The endpoint of the trail: what hosts, moderators and services did in a show, for its host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

from server.api.http import Answer, Call, Operation
from server.api.paging import MAX_PAGE, PAGE, Page, after, cursor
from server.auth import Right, Role
from server.errors import Code
from server.protocol.shapes import UnixMs

if TYPE_CHECKING:
    from server.ledger.actions import Action


class KnownAction(Struct, kw_only=True, omit_defaults=True):
    """Who did what when, and what came of it: `ok` or an error's code; `request` is the X-Request-ID that it had."""

    at: UnixMs
    subject: str
    role: Role
    verb: str
    outcome: str
    object: str | UnsetType = UNSET
    request: str | UnsetType = UNSET


async def listed(call: Call) -> Answer:
    """List a show's actions, newest first, also when the show has long ended."""
    show = call.path["show"]
    await call.require_books(show)
    limit = call.number("limit", PAGE, MAX_PAGE)
    place = after(call.query.get("cursor"), tuple[UnixMs])
    rows = await call.rooms.actions.of_show(show, limit + 1, place[0] if place else None)
    page = rows[:limit]
    following = cursor(page[-1][0]) if len(rows) > limit else None
    return Answer({"items": [_shown(action) for _number, action in page], "next_cursor": following})


def _shown(action: Action) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(action)
    return {name: value for name, value in fields.items() if value is not None and name != "show"}


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/v1/shows/{show}/actions",
        "show_actions",
        "List who did what in a show",
        listed,
        Right.RUN,
        Page[KnownAction],
        query={"limit": f"items per page, 1 to {MAX_PAGE}", "cursor": "`next_cursor` of the page before"},
        problems=(Code.NOT_FOUND,),
    ),
)
