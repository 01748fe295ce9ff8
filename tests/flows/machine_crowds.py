"""Stories of many: crowds that all want the same, and what happens to those who wait while others are quick."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, precondition, rule

from tests.flows.machine_buying import Buyers
from tests.flows.machine_drops import HOUSES, NUMBERS, UNITS
from tests.flows.model_steps import Wish
from tests.flows.promises import VIEWERS

CROWDS = st.sampled_from(["reserve", "part", "join"])


class Crowds(Buyers):
    """Several operations that belong together, each made on the model and in the store."""

    @rule(target=Buyers.known, house=HOUSES, verb=CROWDS, which=NUMBERS, size=st.integers(2, 8), units=UNITS)
    def crowd(self, house: int, verb: str, which: int, size: int, units: int) -> MultipleResults[Wish]:
        """Let people come who all want what the drop has to give; every third of them has been here before."""
        number = self.go_on(self.number(which))
        fitting = {"draw": "join", "first_paid": "claim"}.get(self.model.drops[number].mode, verb)
        who = [VIEWERS[(which + seat) % 3] if seat % 3 == 2 else self.name("viewer") for seat in range(size)]
        asked = [self.wish(fitting, viewer, number, 1 + seat % units) for seat, viewer in enumerate(who)]
        self.attempt(house, *asked)
        return self.applied(*asked)

    @precondition(lambda self: self.model.holds)
    @rule(target=Buyers.known, house=HOUSES, which=NUMBERS, newcomers=UNITS, spends=st.booleans())
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
    @rule(target=Buyers.known, house=HOUSES, which=NUMBERS, newcomers=UNITS)
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

    @rule(house=HOUSES, first=NUMBERS, second=NUMBERS)
    def one_id_twice(self, house: int, first: int, second: int) -> None:
        """Let somebody wait for two drops under one id, until units of both come back."""
        numbers = [self.go_on(self.number(first)), self.go_on(self.number(second))]
        for number in numbers:
            self.queue_up(house, number, 1)
        wish = self.wish("part", self.name("viewer"), numbers[0], 1)
        for number in numbers:
            self.attempt(house, wish.again(items=((number, 1),)))
        for number in numbers:
            held = [(name, hold) for name, hold in self.model.holds.items() if hold.state == "held"]
            for name, hold in [each for each in held if each[1].drop == number][:2]:
                self.attempt(house, Wish("release", name, hold.viewer))

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
