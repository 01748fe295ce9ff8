"""The table of payment methods: what is offered where, by whom, and what the registry says about the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.errors import Problem
from server.house import build
from server.payments.methods import TABLE, Method, Methods, captures_separately
from server.settings import Settings, SettingsError, table
from tests.server import SECRET

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk_test_standin"


class Named:
    """As much of a provider as the registry needs."""

    def __init__(self, name: str) -> None:
        self.name = name


def registry(*providers: str) -> Methods:
    """Return the registry of a deployment with these providers."""
    named: list[Any] = [Named(name) for name in providers]
    return Methods(named, TABLE)


BOTH = registry("sandbox", "stripe")


@pytest.mark.parametrize(
    ("currency", "country", "offered"),
    [
        ("EUR", "", "card wallet"),
        ("EUR", "DE", "card wallet"),
        ("EUR", "NL", "card wallet ideal"),
        ("EUR", "CN", "card wallet alipay wechat_pay"),
        ("USD", "NL", "card wallet"),
        ("USD", "CN", "card wallet alipay wechat_pay"),
        ("NZD", "CN", "card wallet alipay"),
        ("SEK", "CN", "card wallet wechat_pay"),
        ("INR", "IN", "card wallet upi"),
        ("INR", "US", "card wallet"),
        ("BRL", "BR", "card wallet boleto pix"),
        ("BRL", "", "card wallet"),
        ("KES", "KE", "card wallet mpesa"),
        ("KES", "TZ", "card wallet"),
        ("XAF", "CM", "card wallet"),
        ("", "", "card wallet"),
        ("", "BR", "card wallet boleto pix"),
        ("EUR", "ZZ", "card wallet"),
    ],
)
def test_what_is_offered_where(currency: str, country: str, offered: str) -> None:
    """A method needs its currency and its country; an unknown country leaves what works in every one."""
    assert [method.name for method in BOTH.offered(currency, country)] == offered.split()


@pytest.mark.parametrize("method", TABLE, ids=lambda row: f"{row.name}-{row.provider}")
def test_every_row_can_be_offered(method: Method) -> None:
    """Each row is offered in each of its places by a deployment that has its provider, and refused elsewhere."""
    alone = registry(method.provider)
    for currency in method.currencies or {"EUR", "JPY", "KWD"}:
        for country in method.countries or {"", "DE", "BR"}:
            assert method in alone.offered(currency, country)
            assert alone.require(method.name, currency, country) == method
    if not method.everywhere:
        with pytest.raises(Problem):
            alone.require(method.name, "XTS", "AQ")


def test_the_table() -> None:
    """Every method of the contract is there; what is not answered at once reserves nothing; codes are codes."""
    names = {row.name for row in TABLE}
    assert names == {"card", "wallet", "upi", "ideal", "boleto", "pix", "alipay", "wechat_pay", "mpesa"}
    assert all(row.synchronous == row.separate_capture == captures_separately(row.name) for row in TABLE)
    assert not captures_separately("shells")
    for row in TABLE:
        assert all(len(code) == 3 and code.isupper() for code in row.currencies)
        assert all(len(code) == 2 and code.isupper() for code in row.countries)
    assert len({(row.name, row.provider) for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize(
    ("providers", "by_stripe", "by_sandbox"),
    [
        (["stripe"], 8, 0),
        (["sandbox"], 0, 9),
        (["sandbox", "stripe"], 8, 1),
        (["stripe", "sandbox"], 8, 1),
        ([], 0, 0),
    ],
)
def test_who_carries_a_method_out(providers: list[str], by_stripe: int, by_sandbox: int) -> None:
    """Stripe where it is there, else the sandbox, whatever the order in which they are named; nobody without either."""
    methods = registry(*providers)
    served = {row.name: methods.provider_of(row.name) for row in TABLE if row.provider in providers}
    assert list(served.values()).count("stripe") == by_stripe
    assert list(served.values()).count("sandbox") == by_sandbox
    assert [provider.name for provider in methods.providers()] == providers


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    """The sentence names what this shop takes."""
    with pytest.raises(
        Problem, match=r"unknown method; this shop takes card, wallet, upi, .+, wechat_pay, mpesa"
    ):
        BOTH.provider_of("shells")
    with pytest.raises(Problem, match="this shop takes none"):
        registry().provider_of("card")


def test_a_method_that_is_not_offered_there_is_refused() -> None:
    """The sentence names the place, and what can be had there."""
    with pytest.raises(Problem, match="pix is not offered in EUR for BR; this shop takes card, wallet"):
        BOTH.require("pix", "EUR", "BR")
    with pytest.raises(Problem, match="ideal is not offered in EUR for an unknown country"):
        BOTH.require("ideal", "EUR", "")
    assert BOTH.require("ideal", "EUR", "NL").provider == "stripe"


def test_an_order_finds_the_provider_that_it_was_recorded_with() -> None:
    """Also one that offers nothing any more, because another one comes first."""
    methods = registry("old", "sandbox")
    assert methods.provider("old").name == "old"


@pytest.mark.parametrize(
    ("given", "providers"),
    [
        ({}, ["sandbox"]),
        ({"stripe_secret_key": KEY}, ["stripe", "sandbox"]),
        ({"env": "production"}, []),
        ({"env": "production", "stripe_secret_key": KEY}, ["stripe"]),
    ],
)
async def test_what_a_deployment_has(given: dict[str, Any], providers: list[str], tmp_path: Path) -> None:
    """Stripe where its key is set, the sandbox only where nothing is for real."""
    house = build(Settings(redis_url="redis://127.0.0.1:1", data=tmp_path, secret=SECRET, **given))
    try:
        assert [provider.name for provider in house.methods.providers()] == providers
    finally:
        await house.aclose()


def test_the_keys_are_hidden() -> None:
    """Neither the settings' text, nor an error, nor the listing shows a key; a key that is none is an error."""
    given = {"LIVEDROP_STRIPE_SECRET_KEY": KEY, "LIVEDROP_STRIPE_WEBHOOK_SECRET": "whsec_hidden"}
    settings = Settings.load(given)
    assert (settings.stripe_secret_key, settings.stripe_webhook_secret) == (KEY, "whsec_hidden")
    assert KEY not in repr(settings)
    assert "whsec_hidden" not in repr(settings)
    for name in given:
        with pytest.raises(SettingsError, match=f"{name}: its value is not valid") as refused:
            Settings.load({name: "pk_visible"})
        assert "pk_visible" not in str(refused.value)
    with pytest.raises(SettingsError, match="LIVEDROP_STRIPE_API_BASE: 'stripe' is not valid"):
        Settings.load({"LIVEDROP_STRIPE_API_BASE": "stripe"})
    assert {name for name, *_ in table()} >= {*given, "LIVEDROP_STRIPE_API_BASE"}
