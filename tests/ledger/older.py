"""SQLite ledgers of other versions of the code."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from alembic import command

from server.ledger import migrate as module
from server.ledger.engines import FILE_NAME, address, open_engine

if TYPE_CHECKING:
    from pathlib import Path

FIRST, LATER = "0001", "9999"  # no version of today knows the later one
BUYER = "buyer-of-before"
ORDER = (
    "INSERT INTO orders VALUES ('or_one_a', 'sh_one', ?, 'paid', 5, 'EUR', 'a@b.example', NULL, NULL, 1, 1)"
)


def first_tables(folder: Path) -> Path:
    """Make a ledger of the first version in a folder, with one order, and return its file."""
    engine = open_engine(address(folder), connections=1, writes=True)
    try:
        with engine.begin() as connection:
            command.upgrade(module._config(connection), FIRST)
            connection.exec_driver_sql(ORDER, (BUYER,))
    finally:
        engine.dispose()
    return folder / FILE_NAME


def later_tables(folder: Path) -> Path:
    """Make a ledger of a version that is yet to come, and return its file."""
    module.migrate(folder)
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (LATER,))
        connection.commit()
    return folder / FILE_NAME


def has(file: Path) -> tuple[str, list[str]]:
    """Return the version of a ledger's tables, and its buyers."""
    with closing(sqlite3.connect(file)) as connection:
        (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return version, [viewer for (viewer,) in connection.execute("SELECT viewer FROM orders")]
