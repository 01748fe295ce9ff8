"""What schemathesis asks before each request: who sends it, and what it names.

A made-up id leads nowhere, so most answers would be 401 and 404. Here most requests get a token of a role that may do
it and name things that are there; some keep what was made up, and some are led: they have all that they need to be
done. What a request gets depends on nothing but itself, so one that failed fails again. In the command's own process
the server's address comes from the environment.
"""

from __future__ import annotations

import os
import zlib
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import schemathesis

from server import ids
from server.api.http import Keyed
from server.api.operations import OPERATIONS
from server.auth import Role
from tests.contract.cast import FIRST_PAID, Cast, able, role_for
from tests.contract.leads import LEADS, Lead
from tests.stage import FEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemathesis import AuthContext, Case, HookContext

ADDRESS = "CONTRACT_URL"  # of the server, where the command loads this file
MADE_UP = 6  # every so many-th thing that a request names stays as it was made up
LED = 5  # every so many-th request is led
KNOWN = {f"{each.method} {each.path.replace(':path}', '}')}": each for each in OPERATIONS}
METHODS = ("card", "card", "card", "wallet")
CARDS = ("tok_ok", "tok_ok", "tok_declined", "tok_insufficient_funds", "tok_timeout_then_ok")

casts: list[Cast] = []  # the last one plays
buyers: dict[str, str] = {}  # request -> who sends it; those that are not sent yet
_all_led: ContextVar[bool] = ContextVar("all_led", default=False)


@contextmanager
def leading() -> Iterator[None]:
    """Lead every request that is not wrong on purpose."""
    before = _all_led.set(True)
    try:
        yield
    finally:
        _all_led.reset(before)


@schemathesis.auth(refresh_interval=None)
class Sender:
    """Gives a request the token of a role that may do it, mostly. Some requests have none: that is their point."""

    def get(self, case: Case[Any], _context: AuthContext) -> tuple[Role, str] | None:
        """Return who sends it: a role, and a name that nobody had before; None where no token is asked for."""
        right, choice = KNOWN[case.operation.label].right, _choice(case)
        if right is None:
            return None
        return able(right) if _is_led(case, choice) else role_for(right, choice), cast().buyer()

    def set(self, case: Case[Any], data: tuple[Role, str], _context: AuthContext) -> None:
        """Put their token on it."""
        role, buyers[case.id] = data
        case.headers.update(cast().bearer(role, buyers[case.id] if role is Role.VIEWER else ""))


def cast() -> Cast:
    """Return who plays."""
    if not casts:
        casts.append(Cast(os.environ[ADDRESS]))
    return casts[-1]


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Let the request name what is there."""
    choice, buyer = _choice(case), buyers.pop(case.id, "") or cast().buyer()
    if _is_led(case, choice):
        _lead(case, buyer)
    else:
        _name(case, buyer, choice)
    if case.method != "GET":
        cast().spend(case.path)


def _is_led(case: Case[Any], choice: int) -> bool:
    """Whether a request gets all that it needs; not one that is wrong on purpose, or follows from an answer."""
    meta = case.meta
    right = meta is not None and meta.generation.mode.is_positive
    foreign = all(_foreign(value) for value in (case.path_parameters or {}).values())
    return right and foreign and (_all_led.get() or choice % LED == 0)


def _lead(case: Case[Any], buyer: str) -> None:
    """Let the request be one that can be done."""
    leads = LEADS.get(case.operation.label)
    lead = leads(cast(), buyer) if leads else Lead()
    for name, value in (case.path_parameters or {}).items():
        case.path_parameters[name] = lead.path.get(name) or _named(name, value, buyer, 1)
    case.query = dict(lead.query)
    case.headers.update(lead.headers)
    if KNOWN[case.operation.label].keyed is not Keyed.NO:
        case.headers["Idempotency-Key"] = ids.secret(8)
    if isinstance(lead.body, str):
        case.body = lead.body
    elif isinstance(case.body, dict):
        case.body.update(lead.body)


def _name(case: Case[Any], buyer: str, choice: int) -> None:
    """Let the request name what is there, mostly."""
    for name, value in (case.path_parameters or {}).items():
        if _foreign(value) and (choice + len(name)) % MADE_UP:
            case.path_parameters[name] = _named(name, value, buyer, choice)
    if case.media_type == "text/csv" and choice % 2:
        case.body, case.query = FEED.decode(), {"currency": "EUR"}
    if isinstance(case.body, dict) and choice % MADE_UP:
        if {"token", "method"} <= _members(case.body.get("payment")):
            _fill_basket(case.body, buyer, choice)
        _fill(case.body, buyer, choice)


def _choice(case: Case[Any]) -> int:
    """Return a number that is always the same for the same request."""
    text = repr((case.method, case.path, case.path_parameters, case.query, case.body))
    return zlib.crc32(text.encode(errors="replace"))


def _foreign(value: Any) -> bool:
    """Whether a value is text that is no id of ours: those come from answers before."""
    return isinstance(value, str) and not value.startswith(("sh_", "dr_", "rs_", "or_"))


def _named(name: str, value: Any, buyer: str, choice: int) -> Any:
    """Return something that is there, for a name that stands for such things; else the value."""
    there: dict[str, Callable[[], str]] = {
        "show": cast().show,
        "drop": lambda: cast().drop(choice),
        "reservation": lambda: cast().reservation(buyer),
        "order": lambda: cast().order(buyer),
        "sku": lambda: "MUG",
        "currency": lambda: "EUR",
        "method": lambda: METHODS[choice % len(METHODS)],
        "token": lambda: CARDS[choice % len(CARDS)],
    }
    return there[name]() if name in there else value


def _fill_basket(body: dict[str, Any], buyer: str, choice: int) -> None:
    """Let a checkout say what is paid: one of two ways, which no schema here can tell."""
    body.update(reservations=None, items=None, expected_total=None)
    if choice % 2:
        body["reservations"] = [cast().reservation(buyer)]
    else:
        body["items"] = [{"drop": cast().drop(FIRST_PAID), "quantity": 1}]


def _fill(body: dict[str, Any], buyer: str, choice: int) -> None:
    """Let a body name things that are there, where it names any at all."""
    for name, value in list(body.items()):
        if isinstance(value, dict):
            _fill(value, buyer, choice)
        elif isinstance(value, float) and value.is_integer():
            body[name] = int(value)  # JSON Schema knows no difference, the server does
        elif name == "skus" and _texts(value):
            body[name] = ["MUG", "LAMP"][: len(value)]
        elif name in {"items", "lines", "waves"} and isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    _fill(item, buyer, choice + number)
        elif _foreign(value) and value and (choice + len(name)) % MADE_UP:
            body[name] = _named(name, value, buyer, choice)


def _members(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)
