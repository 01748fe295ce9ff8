"""A private copy of a show on the same server: made, begun, and ended again whatever happens.

Nothing of the real show is touched; `Original.standing` proves it. The copy belongs to whoever rehearses, and is open
only to tokens that name it: nobody has one but the synthetic audience.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARK = "[Rehearsal] "
TITLE_MOST = 200
RESTING = ("scheduled", "ended")  # states in which a show has no viewers to take the server's power from
STANDING = ("quantity", "available", "held", "sold", "revision", "status", "waitlist_length")
END_TRIES = 20
END_PAUSE = 0.5

View = dict[str, Any]


class RehearsalError(Exception):
    """The show cannot be rehearsed; the sentence says why."""


class Original(Struct, frozen=True):
    """A show and its drops as the server shows them, in the order in which they are to come."""

    show: View
    drops: list[View]

    @property
    def standing(self) -> dict[str, tuple[Any, ...]]:
        """The numbers and the state of every drop."""
        return {drop["id"]: tuple(drop[name] for name in STANDING) for drop in self.drops}

    @property
    def rehearsed(self) -> list[View]:
        """The drops that an audience can be played for: who comes first is served first."""
        return [drop for drop in self.drops if drop["mode"] == "fifo"]


def read(host: httpx.Client, show: str) -> Original:
    """Return a show with its drops. Raises RehearsalError where there is none, or the token is not for it."""
    view = _asked(host, "GET", f"/v1/shows/{show}")
    drops = _asked(host, "GET", f"/v1/shows/{show}/drops")["items"]
    order = {drop: place for place, drop in enumerate(view.get("run", ()))}
    drops.sort(
        key=lambda drop: (order.get(drop["id"], len(order)), drop.get("opens_at", 0), drop["created_at"])
    )
    return Original(view, drops)


def require_resting(original: Original) -> None:
    """Refuse a show that is on: its viewers would pay for the rehearsal. Raises RehearsalError."""
    show = original.show
    if show["status"] not in RESTING:
        raise RehearsalError(
            f"{show['id']} is {show['status']}: a rehearsal now would take the server's power from its viewers. "
            "Rehearse before it begins."
        )
    if not original.rehearsed:
        raise RehearsalError(
            f"{show['id']} has no drop in which who comes first is served first: there is no rush to rehearse."
        )


@contextmanager
def copied(host: httpx.Client, original: Original, holds: Sequence[int]) -> Iterator[tuple[str, list[str]]]:
    """Give a live copy of a show and its drops, and end it afterwards; `holds` are the drops' hold seconds there.

    Raises RehearsalError, also where the copy could not be ended.
    """
    terms = {"title": (MARK + original.show["title"])[:TITLE_MOST], "currency": original.show["currency"]}
    if "locale" in original.show:
        terms["locale"] = original.show["locale"]
    show: str = _asked(host, "POST", "/v1/shows", terms)["id"]
    try:
        drops = [
            _asked(host, "POST", f"/v1/shows/{show}/drops", _terms(drop, hold))["id"]
            for drop, hold in zip(original.rehearsed, holds, strict=True)
        ]
        _asked(host, "POST", f"/v1/shows/{show}/start")
        yield show, drops
    finally:
        _end(host, show)


def _terms(drop: View, hold_seconds: int) -> View:
    """Return what a drop's copy is made of; its times are left out: the rehearsal opens it."""
    kept = ("sku", "quantity", "unit_price", "limit_per_viewer", "waitlist")
    return {**{name: drop[name] for name in kept}, "mode": "fifo", "hold_seconds": hold_seconds}


def _end(host: httpx.Client, show: str) -> None:
    """End the copy, which closes its drops; an answer that was lost is asked for again."""
    said = ""
    for _ in range(END_TRIES):
        try:
            if _asked(host, "GET", f"/v1/shows/{show}")["status"] == "ended":
                return
            _asked(host, "POST", f"/v1/shows/{show}/end")
        except RehearsalError as error:
            said = str(error)
            time.sleep(END_PAUSE)
        else:
            return
    raise RehearsalError(f"The copy {show} is still there and has to be ended by hand: {said}")


def _asked(host: httpx.Client, method: str, path: str, body: View | None = None) -> Any:
    """Return what the server answers. Raises RehearsalError with its own words."""
    try:
        answer = host.request(method, path, json=body)
    except httpx.TransportError as error:
        raise RehearsalError(f"The server at {host.base_url} cannot be reached: {error}") from None
    if answer.is_success:
        return answer.json()
    try:
        said = answer.json()["detail"]
    except (ValueError, KeyError):
        said = f"{method} {path} was answered with {answer.status_code}"
    raise RehearsalError(str(said))
