"""Every row of the contract's HTTP table for buyers: reserve, look, release, pay, and see the order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.auth import Role
from tests.problems import assert_problem
from tests.stage import MUG_PRICE
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.stage import Stage

RESERVATION = {"id", "drop", "sku", "quantity", "state", "unit_price", "currency", "expires_at"}
ORDER = {"id", "show", "status", "lines", "total", "currency", "payment", "created_at"}
LINE = {"sku", "drop", "reservation", "quantity", "unit_price"}
CARD = {"method": "card", "token": "tok_ok"}


async def taken(stage: Stage, token: str, drop: str, quantity: int = 1) -> str:
    """Return the id of a fresh reservation."""
    answer = await stage.reserve(token, drop, quantity)
    assert answer.status_code == 201, answer.text
    reservation: str = answer.json()["id"]
    return reservation


async def test_a_reservation_and_its_life(stage: Stage) -> None:
    """Taking is 201 with every member; looking shows the same; releasing is repeatable and gives the units back."""
    drop, viewer = await stage.drop(3, limit_per_viewer=2, hold_seconds=60), stage.viewer()
    made = await stage.reserve(viewer, drop, 2)
    reservation = made.json()
    assert (made.status_code, reservation.keys()) == (201, RESERVATION)
    assert (reservation["state"], reservation["quantity"], reservation["drop"]) == ("held", 2, drop)
    assert (reservation["unit_price"], reservation["currency"]) == (MUG_PRICE, "EUR")
    assert reservation["id"].startswith("rs_")
    path = f"/v1/reservations/{reservation['id']}"
    assert (await stage.call("GET", path, viewer)).json() == reservation
    assert stage.numbers(await stage.stock(drop)) == (1, 2, 0)
    for _ in range(2):
        released = await stage.call("DELETE", path, viewer)
        assert (released.status_code, released.json()["state"]) == (200, "released")
    assert stage.numbers(await stage.stock(drop)) == (3, 0, 0)


async def test_sold_out_says_what_there_is(stage: Stage) -> None:
    """409 `out-of-stock` has the true `available` and what others hold; the limit says how much is taken."""
    drop, viewer = await stage.drop(3, limit_per_viewer=3), stage.viewer()
    await taken(stage, viewer, drop, 2)
    refused = await stage.reserve(stage.viewer(), drop, 3)
    assert_problem(refused, 409, "out-of-stock", "Asked for 3, 1 available; 2 held by others may come back.")
    assert refused.json()["available"] == 1
    limited = await stage.reserve(viewer, drop, 2)
    assert_problem(limited, 409, "limit-reached", "Asked for 2, the limit per viewer is 3 and 2 are taken.")


@pytest.mark.parametrize("identifier", ["rs_none", "rs_abc_def", "nonsense", "rs_%00_x", "{}", "x" * 300])
async def test_there_is_no_such_reservation_or_order(stage: Stage, identifier: str) -> None:
    """Ids that name nothing are 404, however they look; one of a show that is not named in the token is 403."""
    everywhere = stage.server.token(Role.VIEWER, "anybody")
    for method, path in (("GET", "reservations"), ("DELETE", "reservations"), ("GET", "orders")):
        assert_problem(await stage.call(method, f"/v1/{path}/{identifier}", everywhere), 404, "not-found")
    assert_problem(
        await stage.pay(everywhere, identifier),
        404 if len(identifier) <= 128 else 422,
        *(["not-found"] if len(identifier) <= 128 else ["invalid-message"]),
    )


@pytest.mark.parametrize("kind", ["or", "dr"])
async def test_a_reservation_has_one_name(stage: Stage, kind: str) -> None:
    """By its own part under another kind it can be neither read, given back, receipted nor paid, alone or twice."""
    viewer = stage.viewer()
    mine = await taken(stage, viewer, await stage.drop(1))
    alias = f"{kind}_{mine[3:]}"
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/receipt")):
        answer = await stage.call(method, f"/v1/reservations/{alias}{path}", viewer)
        assert_problem(answer, 404, "not-found", "There is no reservation")
    assert_problem(await stage.pay(viewer, alias), 404, "not-found", "There is no reservation")
    assert_problem(await stage.pay(viewer, mine, alias), 422, "invalid-message", "belong to one show")
    async with stage.watching(viewer) as watching:
        assert (await watching.release(alias))["code"] == "not-found"
    assert (await stage.call("GET", f"/v1/reservations/{mine}", viewer)).json()["state"] == "held"


async def test_checkout_makes_one_order_of_several_reservations(stage: Stage) -> None:
    """201 with the whole order, that its buyer and the show's host find again, and nobody else."""
    first, second = await stage.drop(5, unit_price=100), await stage.drop(5, limit_per_viewer=3)
    buyer = stage.viewer()
    mine = [await taken(stage, buyer, first), await taken(stage, buyer, second, 3)]
    address = {"name": "A. Buyer", "line1": "Street 1", "city": "Town", "country": "DE"}
    total = 100 + 3 * MUG_PRICE
    paid = await stage.pay(
        buyer, *mine, email="a@b.example", shipping_address=address, locale="de-DE", expected_total=total
    )
    assert paid.status_code == 201, paid.text
    order = paid.json()["order"]
    assert paid.json().keys() == {"order"}
    assert order.keys() >= ORDER
    assert (order["status"], order["payment"]) == ("paid", {"provider": "sandbox", "status": "captured"})
    assert (order["show"], order["total"], order["currency"]) == (stage.show, total, "EUR")
    assert all(line.keys() >= LINE for line in order["lines"])
    lines = [
        (line["drop"], line["reservation"], line["quantity"], line["unit_price"]) for line in order["lines"]
    ]
    assert lines == [(first, mine[0], 1, 100), (second, mine[1], 3, MUG_PRICE)]
    path = f"/v1/orders/{order['id']}"
    for looked in (await stage.call("GET", path, buyer), await stage.host("GET", path)):
        assert looked.json().items() >= order.items()
        assert (looked.json()["email"], looked.json()["shipping_address"]) == ("a@b.example", address)
    for token in (
        stage.viewer(),
        stage.server.token(Role.MODERATOR, "help", stage.show),
        stage.server.token(Role.HOST, "another-host"[::-1], "sh_other"),
        stage.server.token(Role.SERVICE, "shop"),
    ):
        assert_problem(await stage.call("GET", path, token), 403, "not-allowed")
    for drop, left in ((first, (4, 0, 1)), (second, (2, 0, 3))):
        assert stage.numbers(await stage.stock(drop)) == left
    sold = await stage.call("DELETE", f"/v1/reservations/{mine[0]}", buyer)
    assert_problem(sold, 409, "wrong-state", "This reservation is sold.")


@pytest.mark.parametrize("card", ["tok_declined", "tok_insufficient_funds"])
async def test_a_declined_payment_leaves_the_reservation(stage: Stage, card: str) -> None:
    """402; the reservation is held until its old deadline and can be paid with another card."""
    drop, buyer = await stage.drop(2), stage.viewer()
    mine = await taken(stage, buyer, drop)
    before = (await stage.call("GET", f"/v1/reservations/{mine}", buyer)).json()
    assert_problem(await stage.pay(buyer, mine, card=card), 402, "payment-declined", "card")
    assert (await stage.call("GET", f"/v1/reservations/{mine}", buyer)).json() == before
    assert (await stage.pay(buyer, mine)).status_code == 201


async def test_a_checkout_that_cannot_be(stage: Stage) -> None:
    """Another total, a lapsed and a sold reservation are refused with their numbers; nothing is half done."""
    drop, brief, buyer = (
        await stage.drop(5, limit_per_viewer=5),
        await stage.drop(5, hold_seconds=1),
        stage.viewer(),
    )
    mine, short = await taken(stage, buyer, drop), await taken(stage, buyer, brief)
    changed = await stage.pay(buyer, mine, expected_total=1)
    assert_problem(changed, 409, "total-changed", f"The total is {MUG_PRICE}, not 1 minor units.")
    assert changed.json()["current_total"] == MUG_PRICE

    async def lapsed() -> bool:
        return bool(
            (await stage.call("GET", f"/v1/reservations/{short}", buyer)).json()["state"] == "expired"
        )

    await wait_for(lapsed, "the short reservation lapsed")
    assert_problem(await stage.pay(buyer, mine, short), 410, "reservation-expired", short)
    assert (await stage.call("GET", f"/v1/reservations/{mine}", buyer)).json()["state"] == "held"
    assert (await stage.pay(buyer, mine)).status_code == 201
    again = await stage.pay(buyer, mine)
    assert_problem(again, 409, "wrong-state", f"Reservation {mine} is sold.")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reservations": []}, "reservations: Expected `array` of length >= 1"),
        ({"reservations": ["rs_a_b"] * 2}, "2 are named, one of them more than once"),
        ({"reservations": ["rs_a_b", "rs_c_d"]}, "all of an order belong to one show"),
        (
            {"reservations": [f"rs_a_{n}" for n in range(21)]},
            "reservations: Expected `array` of length <= 20",
        ),
        ({"payment": {"method": "shells", "token": "x"}}, "unknown method; this shop takes card"),
        ({"payment": {"method": "card"}}, "payment: Object missing required field `token`"),
        ({"email": "nobody"}, "email: Expected `str` matching regex"),
        ({"email": "a@b.example\nBcc: c@d.example"}, "email: Expected `str` matching regex"),
        ({"email": "a\0@b.example"}, "email: Expected `str` matching regex"),
        ({"shipping_address": {"line1": "\0"}}, "shipping_address.line1: Expected `str` matching regex"),
        (
            {"shipping_address": {"line1": "x" * 201}},
            "shipping_address.line1: Expected `str` of length <= 200",
        ),
        ({"locale": "de\0"}, "locale: Expected `str` matching regex"),
        ({"expected_total": -1}, "expected_total: Expected `int` >= 0, given -1."),
    ],
)
async def test_a_bad_checkout_is_refused(stage: Stage, change: dict[str, Any], said: str) -> None:
    """Each field is checked before anything is claimed, and the sentence names it."""
    body = {"reservations": ["rs_a_b"], "payment": CARD, **change}
    everywhere = stage.server.token(Role.VIEWER, "anybody")
    answer = await stage.call("POST", "/v1/checkout", everywhere, key=ids.secret(8), json=body)
    assert_problem(answer, 422, "invalid-message", said)


async def test_the_hosts_orders_and_figures(stage: Stage) -> None:
    """The host sees every order once, newest first, page by page; the figures count what was sold."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Sales", "currency": "EUR"})
    stage.show = made.json()["id"]
    await stage.host("POST", f"/v1/shows/{stage.show}/start")
    drop = await stage.drop(9, limit_per_viewer=9)
    buyers = [stage.viewer() for _ in range(5)]
    sold = []
    for buyer in buyers:
        paid = await stage.pay(buyer, await taken(stage, buyer, drop))
        sold.append(paid.json()["order"])
    path = f"/v1/shows/{stage.show}/orders"
    assert (await stage.host("GET", path)).json()["items"] == sold[::-1]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await stage.host("GET", f"{path}?limit=2{cursor and f'&cursor={cursor}'}")).json()
        seen += [order["id"] for order in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [order["id"] for order in sold[::-1]]
    await stage.reserve(stage.viewer(), drop, 9)
    figures = (await stage.host("GET", f"/v1/shows/{stage.show}/metrics")).json()
    counted = {name: figures[name] for name in ("orders", "units_sold", "gmv", "currency", "unmet_demand")}
    assert counted == {
        "orders": 5, "units_sold": 5, "gmv": 5 * MUG_PRICE, "currency": "EUR", "unmet_demand": 9,
    }  # fmt: skip


async def test_the_payment_methods(stage: Stage) -> None:
    """Everybody sees which methods checkout takes."""
    answer = await stage.call("GET", "/v1/payments/methods?currency=EUR&country=DE", stage.viewer())
    assert answer.status_code == 200
    assert {"method": "card", "provider": "sandbox"}.items() <= answer.json()["items"][0].items()
    assert answer.json()["next_cursor"] is None
