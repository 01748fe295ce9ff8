"""`livedrop audit`: the books as a table, or as JSON."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from server.app import build
from server.cli.home import console, fail
from server.errors import Problem
from server.workers.audit import AuditedDrop
from server.workers.audit import audit as audit_show

if TYPE_CHECKING:
    from server.settings import Settings

PAGE = 200


def audit(settings: Settings, show: str | None, *, as_json: bool) -> bool:
    """Print every drop's books and return whether they balance."""
    try:
        drops = asyncio.run(_read(settings, show))
    except Problem as problem:
        raise fail(problem.detail) from None
    balanced = not any(drop.differences for drop in drops)
    if as_json:
        typer.echo(json.dumps({"balanced": balanced, "drops": [_plain(drop) for drop in drops]}))
        return balanced
    console.print(_table(drops))
    for drop in drops:
        console.print(_chain(drop), highlight=False, soft_wrap=True)
    for drop in drops:
        for difference in drop.differences:
            console.print(f"[red]{drop.books.drop}[/]: {difference}", highlight=False, soft_wrap=True)
    verdict = "[green]The books balance.[/]" if balanced else "[bold red]The books do not balance.[/]"
    console.print(f"{len(drops)} drops. {verdict}")
    return balanced


async def _read(settings: Settings, show: str | None) -> list[AuditedDrop]:
    house = build(settings)
    try:
        if show is not None:
            await house.shows.find(show)
            wanted = [show]
        else:
            wanted = await _all_shows(house.shows)
        return [drop for each in wanted for drop in await audit_show(house.client, house.orders, each)]
    finally:
        await house.aclose()


async def _all_shows(shows: Any) -> list[str]:
    found: list[str] = []
    after: str | None = None
    while True:
        page, after = await shows.listed(after, PAGE)
        found += [view["id"] for view, _host in page]
        if after is None:
            return found


def _plain(drop: AuditedDrop) -> dict[str, Any]:
    books = drop.books
    return {
        "show": drop.show,
        "drop": books.drop,
        "sku": books.sku,
        "status": books.status,
        "available": books.available,
        "held": books.held,
        "sold": books.sold,
        "quantity": books.quantity,
        "holds_counted": books.counted_held,
        "sold_counted": books.counted_sold,
        "ledger_units": drop.ledger_units,
        "in_flight": books.in_flight,
        "waiting": books.waiting,
        "awards": books.awards,
        "award_log": {"notes": books.notes, "head": books.head, "recomputed": books.counted_head},
        "differences": drop.differences,
    }


def _chain(drop: AuditedDrop) -> str:
    """Return a drop's line on its award log. A head that is kept elsewhere holds all notes before it fast."""
    books = drop.books
    led = "leads" if books.counted_head == books.head else "[red]does not lead[/]"
    return f"{books.drop}: award log of {books.notes} notes and {books.awards} awards {led} to {books.head}"


def _table(drops: list[AuditedDrop]) -> Table:
    names = ("available", "held", "sold", "quantity", "holds counted", "in the ledger", "in flight")
    table = Table(title="The books")
    table.add_column("drop", overflow="fold", min_width=12)
    for name in ("product", "status"):
        table.add_column(name)
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("differences", justify="right")
    for drop in drops:
        books = drop.books
        numbers = (books.available, books.held, books.sold, books.quantity, books.counted_held)
        count = len(drop.differences)
        table.add_row(
            books.drop,
            books.sku,
            books.status,
            *map(str, numbers),
            str(drop.ledger_units),
            str(books.in_flight),
            f"[red]{count}[/]" if count else "[green]0[/]",
        )
    return table
