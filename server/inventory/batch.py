"""One step of a show's inventory: the operations as the script takes them, and its answer as each asker's outcome."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server import ids
from server.errors import Code, Problem
from server.inventory.outcomes import Bundle, Held, Outcome, Refusal, Seen, Waiting, out_of_stock, unknown

if TYPE_CHECKING:
    from server.inventory.asks import Ask, Item

Row = list[Any]  # an operation's outcome: its name and its numbers; its rank stands for the most common one

LIMITS = {
    "viewer": "the limit per viewer is {limit} and {taken} are taken",
    "show": "the limit per viewer in this show is {limit} and {taken} are taken",
    "address": "the limit per network address is {limit}",
    "queue": "the queue has {limit} places, all are taken",
    "entries": "a draw can be entered {limit} times and you have left it {taken} times",
}
NOTHING_HELD = "This drop holds nothing: who pays first gets it. Check out with its drop in `items`."
# Refusals without numbers: outcome, and what the script says with it -> code and sentence.
PLAIN = {
    ("drop-closed",): (Code.DROP_CLOSED, "The drop is closed."),
    ("wrong-mode", "first_paid"): (Code.WRONG_STATE, NOTHING_HELD),
    ("wrong-mode", "draw"): (
        Code.WRONG_STATE,
        "This drop is a draw: enter it with waitlist.join before it closes.",
    ),
    ("wrong-mode", "fifo"): (
        Code.WRONG_STATE,
        "This drop holds what is taken: reserve first, then check out the reservation.",
    ),
    ("no-waitlist", "fifo"): (Code.WRONG_STATE, "This drop has no waitlist."),
    ("no-waitlist", "first_paid"): (Code.WRONG_STATE, NOTHING_HELD),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a step needs to know of this server's settings."""

    claim_ms: int  # how long a claim lives: the provider's time
    most_waiting: int  # places in a queue
    skip_absent: bool  # whether the queue passes over who is not here
    addresses: bool  # whether drops limit the units per network address
    address_key: bytes = (
        b""  # what addresses are hashed with: the store learns which are equal, not what they are
    )

    def counted(self, address: str) -> str | bool:
        """Return what stands for an address in the store; False where none is known."""
        if not address:
            return False
        household = ids.household_of(address).encode()
        return hashlib.blake2b(household, digest_size=8, key=self.address_key).hexdigest()


def packed(asks: list[Ask], terms: Terms) -> dict[str, Any]:
    """Return the operations column by column, in their order: the script reads and writes them column-wise too."""
    drops: dict[str, int] = {}
    alone = all(len(ask.items) == 1 for ask in asks)
    each = [ask for ask in asks for _ in ask.items] if not alone else asks
    items = [ask.items[0] for ask in asks] if alone else [item for ask in asks for item in ask.items]
    return {
        "ids": [own for own, _, _ in items],
        "which": [drops.setdefault(drop, len(drops) + 1) for _, drop, _ in items],
        "quantities": [quantity for _, _, quantity in items],
        "verbs": [ask.verb for ask in each],
        "viewers": [ask.viewer for ask in each],
        "sizes": [] if alone else [len(ask.items) for ask in each],
        "apart": [ask.apart for ask in each] if any(ask.apart for ask in asks) else [],
        "addresses": [terms.counted(ask.address) for ask in each] if terms.addresses else [],
        "drops": list(drops),
        "claim_ms": terms.claim_ms,
        "most": terms.most_waiting,
        "skip": terms.skip_absent,
    }


def seen(answer: dict[str, Any], drops: list[str]) -> dict[str, Seen]:
    """Return what the step saw of each drop that is there."""
    now = answer["now"]
    return {name: Seen(name, now, *row) for name, row in zip(drops, answer["drops"], strict=True) if row}


def outcomes(show: str, asks: list[Ask], answer: dict[str, Any], seen: dict[str, Seen]) -> list[Outcome]:
    """Return each operation's outcome, in their order."""
    rows: list[Any] = answer["out"]
    found: list[Outcome] = []
    at = 0
    for ask in asks:
        size = len(ask.items)
        row = rows[at]
        if type(row) is int:  # and not False, which says that a part of a bundle was not taken
            found.append(_awarded(show, ask, row, seen))
        elif ask.bundle:
            found.append(_bundle(show, ask, rows[at : at + size], seen))
        else:
            found.append(_outcome(show, ask, row, seen))
        at += size
    return found


def _awarded(show: str, ask: Ask, rank: int, seen: dict[str, Seen]) -> Held | Bundle:
    """Return what somebody got who got just what they asked for: of that the script tells the award's rank alone."""
    own, drop, quantity = ask.items[0]
    known = seen[drop]
    view = _view(show, own, quantity, known.at + known.hold_seconds * 1000, known)
    if ask.bundle:
        return Bundle([view], replayed=False)
    return Held(view, replayed=False, rank=rank, seen=known)


def _outcome(show: str, ask: Ask, row: Row, seen: dict[str, Seen]) -> Outcome:
    _own, drop, _quantity = ask.items[0]
    match row[0]:
        case "held":
            return _held(show, ask, row, seen[drop])
        case "replayed":
            return Held(row[1], replayed=True, rank=row[2], seen=seen.get(drop))
        case "released":
            return Held(row[1], replayed=False)
        case "waiting":
            position, length, queued = row[1:] if len(row) > 2 else (0, seen[drop].waiting, 0)  # noqa: PLR2004
            return Waiting(drop, position, length, queued, seen[drop])
        case _:
            return _refusal(row, ask, ask.items[0], seen.get(drop))


def _held(show: str, ask: Ask, row: Row, seen: Seen) -> Outcome:
    """Return what was taken: `row` is held, units, expires_at, rank, and of a place its position, length and units."""
    own, drop, _asked = ask.items[0]
    _name, quantity, expires_at, rank, *place = row
    waiting = None
    if place:
        position, length, queued = place
        waiting = Waiting(drop, position, length, queued, seen)
    if quantity == 0 and waiting is not None:
        return waiting
    return Held(
        _view(show, own, quantity, expires_at, seen), replayed=False, rank=rank, seen=seen, waiting=waiting
    )


def _view(show: str, own: str, quantity: int, expires_at: int, seen: Seen) -> dict[str, Any]:
    return {
        "id": ids.full(show, own),
        "drop": seen.drop,
        "sku": seen.sku,
        "quantity": quantity,
        "state": "held",
        "unit_price": seen.unit_price,
        "currency": seen.currency,
        "expires_at": expires_at,
    }


def _bundle(show: str, ask: Ask, rows: list[Row], seen: dict[str, Seen]) -> Outcome:
    for row, item in zip(rows, ask.items, strict=True):
        if row and row[0] not in {"held", "replayed"}:
            return _refusal(row, ask, item, seen.get(item[1]))
    if rows[0][0] == "replayed":
        return Bundle([row[1] for row in rows], replayed=True)
    views = [
        _view(show, own, row[1], row[2], seen[drop])
        for row, (own, drop, _) in zip(rows, ask.items, strict=True)
    ]
    return Bundle(views, replayed=False)


def _refusal(  # noqa: PLR0911  one per outcome
    row: Row, ask: Ask, item: Item, seen: Seen | None
) -> Problem:
    if ask.verb == "release":
        return _not_released(row, ids.full(ask.show, item[0]))
    _own, drop, quantity = item
    match row:
        case ["out-of-stock", available, held, *_]:
            return out_of_stock(quantity, available, held, seen)
        case ["limit-reached", limit, taken, whose]:
            detail = LIMITS[whose].format(limit=limit, taken=taken)
            return Refusal(Code.LIMIT_REACHED, f"Asked for {quantity}, {detail}.", seen)
        case ["drop-not-open", state, *opens_at]:
            when = opens_at[0] if opens_at else None
            return Refusal(Code.DROP_NOT_OPEN, f"The drop is {state}.", seen, opens_at=when)
        case ["show-not-live", state]:
            return Refusal(Code.SHOW_NOT_LIVE, f"The show is {state}.", seen)
        case ["idempotency-mismatch", other, units]:
            sentence = f"This id took {units} of drop {other}, not {quantity} of {drop[:64]}."
            return Problem(Code.IDEMPOTENCY_MISMATCH, sentence)
        case ["not-found"]:
            return Problem(Code.NOT_FOUND, f"There is no drop {drop[:64]!r} in this show.")
        case _:
            code, sentence = PLAIN[row[0], *row[1:2]]
            return Refusal(code, sentence, seen)


def _not_released(row: Row, reservation: str) -> Problem:
    match row:
        case ["not-allowed"]:
            return Problem(Code.NOT_ALLOWED, "This reservation is somebody else's.")
        case ["in-progress"]:
            return Problem(Code.IN_PROGRESS, "This reservation is being paid.", retry_after_ms=1000)
        case ["wrong-state", state]:
            return Problem(Code.WRONG_STATE, f"This reservation is {state}.")
        case ["show-not-live", state]:
            return Problem(Code.SHOW_NOT_LIVE, f"The show is {state}.")
        case _:
            return unknown(reservation)
