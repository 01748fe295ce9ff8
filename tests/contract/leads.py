"""What a request has to name to be done: for each operation that a made-up request would hardly ever get a yes from.

A lead is a state of things, made for this one request, and what of the request must be so; the rest stays made up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.payments.bank.signature import key_of, signed
from tests.server import SECRET
from tests.stage import FEED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.cast import Cast

    Leading = Callable[[Cast, str], "Lead"]

SHOW = "/v1/shows/{show}"
DROP = f"{SHOW}/drops/{{drop}}"
ORDER = "/v1/orders/{order}"
HOOK = "/v1/webhooks/{webhook}"
HOUR_MS = 3_600_000

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lead:
    """What of a request is so: path and query as they are, `body` in the place of its members, or of all of it."""

    path: Fields = field(default_factory=dict)
    query: Fields = field(default_factory=dict)
    body: Fields | str = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def _body(**body: Any) -> Leading:
    """Lead to what is there by these members alone."""
    return lambda _cast, _buyer: Lead(body=body)


def _show(*moves: str) -> Leading:
    """Lead to a show after these moves."""
    return lambda cast, _buyer: Lead(path={"show": cast.new_show(*moves)})


def _drop(*moves: str, body: Fields | None = None, **terms: Any) -> Leading:
    """Lead to a drop of a live show, with these terms, after these moves."""
    return lambda cast, _buyer: Lead(
        {"show": cast.show(), "drop": cast.new_drop(*moves, **terms)}, {}, body or {}
    )


def _counting(cast: Cast, _buyer: str) -> Lead:
    return Lead({"show": cast.show(), "drop": cast.new_drop("open", countdown_ms=HOUR_MS)})


def _waiting(cast: Cast, buyer: str) -> Lead:
    show, drop = cast.show(), cast.new_drop("open", mode="draw")
    cast.wait(buyer, drop)
    return Lead({"show": show, "drop": drop})


def _run(cast: Cast, _buyer: str) -> Lead:
    return Lead({"show": cast.show()}, {}, {"drops": [cast.drop(0)]})


def _bundle(cast: Cast, _buyer: str) -> Lead:
    return Lead({"show": cast.show()}, {}, {"items": [{"drop": cast.drop(0), "quantity": 1}]})


def _reservation(cast: Cast, buyer: str) -> Lead:
    return Lead({"reservation": cast.reservation(buyer)})


def _checkout(cast: Cast, buyer: str) -> Lead:
    body: Fields = dict.fromkeys(("items", "expected_total", "email", "shipping_address", "locale"))
    body |= {
        "reservations": [cast.reservation(buyer)],
        "payment": {"method": "card", "token": "tok_ok"},
    }
    return Lead({}, {}, body)


def _told(_cast: Cast, _buyer: str) -> Lead:
    """Lead to a webhook of the sandbox: signed, and about nothing, since the document describes no body."""
    return Lead({"provider": "sandbox"}, headers=signed(key_of(SECRET), "sb_or_nobody 1", b""))


def _order(**body: Any) -> Leading:
    return lambda cast, buyer: Lead({"order": cast.order(buyer)}, {}, body)


def _hook(**body: Any) -> Leading:
    return lambda cast, _buyer: Lead({"webhook": cast.webhook()}, {}, body)


LEADS: dict[str, Leading] = {
    "POST /v1/catalog/import": lambda _cast, _buyer: Lead({}, {"currency": "EUR"}, FEED.decode()),
    "POST /v1/shows": _body(currency="EUR", locale=None, starts_at=None, video_url=None),
    f"POST {SHOW}/start": _show(),
    f"POST {SHOW}/pause": _show("start"),
    f"POST {SHOW}/resume": _show("start", "pause"),
    f"POST {SHOW}/end": _show("start"),
    f"PUT {SHOW}/pinned": _body(skus=["MUG", "LAMP"]),
    f"PUT {SHOW}/video": _body(url="https://video.example/live.m3u8"),
    f"PUT {SHOW}/run": _run,
    f"POST {SHOW}/drops": _body(
        sku="MUG", quantity=5, mode="fifo", waitlist=True, waves=[], opens_at=None, closes_at=None
    ),
    f"POST {DROP}/open": _drop(),
    f"POST {DROP}/cancel": _counting,
    f"POST {DROP}/pause": _drop("open"),
    f"POST {DROP}/resume": _drop("open", "pause"),
    f"POST {DROP}/close": _drop("open"),
    f"POST {DROP}/restock": _drop("open", body={"quantity": 1}),
    f"POST {DROP}/wave": _drop("open", waves=[{"quantity": 5}]),
    f"GET {DROP}/draw": _drop("open", "close", mode="draw"),
    f"POST {DROP}/reservations": _drop("open", body={"quantity": 1}),
    f"POST {SHOW}/reservations": _bundle,
    "GET /v1/reservations/{reservation}": _reservation,
    "DELETE /v1/reservations/{reservation}": _reservation,
    "GET /v1/reservations/{reservation}/receipt": _reservation,
    f"POST {DROP}/waitlist": _drop("open", body={"quantity": 1}, mode="draw"),
    f"GET {DROP}/waitlist": _waiting,
    f"DELETE {DROP}/waitlist": _waiting,
    "POST /v1/checkout": _checkout,
    "POST /v1/payments/{provider}/webhook": _told,
    f"GET {ORDER}": _order(),
    f"POST {ORDER}/cancel": _order(),
    f"POST {ORDER}/refund": _order(lines=None),
    f"POST {ORDER}/fulfil": _order(),
    "POST /v1/tokens": _body(sub="somebody", role="viewer", shows=["*"]),
    "POST /v1/tokens/revoke": _body(sub="nobody", shows=["*"], before=None),
    "POST /v1/webhooks": lambda cast, _buyer: Lead({}, {}, {"url": cast.nobody, "events": ["show.ended"]}),
    f"GET {HOOK}": _hook(),
    f"DELETE {HOOK}": _hook(),
    f"POST {HOOK}/test": _hook(),
    f"POST {HOOK}/replay": _hook(since_at=0),
    f"POST {HOOK}/rotate": _hook(),
    f"POST {HOOK}/enable": _hook(),
}
