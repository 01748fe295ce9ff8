"""A show's inventory counted from its parts: what the audit compares."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.store.answers import unpacked
from server.store.keys import key
from server.store.redis import reaching

if TYPE_CHECKING:
    from server.store.redis import Redis

KEPT = frozenset({"held", "paying"})
COUNTED = frozenset({"held", "paying", "sold"})


@dataclass(slots=True)
class DropBooks:
    """One drop: its four numbers as stored, and the same counted from its holds."""

    drop: str
    sku: str
    status: str
    available: int
    held: int
    sold: int
    quantity: int
    counted_held: int = 0
    counted_sold: int = 0
    in_flight: int = 0  # sold units of orders that are on their way into the ledger
    differences: list[str] = field(default_factory=list)


Books = dict[str, DropBooks]
Holds = dict[str, list[Any]]  # reservation -> [drop, viewer, quantity, state, …]


async def read_books(client: Redis, show: str) -> list[DropBooks]:
    """Return a show's drops with what their holds add up to, read in one step; differences inside Redis noted."""
    names = ("drops", "stock", "holds", "taken", "orders")
    with reaching("reading the books"):
        async with client.pipeline(transaction=True) as pipe:
            for name in names:
                pipe.hgetall(key(name, show=show))
            pipe.zrange(key("expiry", show=show), 0, -1)
            drops, stock, holds, taken, orders, expiring = await pipe.execute()
    books = {
        drop.decode(): _drop(drop.decode(), unpacked(terms), unpacked(stock[drop]))
        for drop, terms in drops.items()
    }
    found = {reservation.decode(): unpacked(raw) for reservation, raw in holds.items()}
    _count_holds(books, found)
    _count_orders(books, [unpacked(raw) for raw in orders.values()])
    _check_limits(books, found, {name.decode(): int(value) for name, value in taken.items()})
    _check_deadlines(books, found, {reservation.decode() for reservation in expiring})
    for drop_books in books.values():
        _check_sums(drop_books)
    return list(books.values())


def _count_holds(books: Books, holds: Holds) -> None:
    for drop, _viewer, quantity, state, *_ in holds.values():
        if state in KEPT:
            books[drop].counted_held += quantity
        if state == "sold":
            books[drop].counted_sold += quantity


def _count_orders(books: Books, orders: list[dict[str, Any]]) -> None:
    for record in orders:
        if record["step"] == "finalized":
            for line in record["lines"]:
                books[line["drop"]].in_flight += line["quantity"]


def _check_limits(books: Books, holds: Holds, counters: dict[str, int]) -> None:
    units: Counter[str] = Counter()
    for drop, viewer, quantity, state, *_ in holds.values():
        if state in COUNTED:
            units[f"{drop} {viewer}"] += quantity
    for name in sorted(units.keys() | counters.keys()):
        counted, stored = units.get(name, 0), counters.get(name, 0)
        if counted != stored:
            books[name.partition(" ")[0]].differences.append(
                f"a viewer's limit counter says {stored}, their holds {counted}"
            )


def _drop(drop: str, terms: dict[str, str], numbers: list[int]) -> DropBooks:
    available, held, sold, quantity, *_ = numbers
    return DropBooks(drop, terms["sku"], terms["status"], available, held, sold, quantity)


def _check_sums(books: DropBooks) -> None:
    total = books.available + books.held + books.sold
    if total != books.quantity:
        books.differences.append(f"available + held + sold is {total}, quantity {books.quantity}")
    if min(books.available, books.held, books.sold) < 0:
        books.differences.append("a number is below zero")
    if books.counted_held != books.held:
        books.differences.append(f"held is {books.held}, its holds are {books.counted_held}")
    if books.counted_sold != books.sold:
        books.differences.append(f"sold is {books.sold}, its holds are {books.counted_sold}")


def _check_deadlines(books: Books, holds: Holds, expiring: set[str]) -> None:
    """Note holds that nothing would ever let go, and deadlines of holds that are none any more."""
    kept = {reservation for reservation, hold in holds.items() if hold[3] in KEPT}
    for reservation in sorted(kept ^ expiring):
        if reservation not in holds:  # whose it was is lost; it is told with the show's first drop
            drop, what = next(iter(books)), "has a deadline and no record"
        else:
            drop = holds[reservation][0]
            what = "has no deadline" if reservation in kept else "has a deadline and is not held"
        books[drop].differences.append(f"reservation {reservation} {what}")
