"""What a receipt says of an operation's outcome. The times are those of the step that decided.

A process that refuses by itself what it has just seen to be gone gives the moment of that sight, up to 200 ms ago.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from server.errors import Code, Problem
from server.inventory.outcomes import Bundle, Held, Waiting
from server.receipts import Receipt

if TYPE_CHECKING:
    from server.inventory.outcomes import Outcome


def receipt(show: str, viewer: str, operation: str, quantity: int, outcome: Outcome) -> Receipt | None:
    """Return what happened to a viewer's operation, or None where nothing was decided about a single drop.

    `operation` is the id that the viewer gave it, `quantity` the units that they asked for.
    """
    seen = None if isinstance(outcome, Bundle) else getattr(outcome, "seen", None)
    if seen is None:
        return None
    position: int | UnsetType = UNSET
    queued = rank = available = held = position
    match outcome:
        case Held():
            what, quantity = "replayed" if outcome.replayed else "held", outcome.reservation["quantity"]
            rank = outcome.rank or UNSET
            if outcome.waiting is not None:
                position, queued = outcome.waiting.position, outcome.waiting.quantity
        case Waiting():
            what, position = "waiting", outcome.position
        case Problem():
            what = outcome.code.value
            available, held = outcome.extras.get("available", UNSET), outcome.extras.get("held", UNSET)
    return Receipt(
        sub=viewer,
        show=show,
        drop=seen.drop,
        operation=operation,
        outcome=what,
        quantity=quantity,
        rank=rank,
        position=position,
        queued=queued,
        at=seen.at,
        after_opening_ms=since(seen.opened_at, seen.at),
        after_sold_out_ms=since(seen.gone_at, seen.at) if _sold_out(outcome) else UNSET,
        available=available,
        held=held,
    )


def since(moment: int, at: int) -> int | UnsetType:
    """Return the milliseconds from a moment to another, nothing where the first never was (0)."""
    return at - moment if moment else UNSET


def _sold_out(outcome: Outcome) -> bool:
    return (
        isinstance(outcome, Problem) and outcome.code is Code.OUT_OF_STOCK and not outcome.extras["available"]
    )
