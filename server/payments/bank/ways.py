"""How the buyer pays by each method that is not answered at once: what their page says, and where it leaves them.

Whoever is led to a bank or a wallet answers there and is sent back. Whoever gets a voucher, a code or a call on their
phone pays elsewhere, maybe long after they have left the page: the shop hears of it by webhook, or looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from server.payments.methods import captures_separately


@dataclass(frozen=True, slots=True)
class Way:
    """What the page of a method says; `{reference}` in it is the payment's."""

    says: str
    approve: str = "Approve"
    decline: str = "Decline"
    leads_back: bool = True  # the buyer is sent back with the answer; if not, the page alone says what it was


CARD = Way("The card's bank asks whether it is you who pays.")
WAYS: dict[str, Way] = {
    "ideal": Way("You are at your bank, to pay by iDEAL."),
    "alipay": Way("You are at Alipay."),
    "wechat_pay": Way("You are at WeChat Pay."),
    "upi": Way("A request to pay waits in your UPI app.", "Pay in the app", "Refuse in the app", False),
    "boleto": Way("Boleto {reference}: pay it at a bank or in a shop.", "Pay it", "Let it lapse", False),
    "pix": Way("Pix {reference}: scan or copy it in your bank's app.", "Pay it", "Let it lapse", False),
    "mpesa": Way("Your phone asks for your M-Pesa PIN.", "Enter the PIN", "Refuse on the phone", False),
}


def page_at(url: str, reference: str) -> str:
    """Return where a payment's page is, at a bank that its buyer finds under this address."""
    return f"{url.rstrip('/')}/actions/{quote(reference, safe='')}"


def way_of(method: str) -> Way:
    """Return how the buyer does their part by a method; one that asks nothing of itself is like a card."""
    return WAYS.get(method, CARD)


def answers_at_once(method: str) -> bool:
    """Whether a method's payment is decided without its buyer; one that nobody knows is."""
    return method not in WAYS


def moves_at_once(method: str) -> bool:
    """Whether the money has moved once the buyer has done their part: then there is nothing left to capture."""
    return method in WAYS and not captures_separately(method)
