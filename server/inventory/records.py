"""A show's inventory as it is written: what the audit compares, all read in one step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.store.answers import unpacked
from server.store.keys import key
from server.store.redis import reaching

if TYPE_CHECKING:
    from server.store.redis import Redis

HELD, PAYING, SOLD = 1, 2, 3  # a hold's states in which its units are its viewer's
USUAL: list[Any] = [
    "",
    0,
    "",
    0,
]  # order, deadline, address and units returned, where a record leaves them out
HASHES = ("drops", "stock", "numbers", "holds", "mine", "waiting", "seeds", "left", "addresses", "orders")


@dataclass(slots=True)
class DropBooks:
    """One drop: its numbers as stored, and the same counted from its parts."""

    drop: str
    sku: str
    status: str
    number: int
    available: int
    held: int
    sold: int
    quantity: int
    awards: int  # reservations that ever got units
    head: str  # of the chain of its award log
    waiting: int
    joined: int
    mode: str
    revision: int
    counted_held: int = 0
    counted_sold: int = 0
    in_flight: int = 0  # sold units of orders that are on their way into the ledger, or out of it
    notes: int = 0  # of the award log
    counted_head: str = ""  # what they lead to
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold's record; `ends` is when its units lapse, None where they do not."""

    number: int
    viewer: str
    quantity: int
    state: int
    rank: int
    ends: int | None
    address: str
    returned: int = 0  # of the sold units: on sale again
    order: str = ""  # that claimed or bought it

    @property
    def counts(self) -> bool:
        """Whether its units are its viewer's."""
        return self.state in {HELD, PAYING, SOLD}

    @property
    def units(self) -> int:
        """How many units its viewer has of what was awarded."""
        return self.quantity - self.returned


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a queue: whose, the reservation to be, and where it stands in the index (None: nowhere)."""

    number: int
    viewer: str
    reservation: str
    quantity: int
    nth: int
    score: int | None


@dataclass(frozen=True, slots=True)
class Records:
    """A show's inventory: its drops by number, its other records by name."""

    drops: dict[int, DropBooks]
    names: dict[int, str]  # number -> drop, as holds and places are read
    holds: dict[str, Hold]
    mine: dict[str, list[Any]]  # viewer -> [number, quantity, reservation, …]
    places: list[Place]
    queued: set[str]  # '<number> <viewer>', as the index of the queues has them
    seeds: dict[str, str]  # drop -> of its draw
    left: Counter[int]  # number -> how often somebody left this draw
    addresses: dict[str, int]  # '<number> <address>' -> units
    deadlines: list[tuple[str, int]]  # reservations of one step and their time
    orders: list[dict[str, Any]]
    notes: list[bytes]  # the award log, oldest first

    def note(self, number: int | None, difference: str) -> None:
        """Note a difference with the drop of a number; one that is no drop's, with the first."""
        drop = self.drops.get(number) if number is not None else None
        (drop or next(iter(self.drops.values()))).differences.append(difference)


async def read_records(client: Redis, show: str) -> Records | None:
    """Return a show's records as they stand at one moment; None where it has no drop."""
    with reaching("reading the books"):
        async with client.pipeline(transaction=True) as pipe:
            for name in HASHES:
                pipe.hgetall(key(name, show=show))
            pipe.zrange(key("expiry", show=show), 0, -1, withscores=True)
            pipe.zrange(key("waitlist", show=show), 0, -1, withscores=True)
            pipe.xrange(key("awards", show=show))
            *hashes, expiring, queued, awards = await pipe.execute()
    raw = dict(zip(HASHES, hashes, strict=True))
    if not raw["drops"]:
        return None
    drops = [
        _drop(name.decode(), unpacked(terms), unpacked(raw["stock"][name]))
        for name, terms in raw["drops"].items()
    ]
    scores = {name.decode(): int(score) for name, score in queued}
    return Records(
        drops={drop.number: drop for drop in drops},
        names={int(number): drop.decode() for number, drop in raw["numbers"].items()},
        holds={own.decode(): _hold(unpacked(record)) for own, record in raw["holds"].items()},
        mine={viewer.decode(): unpacked(record) for viewer, record in raw["mine"].items()},
        places=_places(raw["waiting"], scores),
        queued=set(scores),
        seeds={drop.decode(): seed.decode() for drop, seed in raw["seeds"].items()},
        left=_left(raw["left"]),
        addresses={name.decode(): int(units) for name, units in raw["addresses"].items()},
        deadlines=[(entry.decode(), int(at)) for entry, at in expiring],
        orders=[unpacked(record) for record in raw["orders"].values()],
        notes=[fields[b"n"] for _id, fields in awards],
    )


def _drop(drop: str, terms: dict[str, Any], row: list[Any]) -> DropBooks:
    available, held, sold, quantity, revision, _gone, _told, _owed, awards, head, waiting, joined, *_ = row
    numbers = (available, held, sold, quantity, awards, head, waiting, joined)
    return DropBooks(drop, terms["sku"], terms["status"], terms["number"], *numbers, terms["mode"], revision)


def _hold(row: list[Any]) -> Hold:
    number, viewer, quantity, state, _price, expires_at, rank, *rest = row
    order, deadline, address, returned = [*rest, *USUAL[len(rest) :]]
    ends = {HELD: expires_at, PAYING: deadline}.get(state)
    return Hold(number, viewer, quantity, state, rank, ends, address, returned, order)


def _left(counted: dict[bytes, bytes]) -> Counter[int]:
    left: Counter[int] = Counter()
    for name, times in counted.items():
        left[int(name.partition(b" ")[0])] += int(times)
    return left


def _places(waiting: dict[bytes, bytes], scores: dict[str, int]) -> list[Place]:
    found = []
    for name, record in waiting.items():
        number, _, viewer = name.decode().partition(" ")
        own, quantity, _joined_at, _times, _address, nth = unpacked(record)
        found.append(Place(int(number), viewer, own, quantity, nth, scores.get(name.decode())))
    return found
