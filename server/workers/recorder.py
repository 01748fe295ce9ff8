"""From the shows' logs into the ledger: shows and drops as they were offered, so that the books stand without Redis.

Reads each log from where the ledger's own copy ends. Position and rows are written in one transaction, and a row
only ever moves to a newer offset: two recorders, or one that repeats itself, change nothing. What webhooks tell of a
show goes into the outbox in that same transaction, so it is neither lost nor written twice.

What the ledger has seen and the store has not any more was lost there: by a failover that lost writes, by a restore, or
with all of its data. Such a show is frozen at once (`livedrop rebuild` makes it whole), so that it sells nothing twice.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from server import metrics
from server.clock import monotonic
from server.errors import Problem
from server.eventlog import stream
from server.inventory import lapses as lapsed
from server.ledger.outbox import Message, tell
from server.orders import views
from server.protocol.codec import unpack_event
from server.shows import recorded
from server.shows.recorded import Position
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from server.inventory.lapses import Lapse
    from server.ledger.database import Ledger
    from server.shows.drops import Drops
    from server.shows.shows import Shows
    from server.store.redis import Redis

PAUSE_SECONDS = 1.0
# Events that webhooks tell; the others are for viewers.
TOLD = frozenset({"show.started", "show.ended", "drop.opened", "drop.sold_out", "drop.closed"})
LAPSE_ROUNDS = 20  # readings of what lapsed in a turn: others wait too
LOST_SECONDS = 10.0  # between two looks for what the ledger has and the store has lost
LOOKS = 2  # that must find sales lost: one unit may be sold and another return while the books are read
SOLD = 2  # the place of the sold units in a drop's numbers

log = structlog.get_logger(__name__)


class Recorder:
    """Keeps the ledger's shows and drops up to date with the logs of all active shows."""

    def __init__(self, client: Redis, ledger: Ledger, shows: Shows, show_drops: Drops) -> None:
        self._client = client
        self._ledger = ledger
        self._shows = shows
        self._drops = show_drops
        self._lost: set[str] = set()
        self._recorded: dict[
            str, stream.Place
        ] = {}  # up to where the ledger has an active show's log, as seen here
        self._look_at = 0.0  # monotonic: when to look for lost shows again

    async def run(self) -> None:
        """Record for ever."""
        while True:
            try:
                await self.catch_up()
                if monotonic() >= self._look_at:
                    await self.look_for_lost()
                    for show in await self._shows.active():
                        await self.look_for_unsold(show)
                    self._recorded.clear()  # the ledger itself may have been put back to an earlier state
                    self._look_at = monotonic() + LOST_SECONDS
            except Problem as problem:
                log.warning("recorder.unavailable", reason=problem.detail)
            await asyncio.sleep(PAUSE_SECONDS)

    async def catch_up(self) -> None:
        """Record what there is to record, show by show; one that cannot be recorded now holds up no other."""
        for show, top in (await self.behind()).items():
            await self._guarded(show, top)

    async def look_for_lost(self) -> set[str]:
        """Return the shows that have not ended by the ledger and are not in the store; say so once of each."""
        running = await self._ledger.read(recorded.running)
        tops = await stream.tops(self._client, running)
        lost = {show for show, top in zip(running, tops, strict=True) if top is None}
        metrics.SHOWS_LOST.set(len(lost))
        for show in sorted(lost - self._lost):
            log.error("recorder.show_lost", show=show, mend=f"livedrop rebuild {show}")
        self._lost = lost
        return lost

    async def look_for_unsold(self, show: str) -> bool:
        """Freeze a show of which the ledger has more units sold than the store, and say whether that was done.

        A unit is sold in the store before the ledger has it, and on sale there after: so its sale was lost, as where a
        replica was promoted without the last writes. The log may well be whole then: sales are no events.
        """
        top = await stream.top(self._client, show)
        if top is None or await self._shows.frozen(show):
            return False
        before = await self._sold(show)
        for _ in range(LOOKS):
            units = await self._ledger.read(partial(views.units, show=show))
            # What the ledger had at its moment the store had before it or after it: sales add to it, returns take off.
            after = await self._sold(show)
            if all(
                max(before.get(drop, count), after.get(drop, count)) >= count for drop, count in units.items()
            ):
                return False
            before = after
        known = await self._ledger.read(lambda connection: recorded.position(connection, show))
        if await self._shows.freeze(show, least=known.offset if known else 0, seen=top.epoch) is None:
            return False  # it was rebuilt meanwhile
        metrics.SHOWS_FROZEN.inc()
        log.error(
            "recorder.sales_lost", show=show, ledger=units, store=after, mend=f"livedrop rebuild {show}"
        )
        return True

    async def _sold(self, show: str) -> dict[str, int]:
        """Return the sold units of a show's drops, by the store."""
        rows = await reads.fields(self._client, key("stock", show=show), "reading what is sold")
        return {drop.decode(): unpacked(row)[SOLD] for drop, row in rows.items()}

    async def behind(self) -> dict[str, stream.Place | Problem | None]:
        """Return the active shows that have something to record, with where their logs stand.

        Many idle shows cost two round trips, and the ledger nothing.
        """
        shows = await self._shows.active()
        self._recorded = {show: self._recorded[show] for show in shows if show in self._recorded}
        tops = await stream.tops(self._client, shows)
        lapsed_ones = await reads.lengths(
            self._client, [key("lapsed", show=show) for show in shows], "looking for what lapsed"
        )
        return {
            show: top
            for show, top, count in zip(shows, tops, lapsed_ones, strict=True)
            if count or top is None or self._recorded.get(show) != top
        }

    async def _guarded(self, show: str, top: stream.Place | Problem | None) -> None:
        try:
            if await self.record(show) and isinstance(top, stream.Place):
                self._recorded[show] = top
        except Problem as problem:
            log.warning("recorder.show_waits", show=show, reason=problem.detail)
        except Exception:
            # One show's bad entry must not keep all others out of the books.
            log.exception("recorder.show_failed", show=show)

    async def record(self, show: str) -> bool:
        """Take the log's next events into the ledger's books of one show; return whether the ledger has them all.

        What lapsed goes into the outbox. A show whose log is not the one that the ledger has seen, or ends before that,
        is frozen instead.
        """
        told = await self._tell_lapsed(show)
        return await self._record(show) and told

    async def _tell_lapsed(self, show: str) -> bool:
        """Take lapsed reservations into the outbox; return whether it has them all."""
        for _ in range(LAPSE_ROUNDS):
            lapses = await lapsed.read(self._client, show)
            messages = [_lapse_message(show, lapse) for lapse in lapses.found]
            if messages:
                await self._ledger.write(partial(_tell, messages=messages))
                await lapsed.drop(self._client, lapses)
            if not lapses.more:
                return True
        return False

    async def _record(self, show: str) -> bool:
        # The ledger first: another recorder may bring it further in between, and it would seem ahead of the log.
        known = await self._ledger.read(lambda connection: recorded.position(connection, show))
        top = await stream.top(self._client, show)
        if top is None:
            return True
        if known is not None and (known.epoch != top.epoch or known.offset > top.offset):
            await self._freeze(show, known, top)
            return False
        if known is not None and known.offset == top.offset:
            return True
        seen = known.offset if known else 0
        entries = await stream.after(self._client, show, seen)
        if entries and entries[0].offset > seen + 1:
            log.warning("recorder.hole", show=show, first=seen + 1, next=entries[0].offset)
        events = [unpack_event(entry.packed) for entry in entries]
        touched: set[str] = set().union(*map(_drops_of, events))
        # Where nothing follows, the log was trimmed up to its top: then its drops are all that is to be known.
        seen = entries[-1].offset if entries else top.offset
        found = {drop: await self._drops.find(show, drop) for drop in sorted(touched)}
        rows = [recorded.drop_row(each, seen) for each in found.values()]
        messages = [_message(show, top.epoch, event, found) for event in events if event["type"] in TOLD]
        view, host = await self._shows.find(show)
        row = recorded.show_row(view, host, await self._shows.pinned(show), seen)
        place = Position(top.epoch, seen)

        def written(connection: Connection) -> None:
            recorded.write(connection, row, rows, place)
            _tell(connection, messages=messages)

        await self._ledger.write(written)
        return seen >= top.offset

    async def _freeze(self, show: str, known: Position, top: stream.Place) -> None:
        """Halt a show that has lost what the ledger has seen, unless that was done, or is being mended."""
        if await self._shows.frozen(show):
            return
        if await self._ledger.read(lambda connection: recorded.position(connection, show)) != known:
            return  # it was rebuilt meanwhile
        if await self._shows.freeze(show, least=known.offset, seen=top.epoch) is not None:
            metrics.SHOWS_FROZEN.inc()
            log.error(
                "recorder.show_frozen",
                show=show,
                ledger_offset=known.offset,
                store_offset=top.offset,
                same_epoch=known.epoch == top.epoch,
                mend=f"livedrop rebuild {show}",
            )


def _drops_of(event: dict[str, Any]) -> set[str]:
    if "drop" in event:
        return {event["drop"]["id"]}
    return {event["drop_id"]} if "drop_id" in event else set()


def _tell(connection: Connection, *, messages: list[Message]) -> None:
    for message in messages:
        tell(connection, message)


def _lapse_message(show: str, lapse: Lapse) -> Message:
    reservation = lapse.reservation["id"]
    return Message(
        id=f"{reservation} expired",
        type="reservation.expired",
        show=show,
        subject=reservation,
        data={"show": show, "viewer": lapse.viewer, "reservation": lapse.reservation},
        at=lapse.at,
    )


def _message(show: str, epoch: str, event: dict[str, Any], views: dict[str, Any]) -> Message:
    """Return what webhooks tell of an event: its fields, with the drop as a whole where it is about one."""
    data = {name: value for name, value in event.items() if name not in {"type", "at"}}
    for drop in _drops_of(event):
        data.setdefault("drop", views[drop])
    return Message(
        id=f"{show} {epoch} {event['offset']}",
        type=event["type"],
        show=show,
        subject=show,
        data={"show": show, **data},
        at=event["at"],
    )
