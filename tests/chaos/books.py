"""A show's inventory as it lies in the store, and the laws that hold at every moment: another eye than the audit's.

It reads all records in one step and believes none of the sums in them.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from server.store.answers import unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from server.store.redis import Redis

HELD, PAYING, SOLD, RELEASED = 1, 2, 3, 4
LIVING = frozenset({HELD, PAYING})
COUNTED = frozenset({HELD, PAYING, SOLD})
QUEUE = 2**40  # a drop's number times this is where its queue begins

HASHES = ("drops", "numbers", "stock", "holds", "mine", "waiting", "restocks", "addresses")


class Hold(NamedTuple):
    """One reservation's record."""

    number: int
    viewer: str
    quantity: int
    state: int
    unit_price: int
    expires_at: int
    rank: int
    order: str = ""
    deadline: int = 0
    address: str = ""
    returned: int = 0

    @property
    def units(self) -> int:
        """How many units it has: of what was sold, those that came back are on sale again."""
        return self.quantity - self.returned

    @property
    def came_back(self) -> int:
        """How many of its sold units came back; one of which all did is released, and keeps its order."""
        return self.quantity if self.state == RELEASED and self.order else self.returned

    @property
    def ends_at(self) -> int:
        """When its units lapse."""
        return self.deadline if self.state == PAYING else self.expires_at


class Stock(NamedTuple):
    """One drop's numbers."""

    available: int
    held: int
    sold: int
    quantity: int
    revision: int
    sold_out_at: int
    told_at: int
    owed: int
    awards: int
    chain: str
    waiting: int
    joined: int
    backlog: int
    gone_at: int


class Note(NamedTuple):
    """One note of the award log."""

    kind: str
    number: int
    at: int
    first: int
    reservations: list[str]
    units: list[int]


@dataclass(slots=True)
class Picture:
    """Everything of a show's inventory at one moment."""

    status: str
    limit: float  # units per viewer in the show
    terms: dict[str, dict[str, Any]]  # by drop
    numbers: dict[int, str]  # number -> drop
    stock: dict[str, Stock]
    holds: dict[str, Hold]  # by the own part of the id
    mine: dict[str, list[Any]]
    waiting: dict[str, list[Any]]  # 'number viewer' -> place
    ranked: dict[str, float]  # the same names in the order of all queues
    restocks: dict[str, int]  # 'drop operation' -> units
    addresses: dict[str, int]  # 'number address' -> units
    expiry: list[tuple[str, float]]
    awards: list[tuple[bytes, Note]] = field(default_factory=list)

    def units(self, drop: str, states: frozenset[int]) -> int:
        """Return how many units of a drop its holds in these states have."""
        number = self.terms[drop]["number"]
        return sum(
            hold.units for hold in self.holds.values() if hold.number == number and hold.state in states
        )

    def awarded(self) -> Iterator[tuple[int, str, int, int]]:
        """Yield every award in its order: drop's number, reservation, units, rank."""
        for _, note in self.awards:
            if note.kind == "awarded":
                for place, (own, units) in enumerate(zip(note.reservations, note.units, strict=True)):
                    yield note.number, own, units, note.first + place


async def look(client: Redis, show: str) -> Picture:
    """Read everything of a show's inventory in one step."""
    async with client.pipeline(transaction=True) as pipe:
        pipe.hmget(key("show", show=show), ["status", "limit_per_viewer"])
        for name in HASHES:
            pipe.hgetall(key(name, show=show))
        pipe.zrange(key("waitlist", show=show), 0, -1, withscores=True)
        pipe.zrange(key("expiry", show=show), 0, -1, withscores=True)
        pipe.xrange(key("awards", show=show))
        (status, limit), *hashes, ranked, expiry, awarded = await pipe.execute()
    drops, numbers, stock, holds, mine, waiting, restocks, counted = hashes
    return Picture(
        status=status.decode(),
        limit=int(limit) if limit else float("inf"),
        terms={name.decode(): unpacked(raw) for name, raw in drops.items()},
        numbers={int(number): drop.decode() for number, drop in numbers.items()},
        stock={name.decode(): Stock(*unpacked(raw)) for name, raw in stock.items()},
        holds={own.decode(): Hold(*unpacked(raw)) for own, raw in holds.items()},
        mine={viewer.decode(): unpacked(raw) for viewer, raw in mine.items()},
        waiting={name.decode(): unpacked(raw) for name, raw in waiting.items()},
        ranked={name.decode(): score for name, score in ranked},
        restocks={name.decode(): int(units) for name, units in restocks.items()},
        addresses={name.decode(): int(units) for name, units in counted.items()},
        expiry=[(name.decode(), score) for name, score in expiry],
        awards=[(fields[b"n"], Note(*unpacked(fields[b"n"]))) for _, fields in awarded],
    )


def complaints(picture: Picture, offered: Mapping[str, int]) -> list[str]:
    """Return a sentence for each broken law; `offered` says how many units each drop was planned with."""
    laws = (sums(picture), quantities(picture, offered), limits(picture), lists(picture), queues(picture))
    more = (addresses(picture), deadlines(picture), awards(picture), closings(picture), chains(picture))
    return [each for law in (*laws, *more, returns(picture)) for each in law]


def sums(picture: Picture) -> Iterator[str]:
    """Hold that the four numbers add up, none is below zero, and held and sold are what the holds say."""
    for drop, stock in picture.stock.items():
        if stock.available + stock.held + stock.sold != stock.quantity:
            yield f"{drop}: {stock.available} + {stock.held} + {stock.sold} is not {stock.quantity}"
        if min(stock.available, stock.held, stock.sold) < 0:
            yield f"{drop}: a number is below zero: {stock}"
        for name, states in ("held", LIVING), ("sold", frozenset({SOLD})):
            counted = picture.units(drop, states)
            if counted != getattr(stock, name):
                yield f"{drop}: {name} is {getattr(stock, name)}, its holds have {counted}"


def returns(picture: Picture) -> Iterator[str]:
    """Hold that units came back of what is sold alone, and never all of them: then it is released."""
    for own, hold in picture.holds.items():
        if hold.returned and not (hold.state == SOLD and 0 < hold.returned < hold.quantity):
            yield f"reservation {own} of {hold.quantity} in state {hold.state} has {hold.returned} returned"


def unreturned(picture: Picture, told: Mapping[str, int]) -> Iterator[str]:
    """Hold that of every reservation came back what the ledger says: `told`, units by the own part of its id."""
    back = {own: hold.came_back for own, hold in picture.holds.items() if hold.came_back}
    for own in sorted(back.keys() | told.keys()):
        if back.get(own, 0) != told.get(own, 0):
            yield f"reservation {own}: {told.get(own, 0)} came back by the ledger, {back.get(own, 0)} are"


def quantities(picture: Picture, offered: Mapping[str, int]) -> Iterator[str]:
    """Hold that what is offered is what was planned, restocked and released in waves, each once."""
    added: Counter[str] = Counter()
    for name, units in picture.restocks.items():
        added[name.partition(" ")[0]] += units
    for drop, planned in offered.items():
        waves = picture.terms[drop].get("waves") or ()
        released = sum(wave["quantity"] for wave in waves if wave.get("released_at"))
        total = planned + added[drop] + released
        if picture.stock[drop].quantity != total:
            yield f"{drop}: offered are {picture.stock[drop].quantity}, planned and added were {total}"


def limits(picture: Picture) -> Iterator[str]:
    """Hold that nobody has more of a drop, or of the show, than they may."""
    per_drop: Counter[tuple[int, str]] = Counter()
    per_show: Counter[str] = Counter()
    for hold in picture.holds.values():
        if hold.state in COUNTED:
            per_drop[hold.number, hold.viewer] += hold.units
            per_show[hold.viewer] += hold.units
    for (number, viewer), units in per_drop.items():
        limit = picture.terms[picture.numbers[number]]["limit_per_viewer"]
        if units > limit:
            yield f"{viewer} has {units} of {picture.numbers[number]}, the limit is {limit}"
    for viewer, units in per_show.items():
        if units > picture.limit:
            yield f"{viewer} has {units} in the show, the limit is {picture.limit}"


def addresses(picture: Picture) -> Iterator[str]:
    """Hold that an address is counted with the units that its viewers have."""
    counted: Counter[str] = Counter()
    for hold in picture.holds.values():
        if hold.state in COUNTED and hold.address:
            counted[f"{hold.number} {hold.address}"] += hold.units
    for name in sorted(counted.keys() | picture.addresses.keys()):
        if counted[name] != picture.addresses.get(name, 0):
            yield f"address {name} is counted with {picture.addresses.get(name, 0)}, has {counted[name]}"


def lists(picture: Picture) -> Iterator[str]:
    """Hold that a viewer is listed with what counts: their holds, and their places; what was let go has no units."""
    listed: dict[str, set[tuple[int, int, str]]] = defaultdict(set)
    counted: dict[str, set[tuple[int, int, str]]] = defaultdict(set)
    for viewer, flat in picture.mine.items():
        rows = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
        listed[viewer] = set(rows)
        if len(listed[viewer]) != len(rows):
            yield f"{viewer} is listed with something twice"
    for own, hold in picture.holds.items():
        if hold.state in COUNTED:
            counted[hold.viewer].add((hold.number, hold.units, own))
        elif (hold.number, 0, own) in listed[hold.viewer]:
            counted[hold.viewer].add((hold.number, 0, own))
    for name, place in picture.waiting.items():
        number, _, viewer = name.partition(" ")
        counted[viewer].add((-int(number), place[1], place[0]))
    for viewer in listed.keys() | counted.keys():
        for row in sorted(listed[viewer] ^ counted[viewer]):
            yield f"{viewer}: {row} is {'only listed' if row in listed[viewer] else 'not listed'}"


def queues(picture: Picture) -> Iterator[str]:
    """Hold that queues are as long as they say, and nobody waits beside units that they could have."""
    for name in sorted(picture.waiting.keys() ^ picture.ranked.keys()):
        yield f"place {name} is in one of the two records of queues"
    length: Counter[int] = Counter()
    for name, score in picture.ranked.items():
        number = int(name.partition(" ")[0])
        length[number] += 1
        if int(score) // QUEUE != number:
            yield f"place {name} stands in another queue"
    for drop, stock in picture.stock.items():
        terms = picture.terms[drop]
        if stock.waiting != length[terms["number"]]:
            yield f"{drop}: {stock.waiting} are said to wait, {length[terms['number']]} do"
        served = terms["status"] == "open" and picture.status == "live" and terms["mode"] == "fifo"
        if served and stock.waiting and stock.available and not stock.backlog:
            yield f"{drop}: {stock.waiting} wait beside {stock.available} available"


def deadlines(picture: Picture) -> Iterator[str]:
    """Hold that every unit that is kept will be looked at when its time is over."""
    looked_at = {(own, int(at)) for owns, at in picture.expiry for own in owns.split(" ")}
    for own, hold in picture.holds.items():
        if hold.state in LIVING and (own, hold.ends_at) not in looked_at:
            yield f"reservation {own} would never lapse"


def awards(picture: Picture) -> Iterator[str]:
    """Hold that every reservation was awarded, once, with its units and in its rank."""
    awarded: dict[str, tuple[int, int, int]] = {}
    count: Counter[int] = Counter()
    for number, own, units, rank in picture.awarded():
        count[number] += 1
        if own in awarded:
            yield f"reservation {own} was awarded twice"
        if rank != count[number]:
            yield f"{picture.numbers[number]}: award {count[number]} is noted as {rank}"
        awarded[own] = (number, units, rank)
    for own, hold in picture.holds.items():
        noted = awarded.pop(own, None)
        if noted != (hold.number, hold.quantity, hold.rank):
            yield f"reservation {own} of {hold.quantity} in rank {hold.rank} was awarded as {noted}"
    for own in awarded:
        yield f"reservation {own} was awarded and is not there"
    for drop, stock in picture.stock.items():
        if stock.awards != count[picture.terms[drop]["number"]]:
            yield f"{drop}: {stock.awards} awards are said, {count[picture.terms[drop]['number']]} are noted"


def closings(picture: Picture) -> Iterator[str]:
    """Hold that nothing was awarded of a drop after its close, except what was drawn then."""
    for _, note in picture.awards:
        terms = picture.terms[picture.numbers[note.number]]
        late = note.kind == "awarded" and note.at > terms.get("closed_at", note.at)
        if late and terms["mode"] != "draw":
            yield f"{picture.numbers[note.number]}: {note.reservations} were awarded after its close"


def chains(picture: Picture) -> Iterator[str]:
    """Hold that no note of the award log was changed, left out or moved."""
    heads = {number: _digest(drop.encode()) for number, drop in picture.numbers.items()}
    for packed, note in picture.awards:
        heads[note.number] = _digest(heads[note.number].encode() + packed)
    for drop, stock in picture.stock.items():
        head = heads[picture.terms[drop]["number"]]
        if stock.chain != head:
            yield f"{drop}: the chain ends in {stock.chain}, the log in {head}"


def _digest(told: bytes) -> str:
    return hashlib.sha1(told).hexdigest()  # noqa: S324  what the scripts of Redis have
