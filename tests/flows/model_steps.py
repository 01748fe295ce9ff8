"""The model's operations: what a viewer may ask of a show, several of them in one step, in the order of arrival."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tests.flows.model_show import MOST_ENTRIES, Hold, Show

Said = tuple[Any, ...]
"""What an operation's asker is told: a word, and its numbers.

(`held` | `replayed` | `released`, reservations as (name, state, units), rank, place or None),
(`waiting`, position, length, units), or (an error's code, units available, units held).
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """One operation: `verb` is reserve, part, claim, release, join or leave; `name` is its id, or what is released.

    With several items, or as a claim, it is a bundle.
    """

    verb: str
    name: str
    viewer: str
    items: tuple[tuple[int, int], ...] = ()  # drop, units
    address: str = ""
    bundle: bool = False

    @property
    def names(self) -> list[str]:
        """What its reservations are called; in a bundle, and to be in a queue, by the drop as well."""
        if self.bundle or self.verb == "join":
            return [f"{self.name} {drop}" for drop, _units in self.items]
        return [self.name]

    def again(self, **changes: Any) -> Wish:
        """Return the operation with something else in it."""
        return replace(self, **changes)


class Steps(Show):
    """A show and what viewers ask of it."""

    def step(self, *wishes: Wish) -> list[Said]:
        """Carry operations out in their order; places are told as they are once all is done."""
        said = [self._do(wish) for wish in wishes]
        self.settle()
        return [self._placed(words, wish) for words, wish in zip(said, wishes, strict=True)]

    def _do(self, wish: Wish) -> Said:
        match wish.verb:
            case "release":
                return self._release(wish)
            case "join":
                return self._join(wish)
            case "leave":
                return self._leave(wish)
            case _:
                return self._take(wish)

    def _placed(self, words: Said, wish: Wish) -> Said:
        """Fill in a place's numbers."""
        if words[0] == "waiting":
            number = wish.items[0][0]
            position, length, units = self.drops[number].where(wish.viewer)
            return ("waiting", position, length, units) if words[1:] else ("waiting", 0, length, 0)
        if words[0] == "held" and words[3]:
            return (*words[:3], self.drops[wish.items[0][0]].where(wish.viewer))
        return words

    # -- taking

    def _take(self, wish: Wish) -> Said:
        names = wish.names
        if wish.verb == "part" and names[0] not in self.holds:
            place = self.touch(wish.items[0][0]).place_of(wish.viewer)
            if place and place.name == f"{names[0]}/w":
                return ("waiting", True)
            if f"{names[0]}/w" in self.holds:
                names = [f"{names[0]}/w"]
        known = [self.holds[name] for name in names if name in self.holds]
        if known:
            return self._again(wish, names, known)
        more = 0
        for number, units in wish.items:
            refusal = self._refusal(wish, number, units, more)
            if refusal:
                return refusal
            more += units
        return self._taken(wish, names)

    def _again(self, wish: Wish, names: list[str], known: list[Hold]) -> Said:
        """Return what a repeat finds."""
        found = []
        for name, (number, units) in zip(names, wish.items, strict=True):
            hold = self.holds.get(name)
            self.touch((hold or known[0]).drop)
            if hold is None or hold.drop != number or (hold.quantity != units and wish.verb != "part"):
                return ("idempotency-mismatch",)
            found.append((name, hold.state, hold.quantity))
        rank = 0 if wish.bundle else self.holds[names[0]].rank
        return ("replayed", tuple(found), rank, None)

    def _refusal(  # noqa: PLR0911  one per outcome
        self, wish: Wish, number: int, units: int, more: int
    ) -> Said | None:
        drop = self.touch(number)
        if drop.status == "closed":
            return ("drop-closed",)
        if not self.live:
            return ("show-not-live",)
        if drop.status != "open":
            return ("drop-not-open",)
        if drop.mode != ("first_paid" if wish.verb == "claim" else "fifo"):
            return ("wrong-state",)
        free = self.free(number)
        counted = sum(hold.quantity for hold in self.counted(wish.viewer))
        if (
            self.taken(wish.viewer, number) + units > drop.limit
            or counted + more + units > self.limit
            or units > self.address_room(number, wish.address)
        ):
            return ("limit-reached",)
        queueing = drop.waitlist and len(drop.queue) < self.most_waiting
        if free >= units or (wish.verb == "part" and (free > 0 or queueing)):
            return None
        self.unmet += units
        return ("out-of-stock", free, drop.held)

    def _taken(self, wish: Wish, names: list[str]) -> Said:
        """Take what is there; in part, wait for the rest."""
        found, rank, waiting = [], 0, None
        for name, (number, units) in zip(names, wish.items, strict=True):
            drop, given = self.drops[number], min(units, self.free(number))
            if given > 0:
                rank = self.award(number, name, wish.viewer, given, wish.address).rank
                found.append((name, "held", given))
            if given < units and drop.waitlist and len(drop.queue) < self.most_waiting:
                self.join(number, wish.viewer, f"{name}/w", units - given, wish.address)
                waiting = True
        if not found:
            return ("waiting", True)
        return ("held", tuple(found), 0 if wish.bundle else rank, waiting)

    # -- giving back, and waiting

    def _release(self, wish: Wish) -> Said:
        hold = self.holds.get(wish.name)
        if hold is None:
            return ("not-found",)
        if hold.viewer != wish.viewer:
            return ("not-allowed",)
        if hold.state == "paying":
            return ("in-progress",)
        if hold.state == "sold":
            return ("wrong-state",)
        self.touch(hold.drop)
        if hold.state == "held":
            self.let_go(wish.name, "released")
            self.promote(hold.drop)
        return ("released", ((wish.name, hold.state, hold.quantity),), 0, None)

    def _join(self, wish: Wish) -> Said:
        (number, units), (name,) = wish.items[0], wish.names
        drop = self.touch(number)
        place = drop.place_of(wish.viewer)
        if place and place.name == name:
            return ("waiting", True)
        if name in self.holds:
            return ("waiting",)
        if drop.status == "closed":
            return ("drop-closed",)
        if drop.mode == "first_paid" or (drop.mode == "fifo" and not drop.waitlist):
            return ("wrong-state",)
        if (
            self.taken(wish.viewer, number) + units > drop.limit
            or units > self.address_room(number, wish.address)
            or (not place and len(drop.queue) >= self.most_waiting)
            or (not place and drop.mode == "draw" and drop.left[wish.viewer] >= MOST_ENTRIES)
        ):
            return ("limit-reached",)
        self.join(number, wish.viewer, name, units, wish.address)
        self.promote(number)
        return ("waiting", True)

    def _leave(self, wish: Wish) -> Said:
        number = wish.items[0][0]
        drop = self.touch(number)
        if drop.mode == "draw" and drop.status == "closed":
            return ("drop-closed",)
        if self.leave(number, wish.viewer):
            self.promote(number)
        return ("waiting",)
