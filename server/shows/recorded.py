"""Shows and drops as the ledger keeps them: all of their terms, so that they can be made again from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgpack
from sqlalchemy import Connection, func, select

from server.ledger.tables import drops, log_positions, shows
from server.ledger.upsert import upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

View = dict[str, Any]

# What is a column of its own, or is counted and no term at all.
OF_A_SHOW = frozenset({"id", "title", "currency", "status", "created_at"})
OF_A_DROP = frozenset(
    {"id", "show", "sku", "title", "quantity", "unit_price", "currency", "status", "created_at", "opened_at"}
    | {"closed_at", "available", "held", "sold", "revision", "waitlist_length"}
)


@dataclass(frozen=True, slots=True)
class Position:
    """Where the ledger's copy of a log ends."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """A show as the ledger has it: the fields of its hash (None: unknown), and its drops by their ids."""

    fields: View | None
    upto: int  # the event of the log that they show
    drops: dict[str, RecordedDrop]
    position: Position | None

    @property
    def top(self) -> int:
        """The last offset that the ledger knows of."""
        return max(
            [drop.offset for drop in self.drops.values()] + [self.position.offset if self.position else 0]
        )


@dataclass(frozen=True, slots=True)
class RecordedDrop:
    """A drop as the ledger has it: all that its terms in the store are, but its number there."""

    quantity: int
    terms: View
    offset: int  # the event of the log that it shows


def show_row(view: View, host: str, pinned: list[View], offset: int) -> View:
    """Return a show's row as it stands at an offset."""
    rest = {name: value for name, value in view.items() if name not in OF_A_SHOW}
    return {
        **{name: view[name] for name in sorted(OF_A_SHOW)},
        "host": host,
        "terms": {**rest, "pinned": pinned},
        "updated_at": view.get("ended_at", view.get("started_at", view["created_at"])),
        "offset": offset,
    }


def drop_row(view: View, offset: int) -> View:
    """Return a drop's row as it stands at an offset."""
    return {
        "id": view["id"],
        "show": view["show"],
        "sku": view["sku"],
        "title": view["title"],
        "quantity": view["quantity"],
        "unit_price": view["unit_price"],
        "currency": view["currency"],
        "status": view["status"],
        "terms": {name: value for name, value in view.items() if name not in OF_A_DROP},
        "created_at": view["created_at"],
        "updated_at": view.get("closed_at", view.get("opened_at", view["created_at"])),
        "opened_at": view.get("opened_at"),
        "closed_at": view.get("closed_at"),
        "offset": offset,
    }


def write(connection: Connection, show: View, rows: Sequence[View], position: Position) -> None:
    """Write a show and some of its drops as they stand at a place of its log."""
    upsert(connection, shows, [show], keep=("created_at",), newer="offset")
    upsert(connection, drops, rows, keep=("created_at",), newer="offset")
    write_position(connection, show["id"], position)


def write_position(connection: Connection, show: str, position: Position) -> None:
    """Write how far the ledger has a show's log."""
    row = {"show": show, "epoch": position.epoch, "offset": position.offset}
    upsert(connection, log_positions, [row])


def position(connection: Connection, show: str) -> Position | None:
    """Return how far the ledger has a show's log, None where it has nothing of it."""
    query = select(log_positions.c.epoch, log_positions.c.offset).where(log_positions.c.show == show)
    row = connection.execute(query).first()
    return Position(row.epoch, row.offset) if row else None


def running(connection: Connection) -> list[str]:
    """Return the shows that have not ended, by what the ledger knows: the store must have them."""
    return list(connection.execute(select(shows.c.id).where(shows.c.status != "ended")).scalars())


def read(connection: Connection, show: str) -> Recorded:
    """Return all that the ledger has of a show."""
    row = connection.execute(select(shows).where(shows.c.id == show)).mappings().first()
    found = connection.execute(
        select(drops).where(drops.c.show == show).order_by(drops.c.created_at, drops.c.id)
    )
    return Recorded(
        fields=_fields(dict(row)) if row else None,
        upto=row["offset"] if row else 0,
        drops={drop["id"]: _drop(dict(drop)) for drop in found.mappings()},
        position=position(connection, show),
    )


def began(connection: Connection, show: str) -> int | None:
    """Return when a show was made (Unix ms), from the first thing that the ledger has of it; None: from nothing."""
    at: int | None = connection.execute(select(shows.c.created_at).where(shows.c.id == show)).scalar()
    if at is None:
        at = connection.execute(select(func.min(drops.c.created_at)).where(drops.c.show == show)).scalar()
    return at


def _fields(row: View) -> View:
    """Return the fields of a show's hash."""
    terms = dict(row["terms"])
    pinned = terms.pop("pinned", [])
    named = {name: row[name] for name in (*OF_A_SHOW, "host")}
    lists = {"pinned": pinned, "run": terms.pop("run", [])}
    packed = {name: msgpack.packb(each, use_bin_type=False) for name, each in lists.items() if each}
    return {**named, **terms, **packed}


def _drop(row: View) -> RecordedDrop:
    names = ("id", "show", "sku", "title", "unit_price", "currency", "status", "created_at", "opened_at")
    terms = {name: row[name] for name in (*names, "closed_at") if row[name] is not None}
    return RecordedDrop(row["quantity"], {**row["terms"], **terms}, row["offset"])
