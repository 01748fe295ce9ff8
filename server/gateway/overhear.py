"""What is asked of a recorded show's inventory, through whichever door, told to the recording with its outcome."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from server.errors import Problem
from server.inventory.outcomes import Held, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.inventory.asks import Ask
    from server.inventory.outcomes import Outcome
    from server.shows.tap import Tap

    Done = Callable[[Outcome], None]


def overhearing(tap: Tap) -> Callable[[Ask, Done], Done]:
    """Return what the lines of operations ask for each one: who is to be told of its outcome in place of `done`."""

    def overhear(ask: Ask, done: Done) -> Done:
        return partial(_told, tap, ask, tap.now_ms(), done) if tap.records(ask.show) else done

    return overhear


def _told(tap: Tap, ask: Ask, at: int, done: Done, outcome: Outcome) -> None:
    """Tell the asker first: the recording is nobody's promise."""
    try:
        done(outcome)
    finally:
        tap.asked(ask.show, ask.viewer, ask.verb, ask.items, at=at, code=_code(outcome))


def _code(outcome: Outcome) -> str:
    """Return how an operation ended in a word: a code of the contract, or what was got."""
    if isinstance(outcome, Problem):
        return outcome.code.value
    if isinstance(outcome, Waiting):
        return "waiting" if outcome.position else "left"
    if outcome.replayed:
        return "repeated"
    if isinstance(outcome, Held):
        return "part" if outcome.waiting is not None else str(outcome.reservation["state"])
    return "held"
