"""A buyer at the till: reservations of a new drop, and the request that pays them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server import ids
from server.checkout.saga import Request
from server.inventory.outcomes import Held
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from server.workers.audit import audit
from server.workers.money import Comparison
from tests.deadlines import end_lease, let_lapse, packed, redis_now
from tests.houses import live_show, numbers, open_drop

if TYPE_CHECKING:
    from typing import Any

    from server.house import House


async def request(
    house: House, card: str = "tok_ok", expected_total: int | None = None, **terms: Any
) -> Request:
    """Take two units of a new drop of ten and return the request to pay them."""
    show = await live_show(house)
    drop = await open_drop(house, show, **terms)
    held = await house.holds.reserve(show, "buyer", "take", drop, 2)
    assert isinstance(held, Held)
    return Request(
        order=ids.order(show, "buyer", "pay"),
        show=show,
        viewer="buyer",
        reservations=[held.reservation["id"]],
        details={"provider": "sandbox", "method": "card", "token": card},
        expected_total=expected_total,
    )


async def drop_of(house: House, one: Request) -> str:
    """Return the drop of the request's first reservation."""
    found = await house.holds.find(one.reservations[0])
    assert found is not None
    drop: str = found[0]["drop"]
    return drop


async def stock(house: House, one: Request) -> tuple[int, int, int]:
    """Return (available, held, sold) of the request's drop."""
    return await numbers(house, one.show, await drop_of(house, one))


async def state(house: House, one: Request) -> str:
    """Return the state of the request's first reservation."""
    found = await house.holds.find(one.reservations[0])
    assert found is not None
    return str(found[0]["state"])


async def ledger(house: House, one: Request) -> tuple[str, str]:
    """Return what the ledger has of the request's order: its status and its payment's; empty where it has nothing."""
    found = await house.orders.find(one.order)
    return (found[0]["status"], found[0]["payment"]["status"]) if found else ("", "")


async def balanced(house: House, show: str) -> bool:
    """Whether the show's books balance."""
    return not any(drop.differences for drop in await audit(house.client, house.orders, show))


async def disagreements(house: House, show: str, *, under_way: bool = False) -> list[str]:
    """Return where stock, ledger and the provider's own list do not agree, and who could not be asked.

    Sums are compared too, but where an order is still `under_way`.
    """
    drops = await audit(house.client, house.orders, show)
    money = await Comparison(house.client, house.ledger, house.methods).look([show])
    owed = [each for each in money.accounts if each.ledger != each.theirs and not under_way]
    return [
        *(line for drop in drops for line in drop.differences),
        *(sentence for _show, sentence in money.differences),
        *(f"{each.provider} owes {each.theirs}, by the ledger {each.ledger}" for each in owed),
        *(f"{name} was not asked: {why}" for name, why in money.unasked.items()),
    ]


async def record(house: House, one: Request) -> Any:
    """Return the record of the request's order, None where there is none."""
    raw = await reads.field(house.client, key("orders", show=one.show), one.order, "the order")
    return None if raw is None else unpacked(raw)


async def resume(house: House, one: Request) -> int:
    """Let a worker come by whose turn it is to go on with the order."""
    await end_lease(house.client, one.show, one.order)
    return await house.checkout.resume(one.show)


async def make_overdue(house: House, one: Request) -> None:
    """Let the order's own deadline be over; its units stay until theirs."""
    known = await record(house, one)
    known["deadline_at"] = await redis_now(house.client) - 1
    await house.client.hset(key("orders", show=one.show), one.order, packed(known))


async def lose(house: House, one: Request, *, taken: bool) -> None:
    """Let the units lapse under the payment, and let somebody else take all of the drop where `taken`."""
    drop = await drop_of(house, one)
    await let_lapse(house.client, one.show, *one.reservations)
    assert (await house.holds.sweep(one.show)).lapsed == len(one.reservations)
    available, _held, _sold = await numbers(house, one.show, drop)
    for number in range(available if taken else 0):
        other = await house.holds.reserve(one.show, f"other-{number}", "take", drop, 1)
        assert isinstance(other, Held)
