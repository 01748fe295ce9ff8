"""The page on which a buyer does their part: plain HTML, one form, no script."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, RedirectResponse

from server.payments.provider import Status

if TYPE_CHECKING:
    from starlette.responses import Response

    from server.payments.provider import Payment

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sandbox bank</title></head>
<body><main><h1>Sandbox bank</h1>
{content}
</main></body></html>
"""
FORM = """<p>Order {order}: {amount} {currency} in minor units. No money moves.</p>
<form method="post">
<button name="verdict" value="approve">Approve</button>
<button name="verdict" value="decline">Decline</button>
</form>"""
OUTCOMES = {
    Status.AUTHORIZED: "The payment is approved.",
    Status.CAPTURED: "The payment is made.",
    Status.DECLINED: "The payment is declined.",
    Status.VOIDED: "The payment was cancelled.",
    Status.PENDING: "The payment is being decided.",
}


def asking(payment: Payment, return_url: str) -> Response:
    """Return the page that asks, or says what has become of the payment."""
    if payment.status is not Status.REQUIRES_ACTION:
        return _outcome(payment, return_url)
    return _page(
        FORM.format(order=escape(payment.order), amount=payment.amount, currency=escape(payment.currency))
    )


def done(payment: Payment, return_url: str) -> Response:
    """Send the buyer back to the shop, or say what has become of the payment where it told no way back."""
    return RedirectResponse(return_url, 303, HEADERS) if return_url else _outcome(payment, return_url)


def unknown(sentence: str) -> Response:
    """Return the page for a payment that is not there."""
    return _page(f"<p>{escape(sentence)}</p>", 404)


def is_approval(body: bytes) -> bool:
    """Whether the form was sent with its first button."""
    return parse_qs(body.decode("ascii", "replace"), max_num_fields=4).get("verdict") == ["approve"]


def _outcome(payment: Payment, return_url: str) -> Response:
    back = f'<p><a href="{escape(return_url)}">Back to the shop</a></p>' if return_url else ""
    return _page(f"<p>{OUTCOMES[payment.status]} You may close this page.</p>{back}")


def _page(content: str, status: int = 200) -> Response:
    return HTMLResponse(PAGE.format(content=content), status, HEADERS)
