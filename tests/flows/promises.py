"""What must hold after every step of a show: the four promises, looked at from the outside, and a clean end.

Stock adds up and nothing is stranded; every acknowledged order is in the ledger; no order was captured twice; the
log has no gap.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hypothesis.stateful import RuleBasedStateMachine, invariant

from server import ids
from server.eventlog import stream
from server.inventory.books import read_books
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from tests.deadlines import end_lease, let_lapse
from tests.flows.model import Model
from tests.houses import live_show
from tests.keys import LONGEST_MS, leaks

if TYPE_CHECKING:
    from server.app import House
    from tests.flows.world import World

PRICE = 1250

Taken = tuple[str, str, int, int]  # operation, viewer, drop, quantity


class WatchedShow(RuleBasedStateMachine):
    """One live show per example, on the houses of `world`, beside its model."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.drop_ids: list[str] = []
        self.refused: list[Taken] = []
        self.count = 0
        self.seen = 0  # the offset that the follower has read
        self.expected: list[str] = ["show.started"]  # events that it must find next
        self.show = self.world.run(live_show(self.world.houses[0]))

    def house(self, number: int) -> House:
        """Return one of the houses."""
        return self.world.houses[number % len(self.world.houses)]

    def name(self, kind: str) -> str:
        """Return a fresh name."""
        self.count += 1
        return f"{kind}{self.count}"

    def hold_id(self, operation: str) -> str:
        """Return the reservation id of an operation that was applied."""
        return ids.reservation(self.show, self.model.holds[operation].viewer, operation)

    def order_id(self, name: str) -> str:
        """Return the id of an order of this show."""
        return ids.order(self.show, self.model.orders[name].viewer, name)

    async def acknowledged(self, name: str) -> None:
        """Assert that every house finds a paid order in the ledger, with its lines, captured once at its amount."""
        order = self.model.orders[name]
        units = sorted(self.model.holds[operation].quantity for operation in order.holds)
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
        """Compare stock, holds, ledger, bank and log with the model."""
        house = self.house(self.count)
        books = {each.drop: each for each in await read_books(house.client, self.show)}
        ledger = await house.orders.units_by_drop(self.show)
        for drop_id, drop in zip(self.drop_ids, self.model.drops, strict=True):
            found = books[drop_id]
            assert found.differences == []
            stored = (found.available, found.held, found.sold, found.quantity, found.status)
            assert stored == (drop.available, drop.held, drop.sold, drop.quantity, drop.status)
            assert ledger.get(drop_id, 0) == drop.sold
        holds = await reads.fields(house.client, key("holds", show=self.show), "holds")
        states = {reservation.decode(): unpacked(record)[3] for reservation, record in holds.items()}
        assert states == {self.hold_id(name): hold.state for name, hold in self.model.holds.items()}
        captured = {self.order_id(name) for name, order in self.model.orders.items() if order.paid}
        mine = {order for order in self.world.bank.captures if ids.show_of(order) == self.show}
        assert mine == captured
        assert all(self.world.bank.captures[order] == 1 for order in mine)
        await self.follow(house)

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
        assert [each for each in types if each != "drop.sold_out"] == self.expected
        self.expected = []

    # -- the end of every example

    def teardown(self) -> None:
        """End and settle what went well; leave nothing in any case."""
        try:
            if sys.exc_info()[0] is None and self.drop_ids:
                self.world.run(self.retire())
        finally:
            self.world.run(self.forget())

    async def retire(self) -> None:
        """End the show and settle everything: each acknowledged order is still there, and no key stays for ever."""
        house = self.house(0)
        await house.shows.move(self.show, "end")
        for name in self.model.waiting():
            await end_lease(house.client, self.show, self.order_id(name))
            self.model.go_on(name)
        await house.checkout.resume(self.show)
        alive = [name for name, hold in self.model.holds.items() if hold.state == "held"]
        await let_lapse(house.client, self.show, *map(self.hold_id, alive))
        await house.holds.sweep(self.show)
        for name, order in self.model.orders.items():
            if order.paid:
                await self.acknowledged(name)
        assert await house.shows.retire(self.show)
        assert await leaks(house.client) == []
        for place in await self.places():
            assert 0 < await house.client.pttl(place) <= LONGEST_MS

    async def places(self) -> list[bytes]:
        """Return the keys of this show."""
        return [place async for place in self.house(0).client.scan_iter(f"*{self.show}*", count=1000)]

    async def forget(self) -> None:
        """Leave an empty store to the next example."""
        client = self.house(0).client
        await client.delete(*await self.places())
        await client.zrem(key("shows"), self.show)
        await client.srem(key("active"), self.show)
