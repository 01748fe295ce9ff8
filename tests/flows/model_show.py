"""The model's show: drops, reservations and queues in plain Python, and how units get from one to the other.

Everything is named by the test (`ann`, `op3`, `pay1`), drops by their number. A change of the show is a step: what is
done in it one after the other, and then those who wait get what came back, drop by drop as the step touched them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

ALIVE = frozenset({"held", "paying"})
COUNTED = frozenset({"held", "paying", "sold"})
WITHOUT_END = 10**9  # a limit that is none
MOST_ENTRIES = 8  # of one viewer into one draw
MOST_FINISHED = 8  # reservations that were let go and are still in what a viewer has


@dataclass(slots=True, eq=False)
class Place:
    """A place in a queue, or an entry into a draw; `name` is what its reservation will be called."""

    viewer: str
    name: str
    quantity: int
    nth: int  # among all who ever joined
    address: str = ""
    times: int = 0  # how often it was served in part
    fresh: bool = True  # made in this very step

    def next_name(self, holds: dict[str, Hold]) -> str:
        """Return what its reservation is called: as the place, with a number where that is taken or was served."""
        while True:
            number = f"{'' if '/' in self.name else '/'}{self.times:x}" if self.times else ""
            if self.name + number not in holds:
                return self.name + number
            self.times += 1


@dataclass(slots=True)
class Wave:
    """Units that come later: `operation` is by whose order they came."""

    quantity: int
    released: bool = False
    operation: str = ""


@dataclass(slots=True)
class Drop:
    """One drop's numbers and state, and who waits for it, first come first."""

    available: int
    limit: int = WITHOUT_END
    mode: str = "fifo"
    waitlist: bool = True
    address_limit: int = WITHOUT_END
    waves: list[Wave] = field(default_factory=list)
    held: int = 0
    sold: int = 0
    status: str = "open"
    awards: int = 0
    joined: int = 0
    kept: bool = False  # what is there is for those who wait
    queue: list[Place] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)  # by viewer

    @property
    def quantity(self) -> int:
        """All units that were ever offered."""
        return self.available + self.held + self.sold

    def place_of(self, viewer: str) -> Place | None:
        """Return a viewer's place."""
        return next((place for place in self.queue if place.viewer == viewer), None)

    def where(self, viewer: str) -> tuple[int, int, int]:
        """Return a viewer's position (in a draw: which entry), the queue's length, and the units they wait for."""
        place = self.place_of(viewer)
        if place is None:
            return 0, len(self.queue), 0
        position = place.nth if self.mode == "draw" else self.queue.index(place) + 1
        over = self.status == "closed" and self.mode != "draw"
        return 0 if over else position, len(self.queue), place.quantity


@dataclass(slots=True)
class Hold:
    """One reservation. `overdue`: its deadline is over, whether or not a sweep has come by; which one in order."""

    viewer: str
    drop: int
    quantity: int
    rank: int
    address: str = ""
    state: str = "held"
    order: str = ""
    overdue: int = 0


@dataclass(slots=True)
class Show:
    """A show, and the step that is under way in it."""

    limit: int = WITHOUT_END  # units per viewer
    most_waiting: int = WITHOUT_END
    skip_absent: bool = False
    live: bool = True
    drops: list[Drop] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    mine: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)  # as the store lists them
    here: set[str] = field(default_factory=set)
    unmet: int = 0
    events: list[str] = field(default_factory=list)  # of the log, since somebody looked
    touched: list[int] = field(default_factory=list)  # drops of this step, in their order
    changed: set[int] = field(default_factory=set)

    # -- a step

    def touch(self, number: int, *, change: bool = False) -> Drop:
        """Return a drop that the step has to do with."""
        if number not in self.touched:
            self.touched.append(number)
        if change:
            self.changed.add(number)
        return self.drops[number]

    def settle(self, *, serving: bool = True) -> None:
        """End the step: what came back goes to who waits."""
        for number in self.touched:
            if number in self.changed and serving:
                self.promote(number)
        for number in self.touched:
            for place in self.drops[number].queue:
                place.fresh = False
        self.touched.clear()
        self.changed.clear()

    def free(self, number: int) -> int:
        """Return how many units a newcomer may have: none while some are kept for who waits."""
        drop = self.drops[number]
        return 0 if drop.kept else drop.available

    # -- who has what

    def taken(self, viewer: str, number: int) -> int:
        """Return a viewer's units of a drop that count for the limit."""
        return sum(hold.quantity for hold in self.counted(viewer) if hold.drop == number)

    def counted(self, viewer: str) -> list[Hold]:
        """Return a viewer's reservations that count."""
        return [hold for hold in self.holds.values() if hold.viewer == viewer and hold.state in COUNTED]

    def room(self, viewer: str, number: int, address: str) -> int:
        """Return how many more units of a drop a viewer may have."""
        limit = self.drops[number].limit - self.taken(viewer, number)
        show = self.limit - sum(hold.quantity for hold in self.counted(viewer))
        return min(limit, show, self.address_room(number, address))

    def address_room(self, number: int, address: str) -> int:
        """Return how many more units of a drop may go to an address."""
        if not address:
            return WITHOUT_END
        holds = (hold for hold in self.holds.values() if (hold.drop, hold.address) == (number, address))
        counted = sum(hold.quantity for hold in holds if hold.state in COUNTED)
        return self.drops[number].address_limit - counted

    def keep(self, viewer: str, number: int, quantity: int, name: str) -> None:
        """Add to what a viewer has; a place in a queue has its number below zero."""
        self.mine.setdefault(viewer, []).append((number, quantity, name))

    def forget(self, viewer: str, number: int, name: str) -> None:
        """Take a place in a drop's queue off what a viewer has."""
        row = next(row for row in self.mine[viewer] if (row[0], row[2]) == (-number - 1, name))
        self.mine[viewer].remove(row)
        if not self.mine[viewer]:
            del self.mine[viewer]

    def finish(self, viewer: str, name: str) -> None:
        """Let a reservation count for nothing; the newest of those are still shown."""
        rows = self.mine[viewer]
        at = next(at for at, row in enumerate(rows) if row[0] > 0 and row[2] == name)
        rows[at] = (rows[at][0], 0, name)
        finished = [row for row in rows if row[0] > 0 and row[1] == 0]
        if len(finished) > MOST_FINISHED:
            rows.remove(finished[0])

    # -- units on their way

    def award(self, number: int, name: str, viewer: str, quantity: int, address: str) -> Hold:
        """Give units to a viewer."""
        drop = self.touch(number, change=True)
        assert name not in self.holds
        drop.available -= quantity
        drop.held += quantity
        drop.awards += 1
        counted = address if drop.address_limit < WITHOUT_END else ""
        hold = self.holds[name] = Hold(viewer, number, quantity, drop.awards, counted)
        self.keep(viewer, number + 1, quantity, name)
        return hold

    def let_go(self, name: str, state: str) -> None:
        """Take a reservation's units back."""
        hold = self.holds[name]
        drop = self.touch(hold.drop, change=True)
        drop.available += hold.quantity
        drop.held -= hold.quantity
        self.finish(hold.viewer, name)
        hold.state, hold.order = state, ""

    # -- queues

    def join(self, number: int, viewer: str, name: str, quantity: int, address: str) -> None:
        """Put a viewer into a queue, or change how many units they wait for."""
        drop = self.touch(number)
        place = drop.place_of(viewer)
        if place and (place.name == name or place.quantity == quantity or drop.mode == "draw"):
            return
        self.touch(number, change=True)
        if place:
            self.forget(viewer, number, place.name)
            place.quantity = quantity
        else:
            drop.joined += 1
            place = Place(viewer, name, quantity, drop.joined, address)
            drop.queue.append(place)
        self.keep(viewer, -number - 1, quantity, place.name)

    def leave(self, number: int, viewer: str) -> bool:
        """Take a viewer out of a queue, if they stand in it."""
        drop = self.touch(number)
        place = drop.place_of(viewer)
        if place is None:
            return False
        self.touch(number, change=True)
        drop.queue.remove(place)
        drop.left[viewer] += 1
        self.forget(viewer, number, place.name)
        return True

    def promote(self, number: int) -> None:
        """Give what is available to who waits, first come first served; keep it for them where that cannot be now."""
        drop = self.drops[number]
        if drop.mode == "draw":
            return
        if drop.status == "open" and self.live:
            here = (place for place in list(drop.queue) if self.is_here(place))
            self.serve(number, list(here), drop.available)
            self.touch(number, change=drop.kept)
            drop.kept = False
        else:
            kept = drop.status != "closed" and drop.available > 0 and bool(drop.queue)
            self.touch(number, change=kept != drop.kept)
            drop.kept = kept

    def is_here(self, place: Place) -> bool:
        """Whether a place is not passed over."""
        return not self.skip_absent or place.fresh or place.viewer in self.here

    def serve(self, number: int, places: list[Place], left: int) -> None:
        """Give units to places in their order; who may have no more than they get leaves the queue."""
        drop = self.drops[number]
        for place in places:
            if left <= 0:
                return
            room = min(place.quantity, self.room(place.viewer, number, place.address))
            given = min(room, left)
            if given > 0:
                self.award(number, place.next_name(self.holds), place.viewer, given, place.address)
                left -= given
            self.touch(number, change=True)
            self.forget(place.viewer, number, place.name)
            if given == room:
                drop.queue.remove(place)
            else:
                place.quantity -= given
                place.times += 1
                self.keep(place.viewer, -number - 1, place.quantity, place.name)
