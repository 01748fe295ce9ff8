"""Payment methods at the HTTP door: the list is what checkout takes, by currency and by the buyer's country."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.auth import Role
from tests.problems import assert_problem

if TYPE_CHECKING:
    from tests.stage import Stage

METHODS = ("card", "wallet", "upi", "ideal", "boleto", "pix", "alipay", "wechat_pay", "mpesa")


async def listed(stage: Stage, query: str) -> list[dict[str, Any]]:
    """Return what the list has for a query."""
    answer = await stage.call("GET", f"/v1/payments/methods{query}", stage.viewer())
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_cursor"] is None
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.parametrize(
    ("query", "offered"),
    [
        ("", "card wallet"),
        ("?currency=EUR", "card wallet"),
        ("?currency=&country=", "card wallet"),
        ("?currency=EUR&country=NL", "card wallet ideal"),
        ("?currency=BRL&country=BR", "card wallet boleto pix"),
        ("?currency=USD&country=BR", "card wallet"),
        ("?country=IN", "card wallet upi"),
        ("?currency=KES&country=KE", "card wallet mpesa"),
    ],
)
async def test_the_list_is_for_a_place(stage: Stage, query: str, offered: str) -> None:
    """Each item names its method, its provider and whether the answer comes at once."""
    items = await listed(stage, query)
    assert [item["method"] for item in items] == offered.split()
    for item in items:
        assert item.keys() == {"method", "provider", "synchronous"}
        assert item["provider"] == "sandbox"
        assert item["synchronous"] is (item["method"] in {"card", "wallet"})


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?currency=eur", "currency: an ISO 4217 code such as EUR is expected, given 'eur'."),
        ("?currency=EURO", "given 'EURO'"),
        ("?currency=E1R", "given 'E1R'"),
        ("?currency=%C3%89UR", "currency: an ISO 4217 code"),
        (
            "?currency=EUR&country=DEU",
            "country: an ISO 3166-1 alpha-2 code such as DE is expected, given 'DEU'.",
        ),
        ("?country=%00%0A", "country: an ISO 3166-1"),
    ],
)
async def test_a_code_that_is_none_is_refused(stage: Stage, query: str, said: str) -> None:
    """The sentence says what is expected and what was given."""
    answer = await stage.call("GET", f"/v1/payments/methods{query}", stage.viewer())
    assert_problem(answer, 422, "invalid-message", said)


@pytest.mark.parametrize("country", ["", "NL", "nl", "BR"])
async def test_checkout_takes_what_is_listed_and_nothing_else(stage: Stage, country: str) -> None:
    """For the show's currency and the address's country each method of the table is paid with, or refused by name.

    Where the list says that the answer comes later, it is 202 and a page.
    """
    items = await listed(stage, f"?currency=EUR&country={country.upper()}")
    offered = {item["method"]: item["synchronous"] for item in items}
    drop = await stage.drop(len(METHODS), limit_per_viewer=len(METHODS))
    buyer = stage.viewer()
    for method in METHODS:
        taken = await stage.reserve(buyer, drop)
        body = {
            "reservations": [taken.json()["id"]],
            "payment": {"method": method, "token": "tok_ok"},
            **({"shipping_address": {"country": country}} if country else {}),
        }
        answer = await stage.call("POST", "/v1/checkout", buyer, key=ids.secret(8), json=body)
        if method in offered:
            assert answer.status_code == (201 if offered[method] else 202), answer.text
            assert ("action_url" in answer.json()["order"]) is not offered[method]
        else:
            place = f"in EUR for {country.upper() or 'an unknown country'}"
            said = f"payment.method: {method} is not offered {place}; this shop takes card, wallet"
            assert_problem(answer, 422, "invalid-message", said)
    assert (await stage.stock(drop))["sold"] == list(offered.values()).count(True)


async def test_a_method_of_nowhere_in_a_show_of_nowhere(stage: Stage) -> None:
    """A method that depends on the show's currency cannot be had for a show that does not exist."""
    everywhere = stage.server.token(Role.VIEWER, "anybody")
    body = {"reservations": ["rs_none_x"], "payment": {"method": "pix", "token": "tok_ok"}}
    answer = await stage.call("POST", "/v1/checkout", everywhere, key=ids.secret(8), json=body)
    assert_problem(answer, 404, "not-found", "sh_none")


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "//shop.example", "https://", "https://a b", "http://a\n"]
)
async def test_the_way_back_is_a_web_address(stage: Stage, address: str) -> None:
    """Where a buyer comes back to is a page, or the checkout is refused."""
    buyer = stage.viewer()
    taken = await stage.reserve(buyer, await stage.drop(1))
    payment = {"method": "card", "token": "tok_ok", "return_url": address}
    body = {"reservations": [taken.json()["id"]], "payment": payment}
    answer = await stage.call("POST", "/v1/checkout", buyer, key=ids.secret(8), json=body)
    assert_problem(answer, 422, "invalid-message", "payment.return_url")
    payment["return_url"] = "https://shop.example/thanks?order=1"
    paid = await stage.call("POST", "/v1/checkout", buyer, key=ids.secret(8), json=body)
    assert paid.status_code == 201, paid.text
