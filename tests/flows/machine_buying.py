"""What viewers ask: alone, twice, at once from several houses, and several in one step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, precondition, rule

from server.inventory.outcomes import Held
from tests.deadlines import move_deadline
from tests.flows.machine_asking import Asking, at_once
from tests.flows.machine_drops import HOUSES, NUMBERS, RARELY, UNITS
from tests.flows.model_show import ALIVE
from tests.flows.model_steps import Wish
from tests.flows.promises import VIEWERS, same

if TYPE_CHECKING:
    from server.inventory.outcomes import Outcome

WHO = st.sampled_from(VIEWERS)
VERBS = st.sampled_from(["reserve", "reserve", "part", "part", "bundle", "claim", "join", "leave", "release"])
WISHES = st.lists(st.tuples(VERBS, WHO, NUMBERS, UNITS), min_size=2, max_size=7)


class Buyers(Asking):
    """Operations, each one made on the model and in the store."""

    known: Bundle[Wish] = Bundle("known")  # operations that had an effect

    # -- one after the other

    @rule(
        target=known, house=HOUSES, verb=VERBS, viewer=WHO, which=NUMBERS, units=UNITS, insist=st.booleans()
    )
    def ask(  # noqa: PLR0913  an operation is its fields
        self, house: int, verb: str, viewer: str, which: int, units: int, *, insist: bool
    ) -> MultipleResults[Wish]:
        """Ask for something; `insist`: not before the host lets it go on."""
        if insist:
            self.go_on(self.number(which))
        wish = self.wish(verb, viewer, which, units)
        self.attempt(house, wish)
        return self.applied(wish)

    @rule(target=known, house=HOUSES, wishes=WISHES, insist=st.booleans())
    def ask_at_once(
        self, house: int, wishes: list[tuple[str, str, int, int]], *, insist: bool
    ) -> MultipleResults[Wish]:
        """Ask for several things in one turn: one step carries them out, in the order of their arrival."""
        if insist:
            self.go_on(self.number(wishes[0][2]))
        asked = [self.wish(*wish) for wish in wishes]
        self.attempt(house, *asked)
        return self.applied(*asked)

    @precondition(lambda self: self.refused)
    @rule(target=known, house=HOUSES)
    def try_again(self, house: int) -> MultipleResults[Wish]:
        """Send an operation again that was refused: it may succeed now."""
        wish = self.refused.pop(0)
        self.attempt(house, wish)
        return self.applied(wish)

    @rule(house=HOUSES, wishes=st.lists(known, min_size=1, max_size=3))
    def repeat(self, house: int, wishes: list[Wish]) -> None:
        """Send operations again that were applied."""
        self.attempt(house, *wishes)

    @rule(house=HOUSES, wish=known, which=NUMBERS, units=UNITS)
    def misuse(self, house: int, wish: Wish, which: int, units: int) -> None:
        """Send an operation's id again with something else in it: fewer items, another quantity, or another drop."""
        drops = [number for number, _units in wish.items]
        other = drops[which % len(drops)] if which % 2 else self.number(which)
        items: tuple[tuple[int, int], ...] = ((other, units),)
        if wish.bundle and units > 1:
            items = (*items, *(item for item in wish.items if item[0] != other))[:3]
        self.attempt(house, wish.again(items=items))

    @rule(house=HOUSES, which=NUMBERS, stranger=RARELY)
    @precondition(lambda self: self.model.holds)
    def release(self, house: int, which: int, *, stranger: bool) -> None:
        """Give units back, or try to do so with somebody else's."""
        name = self.pick(which, {"held"})
        viewer = "mallory" if stranger else self.model.holds[name].viewer
        self.attempt(house, Wish("release", name, viewer))

    # -- against each other

    @precondition(lambda self: not self.world.rules.gate)
    @rule(
        target=known,
        verb=st.sampled_from(["reserve", "part", "bundle", "join"]),
        viewer=WHO,
        which=NUMBERS,
        units=UNITS,
    )
    def twice_at_once(self, verb: str, viewer: str, which: int, units: int) -> MultipleResults[Wish]:
        """Send one operation to two houses at once: it is applied once."""
        wish = self.wish(verb, viewer, which, units)
        expected = [self.model.step(wish)[0], self.model.step(wish)[0]]
        outcomes = self.world.run(at_once(*(self.send(house, wish) for house in (0, 1))))
        same("answers", sorted(map(self.said, outcomes), key=str), sorted(expected, key=str))
        return self.applied(wish)

    @precondition(lambda self: not self.world.rules.gate)
    @rule(target=known, which=NUMBERS, each=st.integers(1, 3))
    def rush(self, which: int, each: int) -> MultipleResults[Wish]:
        """Let as many want one unit at each house at once: how many get it is sure, who they are is open."""
        number, size = self.go_on(self.number(which)), len(self.world.houses)
        rush = [
            Wish("reserve", self.name("op"), self.name("viewer"), ((number, 1),)) for _ in range(each * size)
        ]
        for wish in rush:
            self.asked_by(wish)
        outcomes = self.world.run(at_once(*(self.send(house, wish) for house, wish in enumerate(rush))))
        steps = [(rush[house::size], outcomes[house::size]) for house in range(size)]
        for wishes, heard in sorted(steps, key=lambda step: min_rank(step[1])):
            expected = self.model.step(*wishes)
            same("answers", [self.said(outcome) for outcome in heard], expected)
        return self.applied(*rush)

    # -- time

    @rule(over=st.lists(NUMBERS, max_size=3, unique=True), sweepers=st.integers(0, 3))
    def sweep(self, over: list[int], sweepers: int) -> None:
        """Let some deadlines pass and any number of sweepers go at once: each lapsed unit is let go once."""
        if self.model.holds:
            self.overdue([self.pick(which, ALIVE) for which in over])
        if sweepers:
            self.let_go(sweepers)

    def overdue(self, names: list[str]) -> None:
        """Put the deadlines of those that are alive into the past, one after the other."""
        for name in names:
            hold = self.model.holds[name]
            if hold.state in ALIVE:
                self.count += 1
                hold.overdue = self.count
                self.world.run(move_deadline(self.house(0).client, self.show, self.hold_id(name), self.count))

    def let_go(self, sweepers: int) -> None:
        """Sweep and compare how many went."""
        expected = self.model.sweep()
        swept = self.world.run(at_once(*(self.house(n).holds.sweep(self.show) for n in range(sweepers))))
        same("lapsed", sum(each.lapsed for each in swept), expected)


def min_rank(outcomes: list[Outcome]) -> float:
    """Return the first award of a step, or no end: a step without one changed nothing."""
    return min((outcome.rank for outcome in outcomes if isinstance(outcome, Held)), default=math.inf)
