"""The table of a checkout: every order comes to an end, only sold units are paid, and nothing is left reserved."""

from __future__ import annotations

from itertools import product

import pytest

from server.checkout.endings import UNDONE
from server.checkout.steps import (
    BEGINS,
    FIRST,
    OVERDUE,
    TABLE,
    Act,
    End,
    Heard,
    Move,
    Reason,
    Step,
    follows,
    told,
)
from server.payments.provider import ActionRequired, Authorized, Declined, Payment, Status

Place = tuple[Step, Act]
START: Place = (Step.CLAIMED, FIRST)
ROWS = [(step, act, heard) for (step, act), answers in TABLE.items() for heard in answers]


def after(place: Place, heard: Heard, *, overdue: bool) -> Move:
    return follows(*place, heard, overdue=overdue)


def reached(*starts: Place, without: frozenset[Act] = frozenset()) -> set[Place]:
    """Return where a walk can come from here, crashes included, if it never tries some acts."""
    found: set[Place] = set()
    waiting = list(starts)
    while waiting:
        place = waiting.pop()
        if place in found or place[1] in without:
            continue
        found.add(place)
        moves = [after(place, heard, overdue=late) for heard in TABLE[place] for late in (False, True)]
        waiting += [(move.step, move.then) for move in moves if isinstance(move.then, Act)]
        waiting += [(move.step, BEGINS[move.step]) for move in moves] + [(place[0], BEGINS[place[0]])]
    return found


def test_every_place_can_be_reached() -> None:
    """No row of the table is there for nothing, and no walk leads out of it."""
    assert reached(START) == TABLE.keys()


def test_every_step_can_be_taken_up() -> None:
    """Whatever is recorded, whoever comes next knows what to try."""
    assert BEGINS.keys() == set(Step)
    assert {(step, act) for step, act in BEGINS.items()} <= TABLE.keys()


def test_every_act_is_tried_somewhere() -> None:
    """And every answer and reason is one that can be had."""
    assert {act for _step, act in TABLE} == set(Act)
    assert {heard for answers in TABLE.values() for heard in answers} == set(Heard)
    moves = [move for answers in TABLE.values() for move in answers.values()]
    assert {move.reason for move in moves} | {
        after((Step.ACTING, Act.LOOK), Heard.ACTION, overdue=True).reason
    } == set(Reason)
    assert {move.then for move in moves if isinstance(move.then, End)} == set(End)
    assert UNDONE.keys() == set(Reason)


@pytest.mark.parametrize("place", TABLE)
def test_every_walk_can_end(place: Place) -> None:
    """From everywhere there is a way to an end that is not a wait."""
    ends = {
        move.then
        for here in reached(place)
        for heard in TABLE[here]
        if isinstance((move := after(here, heard, overdue=False)).then, End)
    }
    assert ends & {End.PAID, End.UNDONE}


@pytest.mark.parametrize("place", [(step, BEGINS[step]) for step in (Step.CLAIMED, Step.ACTING)])
def test_nothing_waits_past_its_deadline(place: Place) -> None:
    """Of an overdue order every answer leads on."""
    for heard in TABLE[place]:
        assert after(place, heard, overdue=True).then is not End.WAITS


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_deadline_touches_nothing_that_is_decided(row: tuple[Step, Act, Heard]) -> None:
    """Whether it is over makes a difference only where the provider has not said yes or no."""
    step, act, heard = row
    now, late = (follows(step, act, heard, overdue=overdue) for overdue in (False, True))
    undecided = heard in OVERDUE.get((step, act), ())
    assert (now == late) is not undecided
    if undecided:
        assert late == Move(Step.VOIDING, Act.VOID, Reason.OVERDUE)


def test_money_moves_only_for_units_that_are_sold_and_written_down() -> None:
    """Without the sale, or without the ledger, no walk comes to a capture."""
    for missing in (Act.FINALIZE, Act.COMMIT):
        assert not {
            place for place in reached(START, without=frozenset({missing})) if place[1] is Act.CAPTURE
        }


def test_an_order_is_paid_only_once_its_money_has_moved() -> None:
    """Without the capture, or its entry in the ledger, none comes to that end."""
    for missing in (Act.CAPTURE, Act.BOOK):
        left = reached(START, without=frozenset({missing}))
        assert not [move for place in left for move in TABLE[place].values() if move.then is End.PAID]


def test_what_was_reserved_is_let_go_before_anything_is_undone() -> None:
    """After a yes no units come back without a void, a refund or a refusal of the provider to move anything."""
    let_go = frozenset({Act.VOID, Act.REFUND, Act.RETURN})
    yes = {
        (move.step, move.then)
        for answers in TABLE.values()
        for heard, move in answers.items()
        if heard is Heard.YES and isinstance(move.then, Act)
    }
    assert yes == {(Step.AUTHORIZED, Act.FINALIZE)}
    assert Act.UNCLAIM not in {act for _step, act in reached(*yes, without=let_go)}


def test_a_sold_unit_is_never_unclaimed() -> None:
    """From the sale on an order is paid, or its units are put on sale again."""
    sold = reached((Step.FINALIZED, Act.COMMIT))
    assert {step for step, _act in sold} == {Step.FINALIZED, Step.COMMITTED, Step.REFUSED}


def test_who_was_told_to_wait_is_told_the_end() -> None:
    """Only a decline that its own caller hears leaves no order in the ledger."""
    ended = {
        place
        for place, answers in TABLE.items()
        for move in answers.values()
        if move.then is End.UNDONE
        and place not in reached((Step.UNDOING, Act.CANCEL), (Step.REFUSED, Act.CANCEL))
    }
    assert ended == {(Step.CLAIMED, Act.UNCLAIM)}
    assert (Step.CLAIMED, Act.UNCLAIM) not in reached((Step.CLAIMED, BEGINS[Step.CLAIMED]))


def test_only_units_that_a_payment_was_there_for_are_a_shortfall() -> None:
    """The provider said yes, and the units were lost: nothing else has this reason."""
    lost = [row for row in ROWS if follows(*row).reason is Reason.LOST]
    assert lost == [(Step.AUTHORIZED, Act.FINALIZE, Heard.LOST)]


def test_other_answers_are_bugs() -> None:
    """An answer that an act cannot have is refused."""
    for (step, act), heard in product(TABLE, Heard):
        if heard not in TABLE[step, act]:
            with pytest.raises(KeyError):
                follows(step, act, heard, overdue=True)


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        (Authorized("pay"), Heard.YES),
        (ActionRequired("pay", "https://b"), Heard.ACTION),
        (Declined("no"), Heard.NO),
        (None, Heard.NOTHING),
        *(
            (Payment("or", "pay", status, 1, "EUR"), heard)
            for status, heard in {
                Status.REQUIRES_ACTION: Heard.ACTION,
                Status.PENDING: Heard.UNDECIDED,
                Status.AUTHORIZED: Heard.YES,
                Status.CAPTURED: Heard.YES,
                Status.VOIDED: Heard.NO,
                Status.DECLINED: Heard.NO,
            }.items()
        ),
    ],
)
def test_what_a_provider_says(
    answer: Authorized | ActionRequired | Declined | Payment | None, heard: Heard
) -> None:
    """Every answer and every status means something."""
    assert told(answer) is heard
