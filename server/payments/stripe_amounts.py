"""Amounts as Stripe counts them. Ours are ISO 4217's minor units, and so are most of Stripe's.

The differences, from Stripe's page on currencies:
- ISK and UGX have no minor unit, but Stripe goes on counting in hundredths that must be whole: 5 ISK is 500.
- MGA has a minor unit in ISO 4217 and none at Stripe: 5.00 MGA is 500 of ours and 5 of Stripe's.
- BHD, JOD, KWD, OMR and TND have three decimals in both, but Stripe wants the last one to be 0.
"""

from __future__ import annotations

HUNDREDTHS = frozenset({"ISK", "UGX"})
WHOLE = frozenset({"MGA"})
ENDING_IN_ZERO = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def to_stripe(amount: int, currency: str) -> int | None:
    """Return an amount in minor units as Stripe counts it, or None where Stripe cannot take just this amount."""
    if currency in HUNDREDTHS:
        return amount * 100
    if currency in WHOLE:
        return None if amount % 100 else amount // 100
    if currency in ENDING_IN_ZERO and amount % 10:
        return None
    return amount


def from_stripe(amount: int, currency: str) -> int:
    """Return an amount of Stripe's in minor units; a part of one that somebody moved by hand is rounded away."""
    if currency in HUNDREDTHS:
        return amount // 100
    if currency in WHOLE:
        return amount * 100
    return amount
