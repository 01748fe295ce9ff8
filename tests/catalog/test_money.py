"""Decimal text into minor units."""

from __future__ import annotations

from decimal import Decimal

import pytest
from babel.numbers import get_currency_precision
from hypothesis import given, settings
from hypothesis import strategies as st

from server.catalog.money import DECIMALS, MOST, _currencies, currency_code, decimals, minor_units
from server.errors import Code, Problem

CURRENCIES = st.sampled_from(["EUR", "USD", "JPY", "KWD", "CLF", "HUF"])


def tried(text: str, currency: str) -> int | Code:
    """Return the amount, or the code of the problem."""
    try:
        return minor_units(text, currency)
    except Problem as problem:
        return problem.code


@pytest.mark.parametrize(
    ("text", "currency", "expected"),
    [
        ("9.99", "EUR", 999),
        ("500", "EUR", 50_000),
        (" 0.10 ", "EUR", 10),
        (".5", "EUR", 50),
        ("5.", "EUR", 500),
        ("007.50", "EUR", 750),
        ("9.9900000", "EUR", 999),
        ("0", "EUR", 0),
        ("1200", "JPY", 1200),
        ("1200.00", "JPY", 1200),
        ("1.234", "KWD", 1234),
        ("1.2345", "CLF", 12_345),
        ("1000000000", "EUR", MOST),
    ],
)
def test_a_price_becomes_minor_units(text: str, currency: str, expected: int) -> None:
    """A decimal price is its exact number of minor units; zeros behind the currency's decimals mean nothing."""
    assert minor_units(text, currency) == expected


@pytest.mark.parametrize(
    ("text", "currency", "sentence"),
    [
        ("9.999", "EUR", "'9.999' has 3 decimals, EUR has 2"),
        ("0.5", "JPY", "'0.5' has 1 decimals, JPY has 0"),
        ("1.0001", "KWD", "'1.0001' has 4 decimals, KWD has 3"),
        ("1000000000.01", "EUR", "'1000000000.01' is more than 100000000000 minor units of EUR"),
        ("9" * 100_000, "EUR", "is more than 100000000000 minor units of EUR"),
        ("", "EUR", "'' is not a price"),
        (".", "EUR", "'.' is not a price"),
        ("-1", "EUR", "'-1' is not a price"),
        ("+1", "EUR", r"'\+1' is not a price"),
        ("NaN", "EUR", "'NaN' is not a price"),
        ("Infinity", "EUR", "'Infinity' is not a price"),
        ("1e3", "EUR", "'1e3' is not a price"),
        ("1,50", "EUR", "'1,50' is not a price"),
        ("1 000", "EUR", "'1 000' is not a price"),
        ("€5", "EUR", "'€5' is not a price"),
        ("٣", "EUR", "'٣' is not a price"),
        ("1.5\n2", "EUR", r"'1.5\\n2' is not a price"),
    ],
)
def test_what_is_not_exactly_a_price_is_refused(text: str, currency: str, sentence: str) -> None:
    """Too many decimals, signs, exponents, commas and other digits are refused with what was given."""
    with pytest.raises(Problem, match=sentence) as refused:
        minor_units(text, currency)
    assert refused.value.code is Code.INVALID_MESSAGE
    assert len(refused.value.detail) < 200


@pytest.mark.parametrize("code", ["EUA", "", "EURO", "DEM", "XXX", "XAU", "€", "12"])
def test_an_unknown_currency_is_refused(code: str) -> None:
    """What is no currency in use is named: typing errors, old currencies, gold."""
    with pytest.raises(Problem, match="is not a currency in use"):
        minor_units("1", code)


def test_a_currency_may_be_written_small() -> None:
    """`eur` is EUR."""
    assert currency_code(" eur ") == "EUR"


def test_decimals_are_those_of_iso_4217() -> None:
    """The 26 currencies of ISO 4217 without hundredths are known, and only there do we leave the usual two."""
    assert {code: decimals(code) for code in DECIMALS} == DECIMALS
    assert len(DECIMALS) == 26
    assert all(decimals(code) == 2 for code in _currencies() - DECIMALS.keys())


def test_babel_alone_would_be_wrong() -> None:
    """The table is needed: for these currencies babel's number of decimals is not that of ISO 4217."""
    differing = {code for code in _currencies() if get_currency_precision(code) != decimals(code)}
    assert differing >= {"AFN", "ALL", "IQD", "LAK", "LBP", "MMK", "RSD", "SOS", "SYP", "YER"}


@settings(deadline=None)  # a busy machine is no failure
@given(CURRENCIES, st.integers(0, MOST), st.integers(0, 5))
def test_every_amount_comes_back(currency: str, amount: int, zeros: int) -> None:
    """Writing any amount as a decimal and reading it gives the same amount, with any number of zeros behind."""
    text = f"{Decimal(amount).scaleb(-decimals(currency)):f}"
    assert minor_units(text, currency) == amount
    with_point = text if "." in text else text + "."
    assert minor_units(with_point + "0" * zeros, currency) == amount


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(max_size=30) | st.from_regex(r"[0-9.eE+-]{1,12}", fullmatch=True), CURRENCIES)
def test_any_text_is_exact_or_refused(text: str, currency: str) -> None:
    """Whatever the text: either the exact amount between 0 and 10**11, or `invalid-message`."""
    amount = tried(text, currency)
    if isinstance(amount, Code):
        assert amount is Code.INVALID_MESSAGE
    else:
        assert 0 <= amount <= MOST
        assert Decimal(text.strip().rstrip(".")).scaleb(decimals(currency)) == amount
