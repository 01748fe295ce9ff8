"""What the server is asked after a run: until nothing is held any more, then its drops, orders, log and audit.

The clock of this machine is compared with the server's on the same connection, so that curves of this machine and
moments of the server can stand side by side.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from loadtests.gate.books import Audit, Books, DropView, Event, Order, Top
from loadtests.stagehand import StageError
from server.client import ClosedError, live
from server.client.server_clock import ServerClock

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

    from loadtests.stagehand import Stage
    from server.protocol.events import Message

SETTLE_SECONDS = 15.0  # beyond the longest hold: until the last has lapsed and every payment has ended
POLL_SECONDS = 0.25
AUDIT_SECONDS = 60.0
LOG_SECONDS = 20.0
PINGS = 5
PAGE = 200


class Clock(NamedTuple):
    """How far the server's clock is ahead of this machine's, and by how much that may be wrong; seconds."""

    ahead: float
    error: float


def ask(
    stage: Stage, host: httpx.Client, show: str, settle_seconds: float | None = None
) -> tuple[Books, Clock]:
    """Wait until the show has settled, at most so long (none given: the longest hold and 15 s), and read its books.

    Raises StageError, and httpx.HTTPError where the server cannot be reached.
    """
    _settle(host, show, settle_seconds)
    drops, orders, at = _drops(host, show), _orders(host, show), time.time()
    try:
        top, events, clock = asyncio.run(_log(stage, show))
    except (ClosedError, TimeoutError, OSError) as error:
        raise StageError(f"The log of {show} could not be read: {error!r}") from None
    books = Books(
        drops={drop.id: drop for drop in drops},
        orders=orders,
        audit=audit(stage, show),
        top=top,
        events=events,
        settled_at=at + clock.ahead,
    )
    return books, clock


def audit(stage: Stage, show: str) -> Audit:
    """Run `livedrop audit` on the server's data and return what it found. Raises StageError where it cannot look."""
    done = subprocess.run(
        [sys.executable, "-m", "server", "audit", "--show", show, "--json"],
        cwd=stage.folder,
        env=stage.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=AUDIT_SECONDS,
        check=False,
    )
    try:
        return msgspec.json.decode(done.stdout, type=Audit)
    except msgspec.DecodeError:
        said = done.stderr.decode(errors="replace").strip()
        raise StageError(
            f"The audit could not look at {show}: {said or 'it said nothing.'} "
            "It needs the server's LIVEDROP_DATA, or its REDIS_URL and DATABASE_URL, in the environment."
        ) from None


def events_in(messages: Iterable[Message]) -> list[Event]:
    """Return the events of the log among messages, with what they say of a drop's offer."""
    return [_event(message) for message in messages if "offset" in message and message["type"] != "welcome"]


def _settle(host: httpx.Client, show: str, seconds: float | None) -> bool:
    """Wait until nothing is held and no order is being confirmed any more; False where it takes too long."""
    began = time.monotonic()
    while True:
        drops = _drops(host, show)
        longest = max((drop.hold_seconds for drop in drops), default=0)
        busy = any(drop.held for drop in drops)
        if not busy and not any(order.status == "confirming" for order in _orders(host, show)):
            return True
        if time.monotonic() - began > (longest + SETTLE_SECONDS if seconds is None else seconds):
            return False
        time.sleep(POLL_SECONDS)


def _drops(host: httpx.Client, show: str) -> list[DropView]:
    return msgspec.convert(_read(host, f"/v1/shows/{show}/drops")["items"], list[DropView])


def _orders(host: httpx.Client, show: str) -> list[Order]:
    found: list[Order] = []
    cursor = ""
    while True:
        page = _read(host, f"/v1/shows/{show}/orders?limit={PAGE}{cursor}")
        found += msgspec.convert(page["items"], list[Order])
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def _log(stage: Stage, show: str) -> tuple[Top, list[Event], Clock]:
    """Return where the log stands, its events where they reach back to the first, and the server's clock."""
    async with live(stage.url, show, stage.host_token) as client:
        clock = ServerClock()
        for _ in range(PINGS):
            asked_at = clock.local()
            clock.heard((await client.request({"type": "ping"}))["server_time_at"], asked_at)
        ahead = Clock(clock.now() / 1000 - time.time(), clock.uncertainty_ms / 1000)
        epoch, top = client.welcome["epoch"], client.place["offset"]
    async with live(stage.url, show, stage.host_token, since={"epoch": epoch, "offset": 0}) as client:
        if not client.welcome["recovered"]:
            return Top(epoch, top), [], ahead
        await client.until(lambda each: each.place["offset"] >= each.welcome["offset"], LOG_SECONDS)
        return Top(epoch, client.place["offset"]), events_in(client.messages), ahead


def _event(message: Message) -> Event:
    drop: Message = message.get("drop") or {}
    offer: Message = message.get("stock") or drop
    name = message.get("drop_id") or drop.get("id", "")
    return Event(message["offset"], message["at"] / 1000, message["type"], name, offer.get("quantity"))


def _read(host: httpx.Client, path: str) -> dict[str, Any]:
    answer = host.get(path)
    if answer.is_error:
        raise StageError(f"{path} answered {answer.status_code}: {answer.text}")
    fields: dict[str, Any] = answer.json()
    return fields
