"""What viewers ask: alone, twice, at once from several houses, and several in one step."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle as Known
from hypothesis.stateful import MultipleResults, multiple, precondition, rule

from server.errors import Code, Problem
from server.inventory import asks
from server.inventory.outcomes import Bundle, Held, Refusal, Waiting
from tests.deadlines import move_deadline
from tests.flows.machine_drops import HOUSES, NUMBERS, RARELY, UNITS, Moves
from tests.flows.machine_gate import Sights
from tests.flows.model_show import ALIVE
from tests.flows.model_steps import Said, Wish
from tests.flows.promises import VIEWERS, same

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from server.inventory.asks import Ask
    from server.inventory.outcomes import Outcome

ADDRESSES = {"ann": "192.0.2.1", "bob": "192.0.2.1"}  # two share one, the others' are not known
WHO = st.sampled_from(VIEWERS)
DROPS_OF_A_BUNDLE = st.lists(NUMBERS, min_size=1, max_size=3)
VERBS = st.sampled_from(["reserve", "reserve", "part", "part", "bundle", "claim", "join", "leave", "release"])
CROWDS = st.sampled_from(["reserve", "part", "join"])
WISHES = st.lists(st.tuples(VERBS, WHO, NUMBERS, UNITS), min_size=2, max_size=7)


class Buyers(Moves):
    """Operations, each one made on the model and in the store."""

    known: Known[Wish] = Known("known")  # operations that had an effect

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

    @rule(target=known, house=HOUSES, verb=CROWDS, which=NUMBERS, size=st.integers(2, 8), units=UNITS)
    def crowd(self, house: int, verb: str, which: int, size: int, units: int) -> MultipleResults[Wish]:
        """Let people come who all want what the drop has to give; every third of them has been here before."""
        number = self.go_on(self.number(which))
        fitting = {"draw": "join", "first_paid": "claim"}.get(self.model.drops[number].mode, verb)
        who = [VIEWERS[(which + seat) % 3] if seat % 3 == 2 else self.name("viewer") for seat in range(size)]
        asked = [self.wish(fitting, viewer, number, 1 + seat % units) for seat, viewer in enumerate(who)]
        self.attempt(house, *asked)
        return self.applied(*asked)

    def wish(self, verb: str, viewer: str, which: int, units: int) -> Wish:
        """Return an operation with a new id, of a kind that fits the drop."""
        number, address = self.number(which), ADDRESSES.get(viewer, "")
        if verb == "release":
            held = list(self.model.holds)
            return Wish("release", held[which % len(held)] if held else "op0", viewer)
        if verb == "leave":
            return Wish("leave", "", viewer, ((number, 0),))
        if verb == "bundle" or (verb == "claim" and self.model.drops[number].mode != "first_paid"):
            others = range(number, number + units)  # up to three drops, one after the other
            items = {self.number(other): 1 + other % 2 for other in others}
            return self.asked_by(
                Wish("reserve", self.name("op"), viewer, tuple(items.items()), address, bundle=True)
            )
        if verb == "claim":
            return self.asked_by(
                Wish("claim", self.name("op"), viewer, ((number, units),), address, bundle=True)
            )
        kind = "join" if verb == "join" else "op"
        return self.asked_by(Wish(verb, self.name(kind), viewer, ((number, units),), address))

    def asked_by(self, wish: Wish) -> Wish:
        """Remember who asked."""
        self.askers[wish.name] = wish.viewer
        return wish

    def applied(self, *wishes: Wish) -> MultipleResults[Wish]:
        """Return the operations that had an effect, to be repeated; the rest can be tried again."""
        named = [wish for wish in wishes if wish.verb not in {"release", "leave"}]
        queued = {place.name for drop in self.model.drops for place in drop.queue}
        effect = self.model.holds.keys() | queued
        done = [wish for wish in named if effect & {*wish.names, *(f"{name}/w" for name in wish.names)}]
        self.refused += [wish for wish in named if wish not in done]
        return multiple(*done)

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

    @precondition(lambda self: self.model.holds)
    @rule(target=known, house=HOUSES, which=NUMBERS, newcomers=UNITS, spends=st.booleans())
    def snatch(self, house: int, which: int, newcomers: int, *, spends: bool) -> MultipleResults[Wish]:
        """Give units back that somebody waits for, and let newcomers ask for them in the very same step.

        `spends`: whoever waits has taken all that they may have elsewhere in the meantime.
        """
        name = self.pick(which, {"held"})
        hold = self.model.holds[name]
        patient = self.queue_up(house, hold.drop, newcomers)
        if spends:
            self.spend(house, patient)
        asked = [self.wish("reserve", self.name("viewer"), hold.drop, 1) for _ in range(newcomers)]
        self.attempt(house, Wish("release", name, hold.viewer), *asked)
        return self.applied(*asked)

    @precondition(lambda self: self.model.holds)
    @rule(target=known, house=HOUSES, which=NUMBERS, newcomers=UNITS)
    def slip_in(self, house: int, which: int, newcomers: int) -> MultipleResults[Wish]:
        """Give units back while the show pauses, and let newcomers be quicker than the worker when it goes on."""
        name = self.pick(which, {"held"})
        hold = self.model.holds[name]
        self.queue_up(house, hold.drop, newcomers)
        if self.model.live:
            self.move_show()
        self.attempt(house, Wish("release", name, hold.viewer))
        self.move_show()
        asked = [self.wish("reserve", self.name("viewer"), hold.drop, 1) for _ in range(newcomers)]
        self.attempt(house, *asked)
        return self.applied(*asked)

    def queue_up(self, house: int, which: int, units: int) -> str:
        """Let people whom nobody has seen before take what is left of a drop, and return one who waits for more."""
        number = self.go_on(which)
        drop = self.model.drops[number]
        most = min(drop.limit, self.model.limit)
        while drop.mode == "fifo" and drop.status == "open" and self.model.free(number) > 0:
            wanted = min(most, self.model.free(number))
            self.attempt(house, self.wish("reserve", self.name("viewer"), number, wanted))
        patient = self.name("viewer")
        self.attempt(house, self.wish("join", patient, number, min(most, units)))
        return patient

    def spend(self, house: int, viewer: str) -> None:
        """Let a viewer take all that there is for them."""
        for number in range(len(self.drop_ids)):
            units = min(self.model.free(number), self.model.room(viewer, number, ""))
            if units > 0:
                self.attempt(house, self.wish("reserve", viewer, number, units))

    def pick(self, which: int, states: Iterable[str]) -> str:
        """Return a reservation, of those in one of the states where there are any."""
        holds = self.model.holds
        fitting = [name for name, hold in holds.items() if hold.state in states] or list(holds)
        return fitting[which % len(fitting)]

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

    # -- the model's words and the store's

    def attempt(self, house: int, *wishes: Wish) -> None:
        """Ask in one turn of the loop, and compare what is said with the model."""
        sights = Sights(self, house)
        outcomes = self.world.run(at_once(*(self.send(house, wish) for wish in wishes)))
        pairs = list(zip(wishes, outcomes, strict=True))
        carried_out = [(wish, outcome) for wish, outcome in pairs if not sights.refused(wish, outcome)]
        expected = self.model.step(*(wish for wish, _outcome in carried_out))
        same("answers", [self.said(outcome) for _wish, outcome in carried_out], expected)
        sights.look()

    def send(self, house: int, wish: Wish) -> Awaitable[Outcome]:
        """Ask one of the houses."""
        return self.house(house).batches.ask(self.asked(wish))

    def asked(self, wish: Wish) -> Ask:
        """Return an operation as the line takes it."""
        show, viewer = self.show, wish.viewer
        if wish.verb == "release":
            return asks.release(show, viewer, self.hold_id(wish.name) if wish.name != "op0" else "rs_0_0")
        items = [(self.drop_ids[number], units) for number, units in wish.items]
        if wish.bundle:
            claim = wish.verb == "claim"
            return asks.bundle(show, viewer, wish.name, items, claim=claim, address=wish.address)
        ((drop, units),) = items
        if wish.verb == "join":
            return asks.join(show, viewer, wish.name, drop, units, address=wish.address)
        if wish.verb == "leave":
            return asks.leave(show, viewer, drop)
        part = wish.verb == "part"
        return asks.reserve(show, viewer, wish.name, drop, units, part=part, address=wish.address)

    def said(self, outcome: Outcome) -> Said:
        """Return an outcome in the model's words."""
        names = {self.hold_id(name): name for name in self.model.holds}
        match outcome:
            case Held():
                view = outcome.reservation
                word = "replayed" if outcome.replayed else "held" if outcome.rank else "released"
                reservation = (names.get(view["id"], view["id"]), view["state"], view["quantity"])
                place = outcome.waiting
                where = (place.position, place.length, place.quantity) if place else None
                return (word, (reservation,), outcome.rank, where)
            case Bundle():
                views = outcome.reservations
                found = [
                    (names.get(each["id"], each["id"]), each["state"], each["quantity"]) for each in views
                ]
                return ("replayed" if outcome.replayed else "held", tuple(found), 0, None)
            case Waiting():
                return ("waiting", outcome.position, outcome.length, outcome.quantity)
            case Refusal(code=Code.OUT_OF_STOCK):
                return (outcome.code.value, outcome.extras["available"], outcome.extras["held"])
            case Problem():
                return (outcome.code.value,)


def min_rank(outcomes: list[Outcome]) -> float:
    """Return the first award of a step, or no end: a step without one changed nothing."""
    return min((outcome.rank for outcome in outcomes if isinstance(outcome, Held)), default=math.inf)


async def at_once(*work: Awaitable[Any]) -> list[Any]:
    """Run several calls side by side."""
    return list(await asyncio.gather(*work))
