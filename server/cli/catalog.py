"""`livedrop catalog import`: a feed into the ledger, with what changed and what was rejected as tables."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.table import Table

from server.catalog import products
from server.catalog.readers import reader
from server.cli.home import console, fail, ledger_address
from server.errors import Problem
from server.ledger.database import open_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from server.catalog.products import Imported
    from server.settings import Settings


def import_file(settings: Settings, file: Path, feed_format: str, currency: str) -> None:
    """Import a file and print the result; rejected rows are shown and do not fail the command."""
    size = file.stat().st_size
    if size > settings.import_bytes:
        raise fail(f"{file} has {size} bytes, at most {settings.import_bytes} are taken.")
    try:
        with console.status(f"Importing {file.name} …"):
            imported = asyncio.run(_import(settings, file.read_bytes(), feed_format, currency))
    except Problem as problem:
        raise fail(f"{file.name}: {problem.detail}") from None
    counts = Table("created", "updated", "unchanged", "rejected", title=file.name)
    counts.add_row(
        *map(str, (imported.created, imported.updated, imported.unchanged, len(imported.rejected)))
    )
    console.print(counts)
    if imported.rejected:
        rows = Table("line", "reason", title="Rejected rows")
        for row in imported.rejected:
            rows.add_row(str(row.line), row.reason)
        console.print(rows)


async def _import(settings: Settings, data: bytes, feed_format: str, currency: str) -> Imported:
    feed = reader(feed_format)(data, currency)
    ledger = open_ledger(ledger_address(settings))
    try:
        return await products.import_products(ledger, feed.products, feed.rejected)
    finally:
        await ledger.close()
