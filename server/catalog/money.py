"""Decimal text into whole minor units of a currency, exactly or not at all. Never a float, never rounded.

Which currencies there are comes from babel. How many decimals each has comes from ISO 4217, in a table:
the CLDR data in babel says how prices are usually shown, so it gives none to AFN, LAK or RSD, which have two,
and none to IQD, which has three.
"""

from __future__ import annotations

import re
from functools import lru_cache

from babel import Locale
from babel.numbers import get_territory_currencies

from server.catalog.feed import quoted
from server.errors import Code, Problem

MOST = 10**11  # minor units: far above any price, far below what a 64-bit sum of many could not hold
USUAL_DECIMALS = 2

# ISO 4217:2015, the currencies whose minor unit is not a hundredth. UYI, CLF, UYW are units of account.
DECIMALS: dict[str, int] = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}

_PRICE = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?")


def currency_code(text: str) -> str:
    """Return the ISO 4217 code in capitals. Raises `invalid-message` for anything but a currency in use."""
    code = text.strip().upper()
    if code not in _currencies():
        raise _invalid(f"{quoted(text)} is not a currency in use: expected an ISO 4217 code such as EUR")
    return code


def decimals(currency: str) -> int:
    """Return how many decimals a currency's amounts have: EUR 2, JPY 0, KWD 3."""
    code = currency_code(currency)
    return DECIMALS.get(code, USUAL_DECIMALS)


def minor_units(text: str, currency: str) -> int:
    """Return a price such as `9.99` in minor units of `currency`, 0 to 10**11.

    Takes digits with at most one point; further zeros behind the currency's decimals are fine. Raises
    `invalid-message` with a sentence that says what is wrong, for a feed's row or a form's field.
    """
    digits = decimals(currency)
    price = text.strip()
    match = _PRICE.fullmatch(price)
    if match is None or not (match["whole"] or match["part"]):
        raise _invalid(f"{quoted(text)} is not a price: expected digits and a point, such as 9.99")
    part = (match["part"] or "").rstrip("0")
    if len(part) > digits:
        raise _invalid(f"{quoted(price)} has {len(part)} decimals, {currency_code(currency)} has {digits}")
    whole = match["whole"].lstrip("0")
    # Compared by length first: turning a million digits into a number takes seconds.
    if len(whole) > len(str(MOST)) or int((whole or "0") + part.ljust(digits, "0")) > MOST:
        raise _invalid(f"{quoted(price)} is more than {MOST} minor units of {currency_code(currency)}")
    return int((whole or "0") + part.ljust(digits, "0"))


@lru_cache(maxsize=1)
def _currencies() -> frozenset[str]:
    """Return the legal tender of every territory, and the units of account of the table."""
    tender = (get_territory_currencies(str(territory)) for territory in Locale("en").territories)
    return frozenset(code for codes in tender for code in codes) | frozenset(DECIMALS)


def _invalid(sentence: str) -> Problem:
    return Problem(Code.INVALID_MESSAGE, sentence)
