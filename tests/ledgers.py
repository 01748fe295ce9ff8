"""Ledgers with today's tables for tests that are not about migrating: copies of one that was migrated once."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from server.ledger.engines import address
from server.ledger.migrate import migrate


def give_ledger(folder: Path) -> None:
    """Put a SQLite ledger with today's tables into a data folder, unless there is one."""
    file = _file(folder)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        migrate(Path(folder))
        return _file(Path(folder)).read_bytes()


def _file(folder: Path) -> Path:
    return Path(str(address(folder).database))
