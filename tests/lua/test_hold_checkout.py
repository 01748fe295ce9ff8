"""hold_checkout: reservations claimed for one order, all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lua.scene import LEASE_MS, PRICE, PROVIDER_MS

if TYPE_CHECKING:
    from tests.lua.scene import Scene


async def test_claimed(scene: Scene) -> None:
    """All reservations are being paid, the order's first step is recorded with its lines, and the viewer hears it."""
    first, second = await scene.opened(5), await scene.opened(5, unit_price=400, sku="LAMP", title="Lamp")
    paid = [await scene.held(first, "ann", 2), await scene.held(second)]
    async with scene.watched() as told:
        answer = await scene.run("hold_checkout", **scene.claiming(*paid))
    order = answer["order"]
    assert (answer["outcome"], order["id"], order["viewer"]) == ("claimed", "or_1", "ann")
    assert (order["step"], order["total"], order["currency"]) == ("claimed", 2 * PRICE + 400, "EUR")
    assert order["deadline_at"] == order["created_at"] + PROVIDER_MS
    lines = [(line["sku"], line["title"], line["drop"], line["quantity"]) for line in order["lines"]]
    assert lines == [("MUG", "Mug", first, 2), ("LAMP", "Lamp", second, 1)]
    assert [line["reservation"] for line in order["lines"]] == paid
    assert order == await scene.order("or_1")
    assert await scene.lease("or_1") == order["created_at"] + LEASE_MS
    assert told.states == [(reservation, "paying") for reservation in paid]
    assert told.stocks == []
    assert [await scene.numbers(drop) for drop in (first, second)] == [(3, 2, 0), (4, 1, 0)]


@pytest.mark.parametrize("hold_seconds", [1, 60])
async def test_its_deadline_is_the_later_one(scene: Scene, hold_seconds: int) -> None:
    """The units cannot lapse before the provider's time is over, nor before their own deadline."""
    drop = await scene.opened(hold_seconds=hold_seconds)
    reservation = await scene.held(drop)
    await scene.claimed(reservation)
    own = (await scene.hold(reservation))["expires_at"]
    provider = (await scene.order("or_1"))["deadline_at"]
    assert (await scene.hold(reservation))["deadline"] == max(own, provider)
    assert max(own, provider) in await scene.looked_at(reservation)


async def test_the_expected_total(scene: Scene) -> None:
    """The claim goes through at the total that the viewer was shown, and at no other."""
    drop = await scene.opened()
    reservation = await scene.held(drop, quantity=2)
    wrong = scene.claiming(reservation, expected_total=PRICE)
    changed = {"outcome": "total-changed", "current_total": 2 * PRICE}
    assert await scene.refused("hold_checkout", **wrong) == changed
    right = scene.claiming(reservation, expected_total=2 * PRICE)
    assert (await scene.run("hold_checkout", **right))["outcome"] == "claimed"


async def test_resumed(scene: Scene) -> None:
    """The same order again is found as far as it has come, and whether somebody still works on it."""
    reservation = await scene.held(await scene.opened())
    await scene.authorized(reservation)
    again = await scene.refused("hold_checkout", **scene.claiming(reservation))
    assert (again["outcome"], again["leased"]) == ("resumed", True)
    assert again["order"] == await scene.order("or_1")
    await scene.client.zadd(scene.key("pending"), {"or_1": await scene.now() - 1})
    later = await scene.refused("hold_checkout", **scene.claiming(reservation))
    assert (later["outcome"], later["leased"]) == ("resumed", False)


async def test_done(scene: Scene) -> None:
    """An order that was sold and settled is done, however often it is asked for."""
    reservation = await scene.held(await scene.opened())
    await scene.sold(reservation)
    await scene.run("order_settle", order="or_1", viewer="ann", view={})
    assert await scene.refused("hold_checkout", **scene.claiming(reservation)) == {"outcome": "done"}


async def test_all_or_nothing(scene: Scene) -> None:
    """One reservation that cannot be paid keeps all the others as they are."""
    drop = await scene.opened()
    good, lapsed = await scene.held(drop), await scene.held(drop)
    await scene.lapsed(lapsed)
    refused = await scene.refused("hold_checkout", **scene.claiming(good, lapsed))
    expires_at = (await scene.hold(lapsed))["expires_at"]
    assert refused == {"outcome": "reservation-expired", "reservation": lapsed, "expires_at": expires_at}
    assert (await scene.hold(good))["state"] == "held"


async def test_reservation_expired(scene: Scene) -> None:
    """What was released, or lapsed whether swept or not, cannot be paid."""
    drop = await scene.opened()
    released, swept, unswept = [await scene.held(drop) for _ in range(3)]
    await scene.released(released)
    await scene.lapsed(swept)
    await scene.run("hold_sweep", limit=1)
    await scene.lapsed(unswept)
    for reservation in (released, swept, unswept):
        refused = await scene.refused("hold_checkout", **scene.claiming(reservation))
        assert (refused["outcome"], refused["reservation"]) == ("reservation-expired", reservation)


async def test_in_progress(scene: Scene) -> None:
    """What another order is paying cannot be claimed."""
    reservation = await scene.held(await scene.opened())
    await scene.claimed(reservation)
    refused = await scene.refused("hold_checkout", **scene.claiming(reservation, order="or_2"))
    other = {"order": "or_1", "acting": False}
    assert refused == {"outcome": "in-progress", "reservation": reservation, **other}
    waiting = {"action_ms": 600_000, "provider_ms": PROVIDER_MS, "lease_ms": LEASE_MS}
    await scene.run("order_await", order="or_1", reference="pay_1", url="https://b", **waiting)
    refused = await scene.refused("hold_checkout", **scene.claiming(reservation, order="or_2"))
    assert refused == {"outcome": "in-progress", "reservation": reservation, **other, "acting": True}


async def test_wrong_state(scene: Scene) -> None:
    """What was bought cannot be claimed by another order, nor beside others by its own."""
    drop = await scene.opened()
    sold, good = await scene.held(drop), await scene.held(drop)
    await scene.sold(sold)
    await scene.run("order_settle", order="or_1", viewer="ann", view={})
    wrong = {"outcome": "wrong-state", "reservation": sold, "state": "sold"}
    assert await scene.refused("hold_checkout", **scene.claiming(sold, order="or_2")) == wrong
    assert await scene.refused("hold_checkout", **scene.claiming(good, sold, order="or_2")) == wrong
    assert await scene.refused("hold_checkout", **scene.claiming(good, sold)) == wrong


async def test_not_allowed(scene: Scene) -> None:
    """Nobody pays what is somebody else's, not even beside something of their own."""
    drop = await scene.opened()
    mine, theirs = await scene.held(drop, "ann"), await scene.held(drop, "bob")
    refused = await scene.refused("hold_checkout", **scene.claiming(mine, theirs))
    assert refused == {"outcome": "not-allowed", "reservation": theirs}


async def test_not_found(scene: Scene) -> None:
    """What was never reserved cannot be paid."""
    await scene.opened()
    refused = await scene.refused("hold_checkout", **scene.claiming("rs_none"))
    assert refused == {"outcome": "not-found", "reservation": "rs_none"}


async def test_repeated(scene: Scene) -> None:
    """One reservation is paid once, however often it is named; by another name it is not known at all."""
    drop = await scene.opened()
    mine, other = await scene.held(drop), await scene.held(drop)
    refused = await scene.refused("hold_checkout", **scene.claiming(mine, other, mine))
    assert refused == {"outcome": "repeated", "reservation": mine}
    alias = f"or_{mine[3:]}"
    refused = await scene.refused("hold_checkout", **scene.claiming(mine, alias))
    assert refused == {"outcome": "not-found", "reservation": alias}


async def test_frozen(scene: Scene) -> None:
    """While a show's stock is rebuilt nothing is claimed; an order that was claimed before is found."""
    drop = await scene.opened(2)
    await scene.claimed(claimed := await scene.held(drop))
    held = await scene.held(drop, "bob")
    await scene.frozen()
    claiming = scene.claiming(held, order="or_2", viewer="bob")
    assert await scene.refused("hold_checkout", **claiming) == {"outcome": "frozen"}
    assert (await scene.refused("hold_checkout", **scene.claiming(claimed)))["outcome"] == "resumed"


async def test_undone(scene: Scene) -> None:
    """The id of an order that the ledger has as cancelled makes no other order; the answer says why it was."""
    reservation = await scene.held(await scene.opened())
    await scene.authorized(reservation)
    await scene.stepped("or_1", "authorized", "undoing", reason="overdue")
    await scene.run("hold_unclaim", order="or_1")
    assert (await scene.hold(reservation))["state"] == "held"
    refused = await scene.refused("hold_checkout", **scene.claiming(reservation))
    assert refused == {"outcome": "undone", "reason": "overdue"}


async def test_what_was_returned_is_done(scene: Scene) -> None:
    """A repeat of an order whose units went back on sale is told of that order, and claims nothing."""
    reservation = await scene.held(await scene.opened())
    await scene.sold(reservation)
    await scene.run("order_settle", order="or_1", viewer="ann", view={})
    await scene.run("hold_return", returned=[[reservation, 1]], order="or_1")
    assert await scene.refused("hold_checkout", **scene.claiming(reservation)) == {"outcome": "done"}


async def test_addresses_are_kept_with_the_order(scene: Scene) -> None:
    """Should its units lapse under the payment they count for the same address again; the lines do not tell it."""
    drop = await scene.opened(5, limit_per_address=5)
    asked = scene.taking(drop, address="10.0.0.1")
    await scene.step(asked, addresses=True, address_key=b"key")
    plain = await scene.held(await scene.opened())
    await scene.claimed(scene.reservation(asked), plain)
    record = await scene.order("or_1")
    assert record["addresses"] == [(await scene.hold(scene.reservation(asked)))["address"], False]
    assert not [line for line in record["lines"] if "address" in line]
