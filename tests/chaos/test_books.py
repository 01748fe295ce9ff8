"""The books' own proof: they find nothing where nothing is wrong, and every single record that is made wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from server import ids
from server.checkout.saga import Paid, Request
from server.inventory.outcomes import Held
from server.orders.refund_book import Part
from server.store.answers import unpacked
from server.store.keys import key
from tests.chaos.books import Hold, complaints, look, unreturned
from tests.houses import live_show, open_drop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.house import House
    from tests.chaos.books import Picture

UNITS = 6


def packed(record: list[Any]) -> bytes:
    """Return a record as the scripts pack theirs."""
    return bytes(msgpack.packb(record, use_bin_type=False))


class Scene:
    """A show with a holder, somebody who waits, and what came of a restock."""

    def __init__(self, house: House, show: str) -> None:
        self.house = house
        self.show = show
        self.drop = self.second = ""
        self.held = ""  # the own part of a reservation
        self.other = ""
        self.sold = ""  # one of which a unit came back

    async def play(self) -> None:
        """Take, wait, restock, give back."""
        self.drop = await open_drop(self.house, self.show, UNITS, limit_per_viewer=4)
        self.held = await self.take("ann", 3)
        self.other = await self.take("bob", 2)
        gone = await self.take("cat", 1)
        await self.house.waitlist.join(self.show, "dan", "once", self.drop, 2)
        await self.house.drops.restock(self.show, self.drop, 1, "more")
        released = await self.house.holds.release(ids.full(self.show, gone), "cat")
        assert isinstance(released, Held)
        await self.house.waitlist.join(self.show, "eve", "once", self.drop, 1)
        self.sold = await self.sell("fay", 3, back=1)

    async def take(self, viewer: str, units: int) -> str:
        """Reserve and return the own part of the reservation."""
        outcome = await self.house.holds.reserve(self.show, viewer, "once", self.drop, units)
        assert isinstance(outcome, Held)
        return ids.own(outcome.reservation["id"])

    async def sell(self, viewer: str, units: int, back: int) -> str:
        """Sell units of another drop, take some back, and return the own part of the reservation."""
        self.second = await open_drop(self.house, self.show, UNITS)
        taken = await self.house.holds.reserve(self.show, viewer, "twice", self.second, units)
        assert isinstance(taken, Held)
        name, order = taken.reservation["id"], ids.order(self.show, viewer, "pay")
        details = {"provider": "sandbox", "method": "card", "token": "tok_ok"}
        paid = await self.house.checkout.pay(Request(order, self.show, viewer, [name], details, None))
        assert isinstance(paid, Paid)
        assert await self.house.refunds.refund(
            order, ids.new_refund(order), "host", [Part(name, back)], restock=True
        )
        return ids.own(name)

    async def picture(self) -> Picture:
        """Return what lies in the store."""
        return await look(self.house.client, self.show)

    async def found(self) -> list[str]:
        """Return what is wrong."""
        return complaints(await self.picture(), {self.drop: UNITS, self.second: UNITS})

    async def change(self, name: str, field: str, change: Callable[[list[Any]], None]) -> None:
        """Change a record in the store."""
        place = key(name, show=self.show)
        raw = await self.house.client.hget(place, field)
        assert isinstance(raw, bytes)
        record = unpacked(raw)
        change(record)
        await self.house.client.hset(place, field, packed(record))

    async def add(self, numbers: dict[int, int]) -> None:
        """Add to a drop's numbers by their place in the record."""

        def add(record: list[Any]) -> None:
            for place, units in numbers.items():
                record[place] += units

        await self.change("stock", self.drop, add)

    async def put(self, name: str, field: str, place: int, value: object) -> None:
        """Put a value into a record."""

        def put(record: list[Any]) -> None:
            record[place] = value

        await self.change(name, field, put)


AVAILABLE, HELD, SOLD, QUANTITY, AWARDS, CHAIN, WAITING = 0, 1, 2, 3, 8, 9, 10
RETURNED = 10  # its place in a hold's record

# what is made wrong -> how, and words of the complaint
WRONGS: dict[str, tuple[Callable[[Scene], Awaitable[Any]], str]] = {
    "a unit too many": (lambda s: s.add({AVAILABLE: 1}), "is not 7"),
    "oversold": (lambda s: s.add({AVAILABLE: -1, HELD: 1}), "a number is below zero"),
    "held is off": (lambda s: s.add({HELD: -1, SOLD: 1}), "held is 6, its holds have 7"),
    "sold is off": (lambda s: s.add({HELD: -1, SOLD: 1}), "sold is 1, its holds have 0"),
    "more is offered": (
        lambda s: s.add({AVAILABLE: 1, QUANTITY: 1}),
        "offered are 8, planned and added were 7",
    ),
    "a restock is forgotten": (
        lambda s: s.house.client.delete(key("restocks", show=s.show)),
        "offered are 7, planned and added were 6",
    ),
    "over the limit": (lambda s: s.put("holds", s.held, 2, 5), "ann has 5 of"),
    "an address that is not counted down": (
        lambda s: s.house.client.hset(key("addresses", show=s.show), "1 somewhere", "2"),
        "address 1 somewhere is counted with 2, has 0",
    ),
    "not listed": (lambda s: s.house.client.hdel(key("mine", show=s.show), "ann"), "is not listed"),
    "only listed": (lambda s: s.house.client.hdel(key("holds", show=s.show), s.held), "is only listed"),
    "a queue of the wrong length": (lambda s: s.add({WAITING: 1}), "2 are said to wait, 1 do"),
    "half a place": (
        lambda s: s.house.client.delete(key("waitlist", show=s.show)),
        "in one of the two records",
    ),
    "waits beside units": (lambda s: s.add({AVAILABLE: 1, HELD: -1}), "1 wait beside 1 available"),
    "never lapses": (lambda s: s.house.client.delete(key("expiry", show=s.show)), "would never lapse"),
    "an award too many": (lambda s: s.add({AWARDS: 1}), "awards are said"),
    "another rank": (lambda s: s.put("holds", s.other, 6, 9), "in rank 9 was awarded as"),
    "another head": (lambda s: s.put("stock", s.drop, CHAIN, "0" * 40), "the chain ends in 000"),
    "a unit came back that did not": (
        lambda s: s.put("holds", s.sold, RETURNED, 2),
        "sold is 2, its holds have 1",
    ),
    "a unit that came back is forgotten": (
        lambda s: s.put("holds", s.sold, RETURNED, 0),
        "sold is 2, its holds have 3",
    ),
    "more came back than was sold": (
        lambda s: s.put("holds", s.sold, RETURNED, 4),
        "of 3 in state 3 has 4 returned",
    ),
    "all came back and it is still sold": (
        lambda s: s.put("holds", s.sold, RETURNED, 3),
        "of 3 in state 3 has 3 returned",
    ),
    "no log": (lambda s: s.house.client.delete(key("awards", show=s.show)), "was awarded as None"),
}


@pytest.fixture
async def scene(house: House) -> Scene:
    one = Scene(house, await live_show(house))
    await one.play()
    return one


async def test_true_books_are_believed(scene: Scene) -> None:
    """No complaint about what the scripts have written."""
    assert await scene.found() == []


@pytest.mark.parametrize("wrong", WRONGS)
async def test_wrong_books_are_found_out(scene: Scene, wrong: str) -> None:
    """Every law is broken in turn, and each time the complaint says which."""
    make_wrong, words = WRONGS[wrong]
    await make_wrong(scene)
    found = await scene.found()
    assert any(words in complaint for complaint in found), found


async def test_what_came_back_is_what_the_ledger_says(scene: Scene) -> None:
    """A unit more, a unit less, and one of a reservation that nobody knows are each said."""
    picture = await scene.picture()
    assert [*unreturned(picture, {scene.sold: 1})] == []
    for told in ({}, {scene.sold: 2}, {scene.sold: 1, scene.held: 1}, {scene.sold: 1, "nobody": 1}):
        assert len([*unreturned(picture, told)]) == 1, told


async def test_books_that_know_no_returns_are_wrong(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: counted without what came back, true books are complained about."""
    monkeypatch.setattr(Hold, "units", property(lambda hold: hold.quantity))
    found = await scene.found()
    assert any("sold is 2, its holds have 3" in complaint for complaint in found), found
    assert any("is not listed" in complaint for complaint in found), found
