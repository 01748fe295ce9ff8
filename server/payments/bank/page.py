"""The page on which a buyer does their part: plain HTML, one form, no script."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, RedirectResponse

from server.payments.bank.ways import way_of
from server.payments.provider import Status

if TYPE_CHECKING:
    from starlette.responses import Response

    from server.payments.bank.books import Visit

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
FORM = """<p>{says}</p>
<p>Order {order}: {amount} {currency} in minor units. No money moves.</p>
<form method="post">
<button name="verdict" value="approve">{approve}</button>
<button name="verdict" value="decline">{decline}</button>
</form>
{back}"""
OUTCOMES = {
    Status.AUTHORIZED: "The payment is approved.",
    Status.CAPTURED: "The payment is made.",
    Status.DECLINED: "The payment is declined.",
    Status.VOIDED: "The payment was cancelled.",
    Status.PENDING: "The payment is being decided.",
}


def asking(visit: Visit) -> Response:
    """Return the page that asks, or says what has become of the payment."""
    payment, way = visit.payment, way_of(visit.method)
    if payment.status is not Status.REQUIRES_ACTION:
        return _outcome(visit)
    return _page(
        FORM.format(
            says=escape(way.says.format(reference=payment.reference)),
            order=escape(payment.order),
            amount=payment.amount,
            currency=escape(payment.currency),
            approve=way.approve,
            decline=way.decline,
            back="" if way.leads_back else _back(visit),  # who pays elsewhere need not wait here
        )
    )


def done(visit: Visit) -> Response:
    """Send the buyer back to the shop, or say what has become of the payment where that is not their way."""
    if visit.return_url and way_of(visit.method).leads_back:
        return RedirectResponse(visit.return_url, 303, HEADERS)
    return _outcome(visit)


def unknown(sentence: str) -> Response:
    """Return the page for a payment that is not there."""
    return _page(f"<p>{escape(sentence)}</p>", 404)


def is_approval(body: bytes) -> bool:
    """Whether the form was sent with its first button."""
    return parse_qs(body.decode("ascii", "replace"), max_num_fields=4).get("verdict") == ["approve"]


def _outcome(visit: Visit) -> Response:
    return _page(f"<p>{OUTCOMES[visit.payment.status]} You may close this page.</p>{_back(visit)}")


def _back(visit: Visit) -> str:
    if not visit.return_url:
        return ""
    return f'<p><a href="{escape(visit.return_url)}">Back to the shop</a></p>'


def _page(content: str, status: int = 200) -> Response:
    return HTMLResponse(PAGE.format(content=content), status, HEADERS)
