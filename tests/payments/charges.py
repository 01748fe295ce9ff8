"""Charges to ask a provider for."""

from __future__ import annotations

from typing import Any

from server import ids
from server.payments.provider import Charge

# The library hands its form to httpx in a way that httpx will drop; whoever sees this first should look there.
LIBRARY_GAP = "ignore:Use 'content=:DeprecationWarning"
RETURN = "https://shop.example/back"


def charge(name: str = "one", token: str = "pm_card_visa", **more: Any) -> Charge:  # noqa: S107  a published test card
    """Return a charge for the order of this name."""
    fields = {"amount": 2500, "currency": "EUR", "method": "card", "return_url": RETURN, **more}
    return Charge(order=ids.order("sh_test", "buyer", name), token=token, **fields)


PIX = {"method": "pix", "currency": "BRL", "token": "pm_pix"}
