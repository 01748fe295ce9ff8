"""Commands on the live socket: in order, answered once, without a task each, and nobody's bug is another's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from server.auth import Role
from server.errors import CLOSE_LEAVING, Code, Problem
from server.gateway.viewer import MAX_WAITING, Viewer
from server.inventory.outcomes import Bundle, Held, Waiting, out_of_stock
from tests.gateway.seats import DROP, SEEN, Hall, Seat, held

if TYPE_CHECKING:
    from server.inventory.outcomes import Outcome

PING = {"type": "ping", "id": "ping"}


@pytest.fixture
def hall() -> Hall:
    return Hall()


def in_order(hall: Hall, seat: Seat) -> bool:
    """Say reservations with a ping between them; whether each takes effect, and is answered, in its turn."""
    seat.reserve("1", "2")
    seat.say(PING)
    seat.reserve("3")
    asked_before = [ask.verb for ask in hall.lines.asks] == ["reserve"] * 2
    hall.lines.answer()
    hall.lines.answer()
    return asked_before and seat.answers == ["1", "2", "ping", "3"]


async def test_commands_take_effect_in_the_order_of_their_coming(hall: Hall) -> None:
    """What changes stock goes into the line at once, one behind the other; what comes behind it waits for them."""
    assert in_order(hall, hall.sit())


async def test_the_check_of_the_order_finds_who_does_not_wait(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: a viewer whose every command goes at once fails the very same check."""
    monkeypatch.setattr(Viewer, "_may_go", lambda *_: True)
    assert not in_order(hall, hall.sit())


async def test_nothing_exists_for_a_command_under_way(hall: Hall) -> None:
    """Sixty reservations under way are no task and no timer; each is answered once."""
    seats = [hall.sit(f"v{number}") for number in range(10)]
    for seat in seats:
        seat.reserve(*map(str, range(6)))
    assert len(hall.lines.waiting) == 60
    assert len(asyncio.all_tasks()) == 1
    hall.lines.answer()
    assert all(seat.answers == list(map(str, range(6))) for seat in seats)


async def test_a_bug_costs_one_command_its_answer(hall: Hall) -> None:
    """An outcome that cannot be told becomes `unavailable`; who is behind it gets theirs."""
    first, second = hall.sit("ann"), hall.sit("bob")
    first.reserve("1", "2")
    second.reserve("3")
    broken: Any = object()
    hall.lines.answer(broken)
    hall.lines.answer()
    assert [message["type"] for message in first.told] == ["error", "reservation"]
    assert first.told[0]["code"] == "unavailable"
    assert second.answers == ["3"]
    first.say(PING)
    assert first.answers == ["1", "2", "ping"]


async def test_who_has_gone_is_told_nothing(hall: Hall) -> None:
    """Their operation is carried out all the same, and the answer goes nowhere; the others notice nothing."""
    gone, other = hall.sit("ann"), hall.sit("bob")
    gone.reserve("1")
    gone.say(PING)
    other.reserve("2")
    gone.viewer.connection_lost(None)
    hall.lines.answer()
    assert gone.wire.data == b""
    assert other.answers == ["2"]
    assert not gone.viewer.busy


async def test_too_many_commands_are_refused_and_not_forgotten(hall: Hall) -> None:
    """So many may be under way or wait; each one more is told to come again, and those before it are answered."""
    seat = hall.sit()
    operations = [str(number) for number in range(MAX_WAITING - 1)]
    seat.reserve(*operations)
    seat.say(PING)
    seat.reserve("one", "more")
    assert [message["code"] for message in seat.told] == ["rate-limited"] * 2
    assert [message["id"] for message in seat.told] == ["one", "more"]
    assert seat.told[0]["retry_after_ms"] > 0
    assert f"{MAX_WAITING}" in seat.told[0]["message"]
    hall.lines.answer()
    assert seat.answers[2:] == [*operations, "ping"]
    seat.reserve("again")
    hall.lines.answer()
    assert seat.answers[-1] == "again"


async def test_a_server_that_leaves_answers_first(hall: Hall) -> None:
    """What is under way or waits is answered, then comes the close; what is said meanwhile is refused."""
    seat, idle = hall.sit("ann"), hall.sit("bob")
    seat.reserve("1", "2")
    seat.say(PING)
    for each in (seat, idle):
        each.viewer.farewell(700)
    leaving = CLOSE_LEAVING.to_bytes(2)
    assert leaving in idle.wire.data
    seat.reserve("late")
    assert (seat.told[0]["id"], seat.told[0]["code"]) == ("late", "unavailable")
    assert seat.told[0]["retry_after_ms"] == 700
    hall.lines.answer(held(hall.lines.asks[0]))
    assert leaving not in seat.wire.data
    hall.lines.answer()
    assert seat.answers[1:] == ["1", "2", "ping"]
    assert leaving in seat.wire.data


async def test_what_is_said_before_the_welcome_waits_for_it(hall: Hall) -> None:
    """In its order, and nothing is carried out before the viewer is live."""
    seat = hall.sit(welcomed=False)
    seat.reserve("1")
    seat.say(PING)
    seat.reserve("2")
    assert hall.lines.asks == []
    seat.viewer.welcome(offset=3)
    assert len(hall.lines.asks) == 1
    hall.lines.answer()
    hall.lines.answer()
    assert seat.answers == ["1", "ping", "2"]


def answered(hall: Hall, message: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Say something, give it an outcome, and return the answer."""
    seat = hall.sit()
    seat.say({"id": "op", **message})
    hall.lines.answer(outcome)
    (answer,) = seat.told
    assert answer.pop("id") == "op"
    return answer


RESERVE = {"type": "reserve", "drop": DROP, "quantity": 2}
RESERVATION = {"id": "rs_1", "quantity": 2, "state": "held"}
HELD = Held(RESERVATION, replayed=False, rank=4, seen=SEEN)
PLACE = Waiting(DROP, 3, 9, 1, SEEN)


@pytest.mark.parametrize(
    ("message", "outcome", "expected"),
    [
        (RESERVE, HELD, {"type": "reservation", "reservation": RESERVATION, "replayed": False}),
        (
            {**RESERVE, "part": True},
            Held(RESERVATION, replayed=False, waiting=PLACE),
            {
                "type": "reservation",
                "reservation": RESERVATION,
                "replayed": False,
                "waiting": {"position": 3, "length": 9, "quantity": 1},
            },
        ),
        (
            {**RESERVE, "part": True},
            PLACE,
            {"type": "waitlist", "drop": DROP, "position": 3, "length": 9, "quantity": 1},
        ),
        (
            {"type": "waitlist.join", "drop": DROP, "quantity": 1},
            PLACE,
            {"type": "waitlist", "drop": DROP, "position": 3, "length": 9, "quantity": 1},
        ),
        (
            {"type": "waitlist.leave", "drop": DROP},
            Waiting(DROP, 0, 8, 0),
            {"type": "waitlist", "drop": DROP, "position": 0, "length": 8, "quantity": 0},
        ),
        (
            {"type": "bundle", "items": [{"drop": DROP, "quantity": 2}]},
            Bundle([RESERVATION], replayed=True),
            {"type": "bundle", "reservations": [RESERVATION], "replayed": True},
        ),
        (
            RESERVE,
            out_of_stock(2, 0, 3, SEEN),
            {
                "type": "error",
                "code": "out-of-stock",
                "message": "Asked for 2, 0 available; 3 held by others may come back.",
                "available": 0,
                "held": 3,
            },
        ),
        (
            RESERVE,
            Problem(Code.RATE_LIMITED, "8192 operations are waiting.", retry_after_ms=200),
            {
                "type": "error",
                "code": "rate-limited",
                "message": "8192 operations are waiting.",
                "retry_after_ms": 200,
            },
        ),
    ],
)
def test_every_outcome_has_its_answer(
    hall: Hall, message: dict[str, Any], outcome: Outcome, expected: dict[str, Any]
) -> None:
    """The message that the contract has for it, with the command's own id."""
    assert answered(hall, message, outcome) == expected


@pytest.mark.parametrize(
    ("message", "verb", "items", "address"),
    [
        (RESERVE, "reserve", [(DROP, 2)], "192.0.2.1"),
        ({**RESERVE, "part": True}, "part", [(DROP, 2)], "192.0.2.1"),
        ({"type": "waitlist.join", "drop": DROP}, "join", [(DROP, 1)], "192.0.2.1"),
        ({"type": "waitlist.leave", "drop": DROP}, "leave", [(DROP, 0)], ""),
        ({"type": "release", "reservation": "rs_abcdefghijkl_1"}, "release", [("", 0)], ""),
        (
            {"type": "bundle", "items": [{"drop": DROP, "quantity": 2}, {"drop": "dr_x", "quantity": 1}]},
            "reserve",
            [(DROP, 2), ("dr_x", 1)],
            "192.0.2.1",
        ),
    ],
)
def test_what_a_command_asks_of_the_inventory(
    hall: Hall, message: dict[str, Any], verb: str, items: list[tuple[str, int]], address: str
) -> None:
    """The show is the connection's and the viewer its own, whatever the message says."""
    hall.sit().say({"id": "op", **message})
    (ask,) = hall.lines.asks
    assert (ask.show, ask.viewer, ask.verb, ask.address) == ("sh_abcdefghijkl", "ann", verb, address)
    assert [(drop, quantity) for _own, drop, quantity in ask.items] == items


@pytest.mark.parametrize(
    ("role", "message", "code", "sentence"),
    [
        (Role.HOST, RESERVE, "not-allowed", "A host may not buy."),
        (Role.HOST, {"type": "waitlist.join", "drop": DROP}, "not-allowed", "A host may not buy."),
        (
            Role.VIEWER,
            {"type": "release", "reservation": "rs_other_1"},
            "not-found",
            "There is no reservation 'rs_other_1'.",
        ),
        (
            Role.VIEWER,
            {"type": "bundle", "items": [{"drop": DROP, "quantity": 1}] * 2},
            "invalid-message",
            "items: a drop may stand in a bundle once.",
        ),
    ],
)
def test_what_needs_nobody_else_is_refused_at_once(
    hall: Hall, role: Role, message: dict[str, Any], code: str, sentence: str
) -> None:
    """Who may not buy, a reservation of another show, a bundle with a drop twice: nothing is asked of the store."""
    seat = hall.sit(role=role)
    seat.say({"id": "op", **message}, PING)
    assert seat.told[0] == {"type": "error", "id": "op", "code": code, "message": sentence}
    assert seat.answers == ["op", "ping"]
    assert hall.lines.asks == []


@pytest.mark.parametrize("outcome", [HELD, PLACE, out_of_stock(2, 0, 3, SEEN)])
def test_a_receipt_for_who_asks_for_one(hall: Hall, outcome: Outcome) -> None:
    """It is in the answer, whatever that is, and of just this operation; nobody else pays for a signature."""
    assert "receipt" not in answered(hall, RESERVE, outcome)
    assert hall.signed == []
    assert answered(hall, {**RESERVE, "receipt": True}, outcome)["receipt"] == "receipt 1"
    (receipt,) = hall.signed
    assert (receipt.sub, receipt.show, receipt.drop, receipt.operation) == (
        "ann",
        "sh_abcdefghijkl",
        DROP,
        "op",
    )
    assert receipt.after_opening_ms == 1_000


def test_nothing_is_signed_where_nothing_was_decided(hall: Hall) -> None:
    """A store that does not answer has no moment and no stock to tell of: the error stands alone."""
    answer = answered(hall, {**RESERVE, "receipt": True}, Problem(Code.UNAVAILABLE, "no answer"))
    assert (answer["code"], "receipt" in answer, hall.signed) == ("unavailable", False, [])
