"""Who may do what with whose things: the table that the tests hold the server against, and docs/roles.md made of it.

`python -m tests.api.roles` writes the page anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from server.auth import Role
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "roles.md"

HOST, VIEWER = {Role.HOST}, {Role.VIEWER}
SHOP = {Role.HOST, Role.SERVICE}
WATCHERS = {Role.HOST, Role.MODERATOR, Role.VIEWER}
EVERYBODY = set(Role)


class Case(Enum):
    """What a token is to the thing that is asked for."""

    OWN = "the owner's, for the show"
    FOREIGN_OWNER = "somebody else's, for the same show"
    FOREIGN_SHOW = "the owner's, for another show"
    NOTHING = "none"


class Whose(Enum):
    """What beside the role decides; the words are those of the page."""

    ALL = "yes"  # of no show, or nobody's in particular
    SHOW = "their shows"  # those that the token names, and of hosts those that they made
    BUYER = "own"  # the buyer's, and of who runs the show
    ALONE = "own, nobody else's"  # the buyer's alone
    MAKER = "own webhooks"  # of who made it; a service's token must be for every show
    MAKES = "for themselves"  # likewise, before there is one
    GIVEN = "for their shows"  # for the shows that the body names


PAST, REFUSED, MISSING, STRANGER = "past", 403, 404, 401


@dataclass(frozen=True, slots=True)
class Line:
    """One operation: the roles that may call it at all, and what else is asked."""

    roles: set[Role]
    whose: Whose

    def expected(self, role: Role, case: Case) -> str | int:
        """Return the status of the refusal, or that the door is passed: what is found behind it is another matter."""
        if case is Case.NOTHING:
            return STRANGER
        if role not in self.roles:
            return REFUSED
        return _BEYOND[self.whose](role, case)


def _of_show(_role: Role, case: Case) -> str | int:
    return REFUSED if case is Case.FOREIGN_SHOW else PAST


def _of_buyer(role: Role, case: Case) -> str | int:
    if role not in {Role.HOST, Role.VIEWER} or case is Case.FOREIGN_SHOW:
        return REFUSED
    return REFUSED if role is Role.VIEWER and case is Case.FOREIGN_OWNER else PAST


def _of_nobody_else(_role: Role, case: Case) -> str | int:
    return PAST if case is Case.OWN else REFUSED


def _for_themselves(role: Role, case: Case) -> str | int:
    return REFUSED if role is Role.SERVICE and case is not Case.OWN else PAST


def _of_maker(role: Role, case: Case) -> str | int:
    if role is Role.SERVICE:
        return (
            MISSING if case is Case.OWN else REFUSED
        )  # a host made it; and the others are not for every show
    return MISSING if case is Case.FOREIGN_OWNER else PAST


_BEYOND = {
    Whose.ALL: lambda _role, _case: PAST,
    Whose.SHOW: _of_show,
    Whose.GIVEN: _of_show,
    Whose.BUYER: _of_buyer,
    Whose.ALONE: _of_nobody_else,
    Whose.MAKER: _of_maker,
    Whose.MAKES: _for_themselves,
}

SHOWS, DROPS = "/v1/shows/{show}", "/v1/shows/{show}/drops/{drop}"
HOSTS_ONLY, LOOK = Line(HOST, Whose.SHOW), Line(EVERYBODY, Whose.SHOW)
BUY, HOOK = Line(VIEWER, Whose.SHOW), Line(SHOP, Whose.MAKER)

OPERATIONS: dict[str, Line] = {
    "POST /v1/catalog/import": Line(SHOP, Whose.ALL),
    "GET /v1/catalog/products": Line(EVERYBODY, Whose.ALL),
    "GET /v1/catalog/products/{sku}": Line(EVERYBODY, Whose.ALL),
    "POST /v1/shows": Line(HOST, Whose.ALL),
    "GET /v1/shows": Line(EVERYBODY, Whose.ALL),
    f"GET {SHOWS}": LOOK,
    **{f"POST {SHOWS}/{verb}": HOSTS_ONLY for verb in ("start", "pause", "resume", "end")},
    **{f"PUT {SHOWS}/{part}": HOSTS_ONLY for part in ("pinned", "run", "video")},
    **{f"GET {SHOWS}/{part}": HOSTS_ONLY for part in ("metrics", "metrics/series", "orders", "actions")},
    f"POST {SHOWS}/drops": HOSTS_ONLY,
    f"GET {SHOWS}/drops": LOOK,
    f"GET {DROPS}": LOOK,
    **{
        f"POST {DROPS}/{verb}": HOSTS_ONLY
        for verb in ("open", "cancel", "pause", "resume", "close", "restock", "wave")
    },
    f"GET {DROPS}/draw": LOOK,
    **{f"{method} {DROPS}/waitlist": BUY for method in ("POST", "GET", "DELETE")},
    f"POST {DROPS}/reservations": BUY,
    f"POST {SHOWS}/reservations": BUY,
    "GET /v1/reservations/{reservation}": Line(EVERYBODY, Whose.BUYER),
    "DELETE /v1/reservations/{reservation}": Line(VIEWER, Whose.ALONE),
    "GET /v1/reservations/{reservation}/receipt": Line(EVERYBODY, Whose.BUYER),
    "POST /v1/receipts/verify": Line(EVERYBODY, Whose.ALL),
    "POST /v1/checkout": Line(VIEWER, Whose.ALONE),
    "GET /v1/orders/{order}": Line(EVERYBODY, Whose.BUYER),
    **{f"POST /v1/orders/{{order}}/{verb}": HOSTS_ONLY for verb in ("cancel", "refund", "fulfil")},
    "GET /v1/payments/methods": Line(EVERYBODY, Whose.ALL),
    "POST /v1/tokens": Line(SHOP, Whose.GIVEN),
    "POST /v1/tokens/revoke": Line(SHOP, Whose.GIVEN),
    "POST /v1/webhooks": Line(SHOP, Whose.MAKES),
    "GET /v1/webhooks": Line(SHOP, Whose.MAKES),
    "GET /v1/webhooks/{webhook}": HOOK,
    "DELETE /v1/webhooks/{webhook}": HOOK,
    **{f"POST /v1/webhooks/{{webhook}}/{verb}": HOOK for verb in ("test", "replay", "rotate", "enable")},
}

# Of the live socket, which is opened for one show: hello asks for it, the others are said by who is in.
COMMANDS: dict[str, set[Role]] = {
    "hello": WATCHERS,
    "token": WATCHERS,
    "ping": WATCHERS,
    "react": WATCHERS,
    "reserve": VIEWER,
    "bundle": VIEWER,
    "release": VIEWER,
    "waitlist.join": VIEWER,
    "waitlist.leave": VIEWER,
    "chat": set(),  # reserved: nobody has it yet
    "question": set(),
}

HEAD = """# Who may do what

A token names its subject, a role, and shows (`*` for every one). The role says which operations are open to it; beside
that each operation asks whose the thing is. Somebody without a token gets 401 (on the live socket: close 3500), a role
that may not, or a show that the token is not for, 403 (3507). The tests try every cell of these tables, with the
owner's token, with somebody else's for the same show, with the owner's for another show, and with none.

- **their shows**: those that the token names. Whoever made a show is its host, also where the token does not name it.
- **own**: what this very viewer reserved or ordered; the host of the show sees it too.
- **for themselves**, **own webhooks**: webhooks are this subject's, for a host's own shows, or for all; then the
  service's token must be for every show.
- **for their shows**: a token can be made, or revoked, for shows that the caller's own token is for. A host mints
  viewers and moderators, and revokes their tokens alone; a service mints hosts too, and revokes anybody's.

This page is made from the table that the tests use: `python -m tests.api.roles`.
"""


def written() -> str:
    """Return the page."""
    head = "| {} | host | moderator | viewer | service |\n|---|---|---|---|---|\n"
    rows = "".join(
        f"| `{name}` | {' | '.join(_cell(line, role) for role in Role)} |\n"
        for name, line in OPERATIONS.items()
    )
    live = "".join(
        f"| `{name}` | {' | '.join('their shows' if role in roles else '' for role in Role)} |\n"
        for name, roles in COMMANDS.items()
    )
    said = "What is said on the live socket, `/v1/shows/{show}/live`:"
    return f"{HEAD}\n{head.format('operation')}{rows}\n{said}\n\n{head.format('command')}{live}"


def _cell(line: Line, role: Role) -> str:
    if line.expected(role, Case.OWN) == REFUSED:
        return ""
    if line.whose is Whose.BUYER and role is Role.HOST:
        return Whose.SHOW.value
    return line.whose.value if line.whose is not Whose.ALONE else Whose.BUYER.value


def write(page: Path = PAGE) -> None:
    """Write the page."""
    page.write_text(written(), encoding="utf-8")


if __name__ == "__main__":
    write()
