"""A show made whole after its store was lost, failed over or restored from a copy: `livedrop rebuild`.

    freeze → for each drop: read, plan, set (one script) → flag what cannot be served → thaw

Frozen, nothing of the show is reserved, given back, claimed, sold or let go; `recorder.record` freezes by itself what
it finds to have gone back in time. Each drop is set in one step, from numbers that are still those that were read. The
whole may be broken off anywhere and repeated: the show stays frozen, and a second run finds nothing left to change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from server import ids
from server.checkout.steps import Step
from server.clock import now_ms
from server.errors import unavailable
from server.inventory.rebuild import Plan, Sale, Survivor, plan, survivors
from server.inventory.records import read_records
from server.orders import sold
from server.orders.states import Status
from server.shows import recorded
from server.shows.recorded import Position

if TYPE_CHECKING:
    from server.ledger.database import Ledger
    from server.shows.drops import Drops
    from server.shows.recorded import Recorded
    from server.shows.shows import Freeze, Shows
    from server.store.redis import Redis
    from server.workers.recorder import Recorder

TRIES = 20  # readings of one drop whose numbers change meanwhile, which only a host's own moves can do
ROUNDS = 1_000  # of the recorder, before the freeze: a thousand events each
# The steps ahead of the ledger's commit: an order that the ledger has is never there, but in an older copy.
BEHIND = frozenset({Step.CLAIMED, Step.ACTING, Step.AUTHORIZED, Step.VOIDING, Step.UNDOING})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of one drop."""

    plan: Plan
    sku: str
    title: str
    source: str  # where its terms are from: store, or ledger


@dataclass(slots=True)
class Report:
    """What a rebuild found and did."""

    show: str
    title: str = ""
    status: str = ""
    epoch: str = ""
    drops: list[Rebuilt] = field(default_factory=list)
    short: dict[str, int] = field(default_factory=dict)  # order -> units that are not there
    resumed: list[str] = field(default_factory=list)  # orders whose unfinished checkout a worker goes on with
    notes: list[str] = field(default_factory=list)  # what somebody has to look at


@dataclass(frozen=True, slots=True)
class Reading:
    """A show in the store, and after it in the ledger: what moves in between shows as a changed number."""

    survivors: dict[str, Survivor]  # drop -> what the store has of it
    working: dict[str, dict[str, Any]]  # order -> its unfinished checkout
    lines: dict[str, list[dict[str, Any]]]  # order -> what it bought, oldest first
    orders: list[dict[str, Any]]  # with their payments, oldest first


@dataclass(frozen=True, slots=True)
class Task:
    """One rebuild under way: what the ledger knew before it, and the freeze that it works under."""

    show: str
    known: Recorded
    freeze: Freeze
    report: Report


class Rebuild:
    """Rebuilds shows. Raises `not-found` where nobody knows of one, `unavailable` where store or ledger cannot."""

    def __init__(
        self, client: Redis, ledger: Ledger, shows: Shows, show_drops: Drops, recorder: Recorder
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._shows = shows
        self._drops = show_drops
        self._recorder = recorder

    async def run(self, show: str, *, reopen: bool = False) -> Report:
        """Rebuild a show and say what was found; it stays paused unless it is to be opened again."""
        await self._record(show)
        known = await self._ledger.read(lambda connection: recorded.read(connection, show))
        freeze = await self._shows.freeze(show, least=known.top, known=known.fields, upto=known.upto)
        if freeze is None:
            raise unavailable("Another rebuild of this show began at the same moment.")
        log.warning("rebuild.began", show=show, epoch=freeze.epoch, reached=freeze.reached)
        report = Report(show, title=freeze.show["title"], epoch=freeze.epoch)
        await self._set_drops(Task(show, known, freeze, report))
        if report.short:
            at = now_ms()
            await self._ledger.write(lambda connection: sold.tell_short(connection, show, report.short, at))
        # From here on a recorder goes on, with what the log has above all that the ledger knew; not before, when drops
        # could be older than the ledger's.
        place = Position(freeze.epoch, known.top)
        await self._ledger.write(lambda connection: recorded.write_position(connection, show, place))
        await self._thaw(show, report, reopen=reopen)
        log.warning("rebuild.done", show=show, status=report.status, short=len(report.short))
        return report

    async def _record(self, show: str) -> None:
        """Bring the ledger up to the log as far as that is possible: what it has then is not lost any more."""
        for _ in range(ROUNDS):
            if await self._recorder.record(show) or await self._shows.frozen(show):
                return

    async def _read(self, show: str) -> Reading:
        records = await read_records(self._client, show)
        here = survivors(records)
        working = {record["id"]: record for record in (records.orders if records else ())}
        return await self._ledger.read(
            lambda connection: Reading(
                here, working, sold.lines(connection, show), sold.paid_for(connection, show)
            )
        )

    async def _set_drops(self, task: Task) -> None:
        """Set every drop that the store or the ledger knows, in the order in which they were planned."""
        reading = await self._read(task.show)
        drops = [*task.known.drops, *(drop for drop in reading.survivors if drop not in task.known.drops)]
        for drop in drops:
            for _ in range(TRIES):
                rebuilt = await self._set(task, drop, reading)
                if rebuilt is not None:
                    break
                reading = await self._read(task.show)
            else:
                raise unavailable(
                    f"The numbers of drop {drop} changed {TRIES} times while they were rebuilt."
                )
            task.report.drops.append(rebuilt)
            task.report.short |= rebuilt.plan.short
        bought = [line for lines in reading.lines.values() for line in lines]
        for drop in sorted({line["drop_id"] for line in bought} - set(drops)):
            units = sum(line["quantity"] - line["restocked"] for line in bought if line["drop_id"] == drop)
            task.report.notes.append(
                f"drop {drop} is lost: all that the ledger has of it are {units} sold units"
            )

    async def _set(self, task: Task, drop: str, reading: Reading) -> Rebuilt | None:
        """Set one drop and say what became of it; None where it changed meanwhile."""
        row, survivor = task.known.drops.get(drop), reading.survivors.get(drop)
        newer = row is not None and (survivor is None or row.offset > task.freeze.reached)
        offered = (row.quantity, row.terms) if row and newer else None
        unfinished = {order for order, record in reading.working.items() if record["step"] not in BEHIND}
        made = plan(drop, survivor, _sales(reading, drop), unfinished, offered, offset=task.known.top)
        if not await self._drops.rebuild(task.show, drop, task.freeze.epoch, made.revision, made.packed):
            return None
        view = await self._drops.find(task.show, drop)
        task.report.notes += [
            f"reservation {ids.full(task.show, own)} is sold in the store, and the ledger has no order for it"
            for own in made.strays
        ]
        if survivor is None and view["mode"] == "draw":
            task.report.notes.append(f"drop {drop} is a draw: the entries into it are lost")
        return Rebuilt(made, view["sku"], view["title"], "ledger" if offered else "store")

    async def _thaw(self, show: str, report: Report, *, reopen: bool) -> None:
        """End the freeze; with it go the orders that a worker must go on with, and what was earned."""
        reading = await self._read(show)
        orders = [sold.unfinished(order, reading.lines.get(order["id"], [])) for order in _to_resume(reading)]
        report.resumed = [order["id"] for order in orders]
        earned = _earned(reading)
        view = await self._shows.thaw(
            show,
            report.epoch,
            reopen=reopen,
            orders=orders,
            figures={
                "orders": len(earned),
                "units_sold": sum(units for _viewer, units, _total in earned),
                "gmv": sum(total for _viewer, _units, total in earned),
            },
            buyers=sorted({viewer for viewer, _units, _total in earned}),
        )
        report.status = view["status"]


def _sales(reading: Reading, drop: str) -> list[Sale]:
    """Return the sales of one drop, oldest first."""
    return [
        Sale(
            own=ids.own(line["reservation"]),
            drop=drop,
            order=line["order_id"],
            viewer=line["viewer"],
            quantity=line["quantity"],
            returned=line["restocked"],
            unit_price=line["unit_price"],
            created_at=line["created_at"],
            shipped=line["status"] == Status.FULFILLED,
        )
        for lines in reading.lines.values()
        for line in lines
        if line["drop_id"] == drop
    ]


def _to_resume(reading: Reading) -> list[dict[str, Any]]:
    """Return the ledger's orders whose checkout the store has lost, or has at a step before the ledger's commit."""
    working, found = reading.working, []
    for order in reading.orders:
        record = working.get(order["id"])
        behind = record["step"] in BEHIND if record else order["status"] == "confirming"
        if behind and order["status"] != "cancelled" and reading.lines.get(order["id"], []):
            found.append(order)
    return found


def _earned(reading: Reading) -> list[tuple[str, int, int]]:
    """Return viewer, units and total of every order that was sold, those on their way into the ledger among them."""
    known = {order["id"] for order in reading.orders}
    coming = [
        (record, record["lines"])
        for order, record in reading.working.items()
        if order not in known and record["step"] not in BEHIND and record["lines"]
    ]
    settled = [
        (order, reading.lines.get(order["id"], []))
        for order in reading.orders
        if order["status"] != "cancelled"
    ]
    return [
        (order["viewer"], sum(line["quantity"] for line in lines), order["total"])
        for order, lines in [*settled, *coming]
    ]
