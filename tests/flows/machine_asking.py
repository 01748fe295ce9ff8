"""A viewer's operation in the model's words and in the store's, and what is said to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hypothesis.stateful import MultipleResults, multiple

from server.errors import Code, Problem
from server.inventory import asks
from server.inventory.outcomes import Bundle, Held, Refusal, Waiting
from tests.flows.machine_drops import Moves
from tests.flows.machine_gate import Sights
from tests.flows.model_steps import Said, Wish
from tests.flows.promises import same

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from server.inventory.asks import Ask
    from server.inventory.outcomes import Outcome

ADDRESSES = {"ann": "192.0.2.1", "bob": "192.0.2.1"}  # two share one, the others' are not known


class Asking(Moves):
    """Operations: made up, sent, and compared."""

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

    def pick(self, which: int, states: Iterable[str]) -> str:
        """Return a reservation, of those in one of the states where there are any."""
        holds = self.model.holds
        fitting = [name for name, hold in holds.items() if hold.state in states] or list(holds)
        return fitting[which % len(fitting)]

    def attempt(self, house: int, *wishes: Wish) -> None:
        """Ask in one turn of the loop, and compare what is said with the model."""
        sights = Sights(self, house)
        outcomes = self.world.run(at_once(*(self.send(house, wish) for wish in wishes)))
        pairs = list(zip(wishes, outcomes, strict=True))
        carried_out = [(wish, outcome) for wish, outcome in pairs if not sights.refused(wish, outcome)]
        expected = self.model.step(*(wish for wish, _outcome in carried_out))
        same("answers", [self.said(outcome) for _wish, outcome in carried_out], expected)
        sights.look()

    async def send(self, house: int, wish: Wish) -> Outcome:
        """Ask one of the houses."""
        return await self.house(house).batches.ask(self.asked(wish))

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


async def at_once(*work: Awaitable[Any]) -> list[Any]:
    """Run several calls side by side."""
    return list(await asyncio.gather(*work))
