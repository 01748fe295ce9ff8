"""INSERT … ON CONFLICT for both databases: one statement, safe to repeat."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Table


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    keep: Iterable[str] = (),
    newer: str | None = None,
) -> None:
    """Insert `rows`; where the primary key is taken, update that row instead.

    All rows name the same columns. Columns in `keep` hold what the first write gave them. With `newer`, a row
    is updated only if its value of that column grows: a late or repeated write changes nothing.
    """
    if not rows:
        return
    insert = postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
    keys = [column.name for column in table.primary_key.columns]
    fixed = {*keys, *keep}
    changes = {name: insert.excluded[name] for name in rows[0] if name not in fixed}
    if not changes:
        connection.execute(insert.on_conflict_do_nothing(index_elements=keys), rows)
        return
    condition = None if newer is None else table.c[newer] < insert.excluded[newer]
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changes, where=condition), rows)


def insert_once(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert `row` unless its primary key is taken; return whether it was inserted.

    Any other unique key that is taken still raises: that is a conflict, not a repeat.
    """
    return insert_new(connection, table, row, *(column.name for column in table.primary_key.columns))


def insert_new(connection: Connection, table: Table, row: Mapping[str, Any], *keys: str) -> bool:
    """Insert `row` unless the unique key of these columns is taken; return whether it was inserted."""
    statement = _unless_taken(connection.dialect.name, table, keys)
    return connection.execute(statement, row, execution_options={"preserve_rowcount": True}).rowcount == 1


@cache
def _unless_taken(dialect: str, table: Table, keys: tuple[str, ...]) -> postgresql.Insert | sqlite.Insert:
    """Return the statement; building it anew for every row would cost more than running it."""
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return insert.on_conflict_do_nothing(index_elements=keys)
