"""Who and what a made-up request may name: tokens of every role, and live things of a real server, made on demand."""

from __future__ import annotations

import itertools
import socket
from typing import TYPE_CHECKING, Any

import httpx

from server import ids
from server.auth import EVERY_SHOW, RIGHTS, Right, Role, Tokens
from tests.server import SECRET
from tests.stage import FEED

if TYPE_CHECKING:
    from typing import Self

TOKEN_SECONDS = 3600
UNITS = 900_000  # so that some can be added
LIMIT = 100
FEW = 5  # of a drop that is made for one request
KINDS: tuple[dict[str, Any], ...] = (
    {"mode": "fifo"},
    {"mode": "fifo", "waves": [{"quantity": 5}]},
    {"mode": "draw"},
    {"mode": "first_paid"},
    {"opens_at": 4_000_000_000_000},  # not yet open
)
FIRST_PAID = 3  # of them

Fields = dict[str, Any]


class Cast:
    """A host and buyers of one server. Close it with `close`."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._tokens = Tokens(SECRET)
        self._numbers = itertools.count(1)
        self._show = ""
        self._shows: list[str] = []  # all that were made here
        self._drops: dict[int, str] = {}  # kind -> a drop of the show
        self._webhook = ""
        self._deaf = socket.socket()  # its port is nobody else's, and nobody listens there
        self._deaf.bind(("127.0.0.1", 0))
        imported = self._http.post(
            "/v1/catalog/import?currency=EUR",
            content=FEED,
            headers={**self.bearer(Role.HOST), "Content-Type": "text/csv"},
        )
        imported.raise_for_status()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Workers look after every live show for as long as the server runs.
        for show in self._shows:
            self._http.post(f"/v1/shows/{show}/end", headers=self.bearer(Role.HOST))
        self._http.close()
        self._deaf.close()

    def bearer(self, role: Role, subject: str = "") -> dict[str, str]:
        """Return the header of somebody who may do for every show what their role may."""
        token, _ = self._tokens.mint(subject or f"a-{role}", role, [EVERY_SHOW], TOKEN_SECONDS)
        return {"Authorization": f"Bearer {token}"}

    def spend(self, path: str) -> None:
        """Forget what a request to this path may have ended: the show, its drops, or the webhook."""
        if path.startswith("/v1/webhooks"):
            self._webhook = ""
        if path.startswith("/v1/shows/{show}"):
            self._drops = {}
            self._show = self._show if "{drop}" in path else ""

    def show(self) -> str:
        """Return a live show."""
        if not self._show:
            self._show = self.new_show("start")
        return self._show

    def new_show(self, *moves: str) -> str:
        """Return a show that nobody else has, after these moves."""
        show: str = self._host("/v1/shows", {"title": "A contract", "currency": "EUR"})["id"]
        self._shows.append(show)
        for move in moves:
            self._host(f"/v1/shows/{show}/{move}")
        return show

    def drop(self, choice: int) -> str:
        """Return a drop of the show, of the kind that is chosen."""
        show, kind = self.show(), choice % len(KINDS)
        if kind not in self._drops:
            self._drops[kind] = self._drop(show, KINDS[kind])
        return self._drops[kind]

    def new_drop(self, *moves: str, countdown_ms: int = 0, **terms: Any) -> str:
        """Return a drop of the show that nobody else has, with these terms, after these moves."""
        path = f"/v1/shows/{self.show()}/drops"
        drop: str = self._host(path, {"sku": "MUG", "quantity": FEW, "limit_per_viewer": FEW, **terms})["id"]
        for move in moves:
            body = {"countdown_ms": countdown_ms} if move == "open" else None
            self._host(f"{path}/{drop}/{move}", body)
        return drop

    def wait(self, buyer: str, drop: str) -> None:
        """Let a buyer wait for units of a drop of the show, or enter its draw."""
        self._buy(buyer, f"/v1/shows/{self.show()}/drops/{drop}/waitlist", {"quantity": 1})

    @property
    def nobody(self) -> str:
        """An address for webhooks, at which nobody hears them."""
        return f"http://127.0.0.1:{self._deaf.getsockname()[1]}/hear"

    def webhook(self) -> str:
        """Return a webhook of the host's that nobody hears; where no more may be, another one."""
        if not self._webhook:
            try:
                made = self._host("/v1/webhooks", {"url": self.nobody, "events": ["show.ended"]})
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.CONFLICT:
                    raise
                there = self._http.get("/v1/webhooks", headers=self.bearer(Role.HOST))
                made = there.raise_for_status().json()["items"][0]
            self._webhook = made["id"]
        return self._webhook

    def buyer(self) -> str:
        """Return the name of a viewer who was never seen before."""
        return f"buyer-{next(self._numbers)}"

    def reservation(self, buyer: str) -> str:
        """Let a buyer take a unit, and return the reservation."""
        path = f"/v1/shows/{self.show()}/drops/{self.drop(0)}/reservations"
        held: str = self._buy(buyer, path, {"quantity": 1})["id"]
        return held

    def order(self, buyer: str) -> str:
        """Let a buyer pay a unit, and return the order."""
        payment = {"method": "card", "token": "tok_ok"}
        body = {"reservations": [self.reservation(buyer)], "payment": payment}
        order: str = self._buy(buyer, "/v1/checkout", body)["order"]["id"]
        return order

    def _drop(self, show: str, terms: Fields) -> str:
        body = {"sku": "MUG", "quantity": UNITS, "limit_per_viewer": LIMIT, **terms}
        drop: str = self._host(f"/v1/shows/{show}/drops", body)["id"]
        if "opens_at" not in terms:
            self._host(f"/v1/shows/{show}/drops/{drop}/open")
        return drop

    def _host(self, path: str, body: Fields | None = None) -> Fields:
        return self._post(path, body, self.bearer(Role.HOST))

    def _buy(self, buyer: str, path: str, body: Fields) -> Fields:
        headers = {**self.bearer(Role.VIEWER, buyer), "Idempotency-Key": ids.secret(8)}
        return self._post(path, body, headers)

    def _post(self, path: str, body: Fields | None, headers: dict[str, str]) -> Fields:
        answer = self._http.post(path, json=body, headers=headers)
        answer.raise_for_status()
        fields: Fields = answer.json()
        return fields


def able(right: Right) -> Role:
    """Return a role that has the right."""
    return next(role for role in Role if right in RIGHTS[role])


def role_for(right: Right, choice: int) -> Role:
    """Return a role that has the right; of some choices one that may have it not."""
    return list(Role)[choice // 8 % len(Role)] if choice % 8 == 0 else able(right)
