"""The steps of a checkout as one table: what may have been tried, what is tried next, and what follows from its answer.

    claimed → authorized → finalized → committed → paid
       ↓  ↘ acting ↗  ↘        ↘          ↘
       undone ← undoing ← voiding          refused

The record of an order holds a `Step`: it is written before its first act is tried, so whatever died since, every act of
a step may be tried again. An act that is not answered (the store, the ledger or the provider cannot be reached) leaves
the record as it is. No I/O here: `acts.py` tries, `saga.py` walks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.payments.provider import ActionRequired, Authorized, Declined, Payment, Status


class Step(StrEnum):
    """How far an order has come, as its record has it."""

    CLAIMED = "claimed"  # its units are kept; the provider may have been asked
    ACTING = "acting"  # its buyer has to act at the provider, until the order's deadline
    AUTHORIZED = "authorized"  # the provider said yes; its units may be sold
    FINALIZED = "finalized"  # its units are sold; the ledger may have it
    COMMITTED = "committed"  # the ledger has it; its money may have moved
    VOIDING = "voiding"  # it will not be; what the provider reserved may have been let go
    UNDOING = "undoing"  # nothing is reserved; the ledger may have it as cancelled, its units may be back
    REFUSED = "refused"  # the provider will not move its money; the ledger and the store may know


class Act(StrEnum):
    """What is tried in a step. Each is harmless to repeat."""

    AUTHORIZE = "authorize"  # ask the provider to reserve the amount: its caller hears the answer
    LOOK = "look"  # ask the provider what became of it
    REPEAT = "repeat"  # authorize with the same key, for an order whose caller has gone
    AWAIT = "await"  # keep the units for as long as the buyer may take
    FINALIZE = "finalize"  # sell the units, or take them again where they lapsed
    COMMIT = "commit"  # write the order into the ledger
    CAPTURE = "capture"  # move the money
    BOOK = "book"  # write into the ledger that it has moved
    SETTLE = "settle"  # forget the record and tell the viewer
    VOID = "void"  # let what is reserved go, or see to it that nothing will be
    REFUND = "refund"  # give back what somebody else has moved
    CANCEL = "cancel"  # write into the ledger that it came to nothing
    UNCLAIM = "unclaim"  # let the units go back to what they were
    RETURN = "return"  # put units that were sold on sale again


class Heard(StrEnum):
    """What an act brought."""

    DONE = "done"
    YES = "yes"  # the amount is reserved
    NO = "no"  # it never will be
    ACTION = "action"  # the buyer has to act
    UNDECIDED = "undecided"  # the provider has not made up its mind
    NOTHING = "nothing"  # the provider was never asked
    LOST = "lost"  # units lapsed meanwhile, and are not there any more
    REFUSED = "refused"  # the provider will not do this, now or later


class End(StrEnum):
    """Where a walk ends for now."""

    PAID = "paid"
    WAITS = "waits"  # for the buyer or the provider; somebody looks again
    UNDONE = "undone"  # it came to nothing, and no money was taken


class Reason(StrEnum):
    """Why an order comes to nothing."""

    NONE = ""
    DECLINED = "declined"  # the provider said no
    OVERDUE = "overdue"  # nobody said yes in time
    LOST = "lost"  # the provider said yes, and the units were gone: a shortfall
    REFUSED = "refused"  # the provider said yes, and would not move the money later


@dataclass(frozen=True, slots=True)
class Move:
    """What follows from an answer: the step to record (which may be the same), and what is tried there."""

    step: Step
    then: Act | End
    reason: Reason = Reason.NONE


SOLD = Move(Step.AUTHORIZED, Act.FINALIZE)
AWAITED = Move(Step.CLAIMED, Act.AWAIT)
DECLINED = Move(Step.UNDOING, Act.CANCEL, Reason.DECLINED)
TOO_LATE = Move(Step.VOIDING, Act.VOID, Reason.OVERDUE)
WAITS = Move(Step.ACTING, End.WAITS)
NOTHING_LEFT = Move(Step.UNDOING, Act.CANCEL)

# Where a walk begins: with the first act for whoever asked to pay, and from the record for everybody else.
FIRST = Act.AUTHORIZE
BEGINS: dict[Step, Act] = {
    Step.CLAIMED: Act.LOOK,
    Step.ACTING: Act.LOOK,
    Step.AUTHORIZED: Act.FINALIZE,
    Step.FINALIZED: Act.COMMIT,
    Step.COMMITTED: Act.CAPTURE,
    Step.VOIDING: Act.VOID,
    Step.UNDOING: Act.CANCEL,
    Step.REFUSED: Act.CANCEL,
}

TABLE: dict[tuple[Step, Act], dict[Heard, Move]] = {
    # Its caller hears a decline at once, so nobody else has to: the reservations are as they were.
    (Step.CLAIMED, Act.AUTHORIZE): {
        Heard.YES: SOLD,
        Heard.ACTION: AWAITED,
        Heard.NO: Move(Step.CLAIMED, Act.UNCLAIM, Reason.DECLINED),
    },
    (Step.CLAIMED, Act.UNCLAIM): {Heard.DONE: Move(Step.CLAIMED, End.UNDONE)},
    (Step.CLAIMED, Act.LOOK): {
        Heard.YES: SOLD,
        Heard.ACTION: AWAITED,
        Heard.NO: DECLINED,
        Heard.UNDECIDED: Move(Step.CLAIMED, End.WAITS),
        Heard.NOTHING: Move(Step.CLAIMED, Act.REPEAT),
    },
    (Step.CLAIMED, Act.REPEAT): {Heard.YES: SOLD, Heard.ACTION: AWAITED, Heard.NO: DECLINED},
    (Step.CLAIMED, Act.AWAIT): {Heard.DONE: WAITS, Heard.LOST: TOO_LATE},
    (Step.ACTING, Act.LOOK): {
        Heard.YES: SOLD,
        Heard.NO: DECLINED,
        Heard.ACTION: WAITS,
        Heard.UNDECIDED: WAITS,
        Heard.NOTHING: WAITS,
    },
    (Step.AUTHORIZED, Act.FINALIZE): {
        Heard.DONE: Move(Step.FINALIZED, Act.COMMIT),
        Heard.LOST: Move(Step.VOIDING, Act.VOID, Reason.LOST),
    },
    (Step.FINALIZED, Act.COMMIT): {Heard.DONE: Move(Step.COMMITTED, Act.CAPTURE)},
    (Step.COMMITTED, Act.CAPTURE): {
        Heard.DONE: Move(Step.COMMITTED, Act.BOOK),
        Heard.REFUSED: Move(Step.REFUSED, Act.CANCEL, Reason.REFUSED),
    },
    (Step.COMMITTED, Act.BOOK): {Heard.DONE: Move(Step.COMMITTED, Act.SETTLE)},
    (Step.COMMITTED, Act.SETTLE): {Heard.DONE: Move(Step.COMMITTED, End.PAID)},
    (Step.VOIDING, Act.VOID): {Heard.DONE: NOTHING_LEFT, Heard.REFUSED: Move(Step.VOIDING, Act.REFUND)},
    (Step.VOIDING, Act.REFUND): {Heard.DONE: NOTHING_LEFT, Heard.REFUSED: NOTHING_LEFT},
    (Step.UNDOING, Act.CANCEL): {Heard.DONE: Move(Step.UNDOING, Act.UNCLAIM)},
    (Step.UNDOING, Act.UNCLAIM): {Heard.DONE: Move(Step.UNDOING, End.UNDONE)},
    # Its units were sold to nobody: they go on sale again, and the order stays in the ledger as cancelled.
    (Step.REFUSED, Act.CANCEL): {Heard.DONE: Move(Step.REFUSED, Act.RETURN)},
    (Step.REFUSED, Act.RETURN): {Heard.DONE: Move(Step.REFUSED, Act.SETTLE)},
    (Step.REFUSED, Act.SETTLE): {Heard.DONE: Move(Step.REFUSED, End.UNDONE)},
}

# What is not decided by the order's deadline is undone, whatever it waits for.
OVERDUE: dict[tuple[Step, Act], frozenset[Heard]] = {
    (Step.CLAIMED, Act.LOOK): frozenset({Heard.ACTION, Heard.UNDECIDED, Heard.NOTHING}),
    (Step.ACTING, Act.LOOK): frozenset({Heard.ACTION, Heard.UNDECIDED, Heard.NOTHING}),
}


def follows(step: Step, act: Act, heard: Heard, *, overdue: bool = False) -> Move:
    """Return what follows where an act of a step brought this; `overdue`: the order's deadline is over.

    Raises KeyError for an answer that this act cannot have.
    """
    if overdue and heard in OVERDUE.get((step, act), ()):
        return TOO_LATE
    return TABLE[step, act][heard]


def told(answer: Authorized | ActionRequired | Declined | Payment | None) -> Heard:
    """Return what a provider's answer, or what it has of a payment, means.

    Money that has moved was reserved. An authorization that somebody let go at the provider is none any more.
    """
    match answer:
        case Authorized() | Payment(status=Status.AUTHORIZED | Status.CAPTURED):
            return Heard.YES
        case ActionRequired() | Payment(status=Status.REQUIRES_ACTION):
            return Heard.ACTION
        case Declined() | Payment(status=Status.DECLINED | Status.VOIDED):
            return Heard.NO
        case Payment():
            return Heard.UNDECIDED
        case _:
            return Heard.NOTHING
