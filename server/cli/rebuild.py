"""`livedrop rebuild`: a show made whole after its store was lost, and what was found on the way."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from server import logs
from server.cli.home import console, fail
from server.errors import Problem
from server.house import build

if TYPE_CHECKING:
    from server.settings import Settings
    from server.workers.rebuild import Rebuilt, Report

NEXT = {
    "paused": "It is paused: look through this, then let its host resume it.",
    "live": "It is live again.",
    "scheduled": "It has not begun yet.",
    "ended": "It has ended; what is held can still be paid.",
}


def rebuild(settings: Settings, show: str, *, reopen: bool, as_json: bool) -> bool:
    """Rebuild a show, print what became of it, and return whether every order can be served."""
    logs.configure(settings.log_level)  # what was done to a show stands in the log as well: on stderr
    try:
        report = asyncio.run(_run(settings, show, reopen=reopen))
    except Problem as problem:
        raise fail(problem.detail) from None
    if as_json:
        typer.echo(json.dumps(_plain(report)))
    else:
        _print(report)
    return not report.short


async def _run(settings: Settings, show: str, *, reopen: bool) -> Report:
    house = build(settings)
    try:
        return await house.rebuild().run(show, reopen=reopen)
    finally:
        await house.aclose()


def _plain(report: Report) -> dict[str, Any]:
    return {
        "show": report.show,
        "status": report.status,
        "epoch": report.epoch,
        "drops": [_plain_drop(drop) for drop in report.drops],
        "shortfall": [{"order": order, "missing": units} for order, units in report.short.items()],
        "resumed": report.resumed,
        "notes": report.notes,
    }


def _plain_drop(drop: Rebuilt) -> dict[str, Any]:
    return {
        "drop": drop.plan.drop,
        "sku": drop.sku,
        "terms_from": drop.source,
        "available": max(0, drop.plan.available),
        "held": drop.plan.held,
        "sold": drop.plan.sold,
        "quantity": drop.plan.quantity,
        "missing": max(0, -drop.plan.available),
        "restored": len(drop.plan.sales),
        "let_go": len(drop.plan.lapsed),
    }


def _print(report: Report) -> None:
    table = Table(title=f"{report.title} · {report.show}")
    table.add_column("drop", overflow="fold", min_width=12)
    for name in ("product", "terms from"):
        table.add_column(name)
    for name in ("available", "held", "sold", "quantity", "restored", "let go", "missing"):
        table.add_column(name, justify="right")
    for drop in report.drops:
        row = _plain_drop(drop)
        numbers = [str(row[name]) for name in ("available", "held", "sold", "quantity", "restored", "let_go")]
        missing = f"[red]{row['missing']}[/]" if row["missing"] else "0"
        table.add_row(row["drop"], row["sku"], row["terms_from"], *numbers, missing)
    console.print(table)
    for order, units in report.short.items():
        console.print(f"[red]{order}[/]: {units} units of it are not there", highlight=False, soft_wrap=True)
    for order in report.resumed:
        console.print(f"{order}: a worker goes on with its payment", highlight=False, soft_wrap=True)
    for note in report.notes:
        console.print(f"[yellow]Look at this:[/] {note}", highlight=False, soft_wrap=True)
    console.print(f"The show is {report.status}. {NEXT[report.status]}", highlight=False, soft_wrap=True)
