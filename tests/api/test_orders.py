"""What a host does with an order afterwards, and what its buyer sees and hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.auth import Role
from server.store.keys import key
from server.store.redis import connect
from tests.problems import assert_problem
from tests.stage import MUG_PRICE
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.client import LiveClient
    from tests.stage import Fields, Stage

ADDRESS = {"name": "A. Buyer", "line1": "Street 1", "city": "Town", "country": "DE"}
MAIL = "a.buyer@post.example"


async def bought(stage: Stage, *quantities: int, buyer: str = "", **extra: Any) -> tuple[Fields, list[str]]:
    """Return a paid order of mugs, a line for each quantity, and the drops that they are from."""
    buyer = buyer or stage.viewer()
    drops = [await stage.drop(5, limit_per_viewer=5) for _ in quantities]
    held = [
        (await stage.reserve(buyer, drop, quantity)).json()["id"]
        for drop, quantity in zip(drops, quantities, strict=True)
    ]
    paid = await stage.pay(buyer, *held, **extra)
    assert paid.status_code == 201, paid.text
    order: Fields = paid.json()["order"]
    return order, drops


async def change(stage: Stage, order: str, verb: str, body: Any = None, **extra: Any) -> Any:
    """Let the host change an order."""
    return await stage.host("POST", f"/v1/orders/{order}/{verb}", json=body, **extra)


async def updated(watching: LiveClient, state: str) -> Fields:
    """Wait until a viewer has heard that an order became this, and return it as they heard it."""
    found: Fields = await watching.until(
        lambda client: next(
            (
                m["order"]
                for m in client.messages
                if m["type"] == "order.updated" and m["order"]["status"] == state
            ),
            None,
        )
    )
    return found


async def test_an_order_is_cancelled(stage: Stage) -> None:
    """The whole money and all units are back; the answer and every later look show the order with its history."""
    order, (drop,) = await bought(stage, 2)
    done = await change(stage, order["id"], "cancel")
    assert done.status_code == 200, done.text
    shown = done.json()
    assert (shown["status"], shown["payment"]["status"]) == ("cancelled", "refunded")
    assert [change["status"] for change in shown["history"]] == ["confirming", "paid", "cancelled"]
    [refund] = shown["refunds"]
    assert (refund["status"], refund["amount"], refund["restock"]) == ("paid", 2 * MUG_PRICE, True)
    assert shown["history"][-1]["details"] == {"refund": refund["id"], "amount": 2 * MUG_PRICE}
    assert stage.numbers(await stage.stock(drop)) == (5, 0, 0)
    assert (await stage.host("GET", f"/v1/orders/{order['id']}")).json() == shown
    again = await change(stage, order["id"], "cancel")
    assert_problem(again, 409, "wrong-state", f"Order {order['id']} is cancelled")


async def test_an_order_is_refunded_in_part(stage: Stage) -> None:
    """Lines by reservation or position; what is more than is left is refused with the numbers, and changes nothing."""
    order, drops = await bought(stage, 3, 1)
    first = order["lines"][0]["reservation"]
    lines = [{"reservation": first, "quantity": 2}, {"position": 1, "quantity": 1}]
    done = (await change(stage, order["id"], "refund", {"lines": lines, "restock": True})).json()
    assert (done["status"], done["payment"]["status"]) == ("partially_refunded", "captured")
    assert done["refunds"][0]["amount"] == 3 * MUG_PRICE
    assert [stage.numbers(await stage.stock(drop)) for drop in drops] == [(4, 0, 1), (5, 0, 0)]
    over = await change(stage, order["id"], "refund", {"lines": [{"position": 0, "quantity": 2}]})
    assert_problem(over, 409, "wrong-state", "Line 0 has 1 of 3 units left to refund, 2 are asked for.")
    rest = (await change(stage, order["id"], "refund")).json()
    assert (rest["status"], rest["payment"]["status"]) == ("refunded", "refunded")
    assert [each["amount"] for each in rest["refunds"]] == [3 * MUG_PRICE, MUG_PRICE]
    assert [stage.numbers(await stage.stock(drop)) for drop in drops] == [(4, 0, 1), (5, 0, 0)]
    none = await change(stage, order["id"], "refund")
    assert_problem(none, 409, "wrong-state", f"Order {order['id']} is refunded")


async def test_an_order_is_shipped(stage: Stage) -> None:
    """The shipment is shown to both; the same again is harmless, another one is refused; a return is still possible."""
    buyer = stage.viewer()
    order, _ = await bought(stage, 2, buyer=buyer)
    shipment = {"carrier": "Post", "tracking_number": "JD-1"}
    for _ in range(2):
        done = await change(stage, order["id"], "fulfil", shipment)
        assert (done.status_code, done.json()["status"]) == (200, "fulfilled")
    seen = (await stage.call("GET", f"/v1/orders/{order['id']}", buyer)).json()
    assert seen["fulfilment"] == {**shipment, "at": seen["history"][-1]["at"]}
    assert_problem(await change(stage, order["id"], "fulfil", {}), 409, "wrong-state", "is fulfilled")
    assert_problem(await change(stage, order["id"], "cancel"), 409, "wrong-state", "is fulfilled")
    back = await change(stage, order["id"], "refund", {"lines": [{"position": 0, "quantity": 1}]})
    assert (back.json()["status"], back.json()["fulfilment"]["carrier"]) == ("partially_refunded", "Post")


@pytest.mark.parametrize(
    ("verb", "body", "said"),
    [
        ("refund", {"lines": []}, "lines: Expected `array` of length >= 1"),
        ("refund", {"lines": [{"quantity": 1}]}, "lines[0]: exactly one of reservation and position"),
        ("refund", {"lines": [{"quantity": 1, "position": 0, "reservation": "rs_x"}]}, "exactly one of"),
        ("refund", {"lines": [{"quantity": 0, "position": 0}]}, "quantity: Expected `int` >= 1"),
        ("refund", {"lines": [{"quantity": 1, "position": 9}]}, "has no line 9"),
        ("refund", {"lines": [{"quantity": 1, "position": 0}] * 2}, "one of them more than once"),
        ("refund", {"restock": "yes"}, "restock: Expected `bool`"),
        ("fulfil", {"carrier": "a\nb"}, "carrier: Expected `str` matching regex"),
        ("fulfil", {"tracking_number": "x" * 101}, "tracking_number: Expected `str` of length <= 100"),
    ],
)
async def test_a_bad_change_is_refused(stage: Stage, verb: str, body: Any, said: str) -> None:
    """Each field is checked, and the sentence names it; the order stays as it is."""
    order, _ = await bought(stage, 1)
    assert_problem(await change(stage, order["id"], verb, body), 422, "invalid-message", said)
    assert (await stage.host("GET", f"/v1/orders/{order['id']}")).json()["status"] == "paid"


@pytest.mark.parametrize("verb", ["cancel", "refund", "fulfil"])
async def test_what_is_not_paid_yet_cannot_be_changed(stage: Stage, verb: str) -> None:
    """An order whose money is not settled is `in-progress`; one that is none is not found."""
    drop, buyer = await stage.drop(1), stage.viewer()
    held = (await stage.reserve(buyer, drop)).json()["id"]
    waits = await stage.pay(buyer, held, card="tok_timeout_then_ok")
    assert waits.status_code == 202
    order = waits.json()["order"]["id"]
    answer = await change(stage, order, verb)
    if answer.status_code != 200:  # unless a worker was quicker
        assert_problem(answer, 409, "in-progress", "is confirming")
        assert answer.json()["retry_after_ms"] > 0
    for none in ("or_none", f"or_{stage.show[3:]}_none", "nonsense"):
        assert_problem(await change(stage, none, verb), 404, "not-found", none)


@pytest.mark.parametrize("verb", ["cancel", "refund", "fulfil"])
async def test_only_its_host_changes_an_order(stage: Stage, verb: str) -> None:
    """Its own buyer, a moderator, a service and another show's host are refused, and nothing happens."""
    buyer = stage.viewer()
    order, _ = await bought(stage, 1, buyer=buyer)
    for token in (
        buyer,
        stage.server.token(Role.MODERATOR, "help", stage.show),
        stage.server.token(Role.SERVICE, "shop"),
        stage.server.token(Role.HOST, "stranger", "sh_other"),
    ):
        answer = await stage.call("POST", f"/v1/orders/{order['id']}/{verb}", token)
        assert_problem(answer, 403, "not-allowed")
    assert (await stage.host("GET", f"/v1/orders/{order['id']}")).json()["status"] == "paid"


async def test_a_key_refunds_once(stage: Stage) -> None:
    """The same key gives back once and answers the same; another body under it is refused."""
    order, (drop,) = await bought(stage, 3)
    once, name = {"lines": [{"position": 0, "quantity": 1}], "restock": True}, ids.secret(8)
    first = await change(stage, order["id"], "refund", once, key=name)
    again = await change(stage, order["id"], "refund", once, key=name)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    other = await change(stage, order["id"], "refund", {}, key=name)
    assert_problem(other, 422, "idempotency-mismatch")
    assert stage.numbers(await stage.stock(drop)) == (3, 0, 2)
    assert len((await stage.host("GET", f"/v1/orders/{order['id']}")).json()["refunds"]) == 1


async def test_contact_is_for_its_buyer_and_its_host(stage: Stage) -> None:
    """E-mail and address are shown where the two look at the order, and nowhere else: no list, no answer, no socket."""
    buyer = stage.viewer()
    async with stage.watching(buyer) as watching:
        order, _ = await bought(stage, 1, buyer=buyer, email=MAIL, shipping_address=ADDRESS)
        path = f"/v1/orders/{order['id']}"
        for token in (buyer, stage.server.token(Role.HOST, "host")):
            seen = (await stage.call("GET", path, token)).json()
            assert (seen["email"], seen["shipping_address"]) == (MAIL, ADDRESS)
        done = await change(stage, order["id"], "fulfil", {"carrier": "Post"})
        listed = await stage.host("GET", f"/v1/shows/{stage.show}/orders")
        await updated(watching, "fulfilled")
        for text in (repr(order), done.text, listed.text, repr(watching.messages)):
            assert MAIL not in text
            assert "Street 1" not in text


async def test_the_buyer_sees_no_names_of_the_shop(stage: Stage) -> None:
    """In the history the host has a name for the host, and is `host` for the buyer."""
    buyer = stage.viewer()
    order, _ = await bought(stage, 1, buyer=buyer)
    owner = stage.server.token(Role.HOST, "hanna@shop.example")
    assert (await stage.call("POST", f"/v1/orders/{order['id']}/cancel", owner)).status_code == 200
    path = f"/v1/orders/{order['id']}"
    by = [
        [change["by"] for change in (await stage.call("GET", path, token)).json()["history"]]
        for token in (buyer, owner)
    ]
    assert by == [["checkout", "checkout", "host"], ["checkout", "checkout", "hanna@shop.example"]]


async def test_the_viewer_hears_of_every_change(stage: Stage) -> None:
    """Each change reaches the buyer's sockets as `order.updated`; the reservation that came back as well."""
    buyer = stage.viewer()
    order, _ = await bought(stage, 2, buyer=buyer)
    part = {"lines": [{"position": 0, "quantity": 1}], "restock": True}
    async with stage.watching(buyer) as watching, stage.watching() as other:
        for verb, body, state in (
            ("refund", part, "partially_refunded"),
            ("fulfil", {}, "fulfilled"),
            ("refund", {"restock": True}, "refunded"),
        ):
            assert (await change(stage, order["id"], verb, body)).status_code == 200
            assert (await updated(watching, state))["id"] == order["id"]
        assert watching.reservations[order["lines"][0]["reservation"]]["state"] == "released"
        await other.request({"type": "ping"})
        assert not any(message["type"] == "order.updated" for message in other.messages)


async def test_orders_outlive_their_show(stage: Stage) -> None:
    """Once the store has let a show go its host still lists, sees and pays back its orders; nobody else does."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Gone", "currency": "EUR"})
    stage.show = made.json()["id"]
    await stage.host("POST", f"/v1/shows/{stage.show}/start")
    buyer = stage.viewer()
    order, _ = await bought(stage, 1, buyer=buyer)
    assert (await stage.host("POST", f"/v1/shows/{stage.show}/end")).status_code == 200
    client = connect(stage.server.store_url)
    try:

        async def retired() -> bool:
            return not await client.sismember(key("active"), stage.show)

        await wait_for(retired, "the show is retired", 25)
        await client.delete(*[place async for place in client.scan_iter(f"*{stage.show}*")])
    finally:
        await client.aclose()
    assert_problem(await stage.host("GET", f"/v1/shows/{stage.show}"), 404, "not-found")
    for token in (stage.server.token(Role.HOST, "host"), stage.server.token(Role.HOST, "any", stage.show)):
        listed = await stage.call("GET", f"/v1/shows/{stage.show}/orders", token)
        assert [each["id"] for each in listed.json()["items"]] == [order["id"]]
    stranger = stage.server.token(Role.HOST, "stranger", "sh_other")
    for method, path in (
        ("GET", f"/v1/shows/{stage.show}/orders"),
        ("GET", f"/v1/orders/{order['id']}"),
        ("POST", f"/v1/orders/{order['id']}/refund"),
    ):
        assert_problem(await stage.call(method, path, stranger), 403, "not-allowed")
    assert (await stage.call("GET", f"/v1/orders/{order['id']}", buyer)).json()["status"] == "paid"
    done = await change(stage, order["id"], "refund", {"restock": True})
    assert (done.status_code, done.json()["status"]) == (200, "refunded")
    assert_problem(await stage.host("GET", "/v1/shows/sh_none/orders"), 404, "not-found", "sh_none")
