"""What must hold after every step of a show: the four promises, looked at from the outside, and a clean end.

Stock adds up and nothing is stranded; every acknowledged order is in the ledger; no order was captured twice; the
log has no gap. And everything that the store says of the show is what the model says.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from hypothesis.stateful import RuleBasedStateMachine, invariant

from server import ids
from server.eventlog import stream
from server.inventory import draw
from server.inventory.books import compared
from server.inventory.holds import STATES
from server.inventory.records import read_records
from server.store.answers import unpacked
from server.store.cluster import Cluster
from server.store.keys import key
from tests.deadlines import end_lease, let_lapse
from tests.flows.model import Model
from tests.keys import LONGEST_MS, leaks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.house import House
    from server.inventory.outcomes import Seen
    from server.inventory.records import Records
    from tests.flows.model_steps import Wish
    from tests.flows.world import World

PRICE = 1250
GONE = -2  # what Redis says of the time that a key has left that is not there
VIEWERS = ("ann", "bob", "cat")


class WatchedShow(RuleBasedStateMachine):
    """One live show per example, on the houses of `world`, beside its model."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        rules = self.world.rules
        self.model = Model(most_waiting=rules.places, skip_absent=rules.skip_absent)
        self.show = ""
        self.drop_ids: list[str] = []
        self.seed_hashes: dict[int, str] = {}  # draw -> what was promised at its opening
        self.askers: dict[str, str] = {}  # operation -> who asked
        self.refused: list[Wish] = []  # and can be tried again
        self.sighted: dict[
            int, float
        ] = {}  # sight of a gate -> since when it can be known, monotonic seconds
        self.kept: list[Seen] = []  # all sights, so that none takes another's place
        self.count = 0
        self.turn = 0  # of the process where viewers come and go
        self.seen = 0  # the offset that the follower has read

    def house(self, number: int) -> House:
        """Return one of the houses."""
        return self.world.houses[number % len(self.world.houses)]

    def name(self, kind: str) -> str:
        """Return a fresh name."""
        self.count += 1
        return f"{kind}{self.count}"

    # -- the model's names and the store's

    def own(self, name: str) -> str:
        """Return what the store knows a reservation by: `op1`, `pay2 0` (of drop 0), `op1/w`, `join3 0/1`."""
        whole, _, rest = name.partition("/")
        operation, _, drop = whole.partition(" ")
        viewer = self.askers[operation]
        if not drop:
            return ids.own_part(self.show, viewer, operation) + rest
        kind = "waitlist" if operation.startswith("join") else "bundle"
        return ids.own_part(self.show, viewer, f"{self.drop_ids[int(drop)]}\0{operation}", kind) + rest

    def hold_id(self, name: str) -> str:
        """Return the id of a reservation."""
        return ids.full(self.show, self.own(name))

    def order_id(self, name: str) -> str:
        """Return the id of an order of this show."""
        return ids.order(self.show, self.model.orders[name].viewer, name)

    async def acknowledged(self, name: str) -> None:
        """Assert that every house finds a paid order in the ledger, with its lines, captured once at its amount."""
        order = self.model.orders[name]
        units = sorted(self.model.holds[held].quantity for held in order.holds)
        for house in self.world.houses:
            found = await house.orders.find(self.order_id(name))
            assert found is not None
            view, viewer = found
            assert (viewer, view["status"], view["payment"]["status"]) == (order.viewer, "paid", "captured")
            assert sorted(line["quantity"] for line in view["lines"]) == units
            assert view["total"] == sum(units) * PRICE == self.world.bank.amounts[view["id"]]
            assert self.world.bank.captures[view["id"]] == 1

    # -- what must hold after every step

    @invariant()
    def promises_are_kept(self) -> None:
        """Look at all of them."""
        if self.drop_ids:
            self.world.run(self.look())

    async def look(self) -> None:
        """Compare books, views, ledger, bank and log with the model."""
        house = self.house(self.count)
        records = await read_records(house.client, self.show)
        assert records is not None
        self.compare_records(records)
        await self.compare_views(house)
        await self.compare_money(house)
        await self.follow(house)

    def compare_records(self, records: Records) -> None:
        """Compare what the store has written down: reservations, what each viewer has, and who waits for what."""
        model = self.model
        holds = {
            own: (hold.viewer, hold.number - 1, hold.quantity, STATES[hold.state], hold.rank)
            for own, hold in records.holds.items()
        }
        held = {
            self.own(name): (hold.viewer, hold.drop, hold.quantity, hold.state, hold.rank)
            for name, hold in model.holds.items()
        }
        same("reservations", holds, held)
        mine = {viewer: rows_of(flat) for viewer, flat in records.mine.items()}
        theirs = {
            viewer: [(number, units, self.own(name)) for number, units, name in rows]
            for viewer, rows in model.mine.items()
        }
        same("what viewers have", mine, theirs)
        waiting = {
            (place.number - 1, place.viewer): (place.reservation, place.quantity, place.nth)
            for place in records.places
        }
        queued = {
            (number, place.viewer): (self.own(place.name), place.quantity, place.nth)
            for number, drop in enumerate(model.drops)
            for place in drop.queue
        }
        same("places in queues", waiting, queued)
        books = {each.drop: each.differences for each in compared(records)}
        same("the books' differences", books, {drop: [] for drop in self.drop_ids})

    async def compare_views(self, house: House) -> None:
        """Compare what hosts and viewers are shown: drops, their queues, and what a viewer has who joins now."""
        views = {view["id"]: view for view in await house.drops.listed(self.show)}
        for number, (drop_id, drop) in enumerate(zip(self.drop_ids, self.model.drops, strict=True)):
            view = views[drop_id]
            stored = tuple(view[name] for name in ("available", "held", "sold", "quantity", "status"))
            same(f"drop {number}", stored, (drop.available, drop.held, drop.sold, drop.quantity, drop.status))
            length = 0 if drop.status == "closed" else len(drop.queue)
            same(f"drop {number}'s queue", view["waitlist_length"], length)
            came = ["released_at" in wave for wave in view.get("waves", [])]
            same(f"drop {number}'s waves", came, [wave.released for wave in drop.waves])
            same(f"drop {number}'s promise", view.get("seed_hash"), self.seed_hashes.get(number))
            drawn = drop.mode == "draw" and drop.status == "closed"
            same(f"whether drop {number}'s seed is told", "seed" in view, drawn)
        told = await house.scripts.run("show_join", {"show": self.show}, viewers=list(VIEWERS), snapshot=0)
        welcomes = [unpacked(packed) for packed in told[2:]]
        for viewer, held, places in zip(VIEWERS, welcomes[::2], welcomes[1::2], strict=True):
            shown = [(each["id"], each["state"], each["quantity"]) for each in held]
            theirs = [
                (self.hold_id(name), self.model.holds[name].state, self.model.holds[name].quantity)
                for number, _units, name in self.model.mine.get(viewer, [])
                if number > 0
            ]
            same(f"{viewer}'s reservations", shown, theirs)
            stands = {
                self.drop_ids[number]: drop.where(viewer)[::2]
                for number, drop in enumerate(self.model.drops)
                if drop.place_of(viewer) and drop.status != "closed"
            }
            same(
                f"{viewer}'s places",
                {each["drop"]: (each["position"], each["quantity"]) for each in places},
                stands,
            )

    async def compare_money(self, house: House) -> None:
        """Compare ledger, bank and figures."""
        ledger = await house.orders.units_by_drop(self.show)
        for drop_id, drop in zip(self.drop_ids, self.model.drops, strict=True):
            same("units in the ledger", ledger.get(drop_id, 0), drop.sold)
        paid = {self.order_id(name): order for name, order in self.model.orders.items() if order.paid}
        mine = {order for order in self.world.bank.captures if ids.show_of(order, "or") == self.show}
        same("orders that were captured", mine, set(paid))
        assert all(self.world.bank.captures[order] == 1 for order in mine)
        figures = await house.shows.figures(self.show)
        sold = sum(drop.sold for drop in self.model.drops)
        same("sales", (figures["units_sold"], figures["gmv"]), (sold, sold * PRICE))
        same("units asked for in vain", figures["unmet_demand"], self.model.unmet)

    async def follow(self, house: House) -> None:
        """Read on in the log: every offset once, and exactly the events of the moves since the last look."""
        entries = await stream.after(house.client, self.show, self.seen)
        assert [entry.offset for entry in entries] == list(range(self.seen + 1, self.seen + 1 + len(entries)))
        top = await stream.top(house.client, self.show)
        assert top is not None
        self.seen += len(entries)
        assert self.seen == top.offset
        types = [unpacked(entry.packed)["type"] for entry in entries]
        # A sell-out is told at most once a second and drop: the one event that depends on time.
        same("events", [each for each in types if each != "drop.sold_out"], self.model.events)
        self.model.events.clear()

    # -- the end of every example

    def teardown(self) -> None:
        """End and settle what went well; leave nothing in any case."""
        if not self.show:
            return
        try:
            if sys.exc_info()[0] is None and self.drop_ids:
                self.world.run(self.retire())
        finally:
            self.world.run(self.forget())

    async def retire(self) -> None:
        """End the show and settle everything: each acknowledged order is still there, and no key stays for ever."""
        house = self.house(0)
        for number, drop in enumerate(self.model.drops):
            if drop.mode == "draw" and drop.status != "closed":
                await self.be_drawn(house, number)
        await house.shows.move(self.show, "end")
        for drop in self.model.drops:
            drop.status = "closed"
        for name in self.model.waiting():
            await end_lease(house.client, self.show, self.order_id(name))
            self.model.go_on(name)
            # One after the other: who takes lapsed units again depends on who comes first.
            await house.checkout.resume(self.show)
        alive = [name for name, hold in self.model.holds.items() if hold.state == "held"]
        await let_lapse(house.client, self.show, *map(self.hold_id, alive))
        await house.holds.sweep(self.show)
        for name, order in self.model.orders.items():
            if order.paid:
                await self.acknowledged(name)
        await house.recorder().record(self.show)
        assert await house.shows.retire(self.show)
        if not isinstance(house.client, Cluster):
            assert await leaks(house.client) == []
        async for place in self.places():
            left_ms = await house.client.pttl(place)
            # A number that is told a moment later can be the last that was planned, and take the key with it.
            assert 0 < left_ms <= LONGEST_MS or left_ms == GONE, place

    async def be_drawn(self, house: House, number: int) -> None:
        """Close a draw: the seed is the one that was promised, and the order is what it makes of the entries."""
        view = await house.drops.close(self.show, self.drop_ids[number])
        assert view["seed_hash"] == self.seed_hashes[number] == draw.seed_hash(view["seed"])
        self.model.draw(number, view["seed"], self.own)

    async def places(self) -> AsyncIterator[bytes]:
        """Give the keys of this show."""
        client = self.house(0).client
        nodes = await client.nodes() if isinstance(client, Cluster) else [client]
        for node in nodes:
            async for place in node.scan_iter(f"*{self.show}*", count=1000):
                yield place

    async def forget(self) -> None:
        """Leave an empty store to the next example."""
        client = self.house(0).client
        places = [place async for place in self.places()]
        if places:
            await client.delete(*places)  # all at once: who tells numbers meanwhile finds all or nothing
        await client.zrem(key("shows"), self.show)
        await client.srem(key("active"), self.show)
        await self.world.forget()


def rows_of(flat: list[Any]) -> list[tuple[Any, ...]]:
    """Return a viewer's list row by row: number, units, reservation."""
    return [tuple(flat[at : at + 3]) for at in range(0, len(flat), 3)]


def same(what: str, found: object, expected: object) -> None:
    """Assert that something is as the model has it, and say both where it is not."""
    assert found == expected, f"{what}: {found!r}, the model has {expected!r}"
