"""What a drop's stock must be after its store was lost, failed over or restored: counted anew, from two sides.

The ledger says who bought what, and is never wrong about it; the store says who holds what, as far as it still knows.
So: available = quantity - what the ledger sold - the holds that survived and fit. A plan is made from one reading and
carried out by `drop_rebuild`, which refuses it where the numbers are no longer those that were read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.inventory import chain
from server.inventory.records import HELD, PAYING, SOLD

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from server.inventory.chain import Chain
    from server.inventory.records import DropBooks, Hold, Records

# Awards are numbered on from a multiple of this that was never reached: how many were lost is not known, and no number
# is given twice. Which one comes from the last offset of the show's log that anybody has seen: it only ever grows.
LIFE = 1_000_000
LOST = -1  # stands for the revision of a drop that the store has lost


@dataclass(frozen=True, slots=True)
class Sale:
    """A reservation that the ledger says is sold; of its units, `returned` are on sale again."""

    own: str
    drop: str
    order: str
    viewer: str
    quantity: int
    returned: int
    unit_price: int
    created_at: int
    shipped: bool = False

    @property
    def units(self) -> int:
        """How many units are gone with it."""
        return self.quantity - self.returned


@dataclass(slots=True)
class Plan:
    """What one drop is to be, as `drop_rebuild` takes it."""

    drop: str
    revision: int  # of the numbers it was made from
    quantity: int
    held: int = 0
    sold: int = 0
    terms: dict[str, Any] | None = None  # where those of the store are lost, or older than the ledger's
    sales: list[Sale] = field(default_factory=list)  # which the store does not have as the ledger does
    lapsed: list[str] = field(default_factory=list)  # holds that do not fit any more
    first: int = 0  # the number of the next award, 0: it goes on as it was
    short: dict[str, int] = field(
        default_factory=dict
    )  # order -> units of it that are not there, newest first
    strays: list[str] = field(default_factory=list)  # sold here, and the ledger knows nothing of it

    @property
    def available(self) -> int:
        """What is left; below zero where units are owed."""
        return self.quantity - self.held - self.sold

    @property
    def packed(self) -> dict[str, Any]:
        """The plan as the script takes it."""
        row: dict[str, Any] = {
            "quantity": self.quantity,
            "held": self.held,
            "sold": self.sold,
            "sales": [
                {
                    name: getattr(sale, name)
                    for name in Sale.__slots__
                    if name not in {"drop", "created_at", "shipped"}
                }
                for sale in self.sales
            ],
            "lapsed": self.lapsed,
            "first": self.first,
        }
        return {**row, "terms": self.terms} if self.terms is not None else row


@dataclass(slots=True)
class Survivor:
    """A drop as the store still has it: its numbers, its holds, and what its award log adds up to."""

    books: DropBooks
    chain: Chain
    holds: dict[str, Hold] = field(default_factory=dict)


def survivors(records: Records | None) -> dict[str, Survivor]:
    """Return the drops that the store still has, in the order in which they were planned."""
    if records is None:
        return {}
    numbered = sorted(records.drops.items())
    chains = chain.read({number: books.drop for number, books in numbered}, records.notes).chains
    found = {number: Survivor(books, chains[books.drop]) for number, books in numbered}
    for own, hold in records.holds.items():
        if hold.number in found:
            found[hold.number].holds[own] = hold
    return {survivor.books.drop: survivor for survivor in found.values()}


def plan(  # noqa: PLR0913  what three books say of one drop
    drop: str,
    survivor: Survivor | None,
    sales: Collection[Sale],
    unfinished: Collection[str],
    offered: tuple[int, dict[str, Any]] | None,
    *,
    offset: int,
) -> Plan:
    """Return what a drop is to be.

    `sales` are the ledger's of this drop, oldest first; `unfinished` the orders that are sold and on their way into it;
    `offered` its quantity and terms by the ledger, where these are to count: they must, where the store has lost it;
    `offset` is the last one of the show's log that the ledger has seen.
    """
    if offered is not None:
        made = Plan(drop, survivor.books.revision if survivor else LOST, offered[0], terms=offered[1])
    elif survivor is not None:
        made = Plan(drop, survivor.books.revision, survivor.books.quantity)
    else:
        raise ValueError(f"neither the store nor the ledger knows the drop {drop}")
    holds = survivor.holds if survivor else {}
    known = {sale.own for sale in sales}
    made.sales = [sale for sale in sales if _differs(sale, holds.get(sale.own))]
    made.sold = sum(sale.units for sale in sales)
    for own, hold in holds.items():
        if hold.state == SOLD and own not in known:
            made.sold += hold.units
            if hold.order not in unfinished:
                made.strays.append(own)
    _fit(made, {own: hold for own, hold in holds.items() if own not in known})
    made.first = _first(made, survivor, offset)
    made.short = _short(made.sold - made.quantity, sales)
    return made


def _differs(sale: Sale, hold: Hold | None) -> bool:
    """Whether the store has it otherwise, or not at all; a reservation of which all returned need not be there."""
    if sale.units == 0:
        return hold is not None and hold.counts
    return (
        hold is None
        or hold.state != SOLD
        or (hold.order, hold.quantity, hold.returned) != (sale.order, sale.quantity, sale.returned)
    )


def _fit(made: Plan, holds: dict[str, Hold]) -> None:
    """Keep the holds for which there are units: those that are being paid first, then who came first."""
    room = made.quantity - made.sold
    waiting = [(own, hold) for own, hold in holds.items() if hold.state in {HELD, PAYING}]
    for own, hold in sorted(waiting, key=lambda each: (each[1].state != PAYING, each[1].rank)):
        if hold.quantity <= room:
            room -= hold.quantity
            made.held += hold.quantity
        else:
            made.lapsed.append(own)


def _first(made: Plan, survivor: Survivor | None, offset: int) -> int:
    """Return the number of the next award: in a new million, unless nothing was awarded since the last rebuild."""
    newest, rebuilt = (survivor.chain.newest, survivor.chain.rebuilt) if survivor else (0, False)
    restored = any(survivor is None or sale.own not in survivor.holds for sale in made.sales)
    opened = newest > 0 or (made.terms or {}).get("opened_at")
    life = max(newest // LIFE, offset) + 1
    return life * LIFE + 1 if restored or (opened and not rebuilt) else 0


def _short(missing: int, sales: Iterable[Sale]) -> dict[str, int]:
    """Return the orders for which there are no units, and how many each lacks.

    Who bought last goes without; what is shipped was there.
    """
    short: dict[str, int] = {}
    for sale in sorted(sales, key=lambda sale: (not sale.shipped, sale.created_at, sale.order), reverse=True):
        units = min(missing, sale.units)
        if units > 0:
            short[sale.order] = short.get(sale.order, 0) + units
            missing -= units
    return short
