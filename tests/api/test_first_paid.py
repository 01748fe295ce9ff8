"""Drops that hold nothing, through the HTTP door: the first who pays gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.auth import Role
from tests.problems import assert_problem
from tests.stage import MUG_PRICE

if TYPE_CHECKING:
    import httpx

    from tests.stage import Stage


async def buy(
    stage: Stage,
    token: str,
    *units: tuple[str, int],
    card: str = "tok_ok",
    key: str | None = None,
    **more: Any,
) -> httpx.Response:
    """Check out items."""
    items = [{"drop": drop, "quantity": quantity} for drop, quantity in units]
    body = {"items": items, "payment": {"method": "card", "token": card}, **more}
    return await stage.call("POST", "/v1/checkout", token, key=key or ids.secret(8), json=body)


async def test_who_pays_has_it(stage: Stage) -> None:
    """201 with an order whose lines are reservations sold; nothing was held before, nothing is held after."""
    first, second = (
        await stage.drop(2, mode="first_paid", limit_per_viewer=2),
        await stage.drop(5, mode="first_paid"),
    )
    assert (await stage.stock(first))["waitlist"] is False
    buyer = stage.viewer()
    paid = await buy(stage, buyer, (first, 2), (second, 1), expected_total=3 * MUG_PRICE)
    assert paid.status_code == 201, paid.text
    order = paid.json()["order"]
    assert [(line["drop"], line["quantity"]) for line in order["lines"]] == [(first, 2), (second, 1)]
    assert (order["status"], order["total"]) == ("paid", 3 * MUG_PRICE)
    mine = await stage.call("GET", f"/v1/reservations/{order['lines'][0]['reservation']}", buyer)
    assert mine.json()["state"] == "sold"
    assert stage.numbers(await stage.stock(first)) == (0, 0, 2)
    late = await buy(stage, stage.viewer(), (first, 1))
    assert_problem(late, 409, "out-of-stock", "Asked for 1, 0 available; all are sold.")


async def test_reserving_such_a_drop_says_how_to_buy(stage: Stage) -> None:
    """409 with the way: check out with `items`; and what holds its units is not bought that way."""
    drop, fifo = await stage.drop(1, mode="first_paid"), await stage.drop(1)
    assert_problem(await stage.reserve(stage.viewer(), drop), 409, "wrong-state", "`items`")
    assert_problem(await buy(stage, stage.viewer(), (fifo, 1)), 409, "wrong-state", "reserve first")
    mixed = await buy(stage, stage.viewer(), (drop, 1), (fifo, 1))
    assert_problem(mixed, 409, "wrong-state")
    assert stage.numbers(await stage.stock(drop)) == (1, 0, 0)


@pytest.mark.parametrize("card", ["tok_declined", "tok_insufficient_funds"])
async def test_a_decline_lets_go_at_once(stage: Stage, card: str) -> None:
    """402, and the units are there for the next; the same key replays the 402, another one buys."""
    drop, buyer, key = await stage.drop(1, mode="first_paid"), stage.viewer(), ids.secret(8)
    declined = await buy(stage, buyer, (drop, 1), card=card, key=key)
    assert_problem(declined, 402, "payment-declined")
    assert stage.numbers(await stage.stock(drop)) == (1, 0, 0)
    again = await buy(stage, buyer, (drop, 1), card=card, key=key)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (402, "true")
    assert (await buy(stage, buyer, (drop, 1))).status_code == 201


async def test_another_total_lets_go_at_once(stage: Stage) -> None:
    """409 `total-changed` takes nothing."""
    drop = await stage.drop(1, mode="first_paid")
    refused = await buy(stage, stage.viewer(), (drop, 1), expected_total=1)
    assert_problem(refused, 409, "total-changed", f"The total is {MUG_PRICE}, not 1 minor units.")
    assert stage.numbers(await stage.stock(drop)) == (1, 0, 0)


async def test_while_somebody_pays_the_units_are_theirs(stage: Stage) -> None:
    """A payment whose outcome is not known yet keeps its units from others, and ends as an order."""
    drop = await stage.drop(1, mode="first_paid")
    pending = await buy(stage, stage.viewer(), (drop, 1), card="tok_timeout_then_ok")
    assert (pending.status_code, pending.json()["order"]["status"]) == (202, "confirming")
    refused = await buy(stage, stage.viewer(), (drop, 1))
    assert_problem(refused, 409, "out-of-stock", "1 held by others may come back")
    await stage.until_stock(drop, (0, 0, 1), seconds=40)


async def test_limits_hold_for_who_pays_first(stage: Stage) -> None:
    """The limit per viewer counts what was bought, and is checked before anything is asked of the provider."""
    drop, buyer = await stage.drop(5, mode="first_paid"), stage.viewer()
    assert (await buy(stage, buyer, (drop, 1))).status_code == 201
    refused = await buy(stage, buyer, (drop, 1))
    assert_problem(refused, 409, "limit-reached", "the limit per viewer is 1 and 1 are taken")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"items": None}, "exactly one of the two says what is paid"),
        ({"reservations": ["rs_a_b"]}, "exactly one of the two says what is paid"),
        ({"items": []}, "items: Expected `array` of length >= 1"),
        (
            {"items": [{"drop": "dr_a_b", "quantity": 1}] * 2},
            "items: 2 are named, one drop of them more than",
        ),
        (
            {"items": [{"drop": f"dr_{n}_b", "quantity": 1} for n in "ab"]},
            "items: all of an order belong to one show.",
        ),
        ({"items": [{"drop": "dr_a_b", "quantity": 0}]}, "items[0].quantity: Expected `int` >= 1"),
    ],
)
async def test_bad_items_are_refused(stage: Stage, change: dict[str, Any], said: str) -> None:
    """Either reservations or items, of one show, no drop twice."""
    payment = {"method": "card", "token": "tok_ok"}
    body = {"items": [{"drop": "dr_a_b", "quantity": 1}], "payment": payment, **change}
    everywhere = stage.server.token(Role.VIEWER, "anybody")
    answer = await stage.call("POST", "/v1/checkout", everywhere, key=ids.secret(8), json=body)
    assert_problem(answer, 422, "invalid-message", said)


async def test_items_of_what_is_not_there(stage: Stage) -> None:
    """An id that names no drop is 404; one of a show that is not named in the token is 403."""
    everywhere = stage.server.token(Role.VIEWER, "anybody")
    for drop in ("nonsense", f"dr_{stage.show[3:]}_none"):
        assert_problem(await buy(stage, everywhere, (drop, 1)), 404, "not-found", drop)
    elsewhere = stage.server.token(Role.VIEWER, "anybody", "sh_elsewhere")
    drop = await stage.drop(1, mode="first_paid")
    assert_problem(await buy(stage, elsewhere, (drop, 1)), 403, "not-allowed", stage.show)
