"""`livedrop audit --actions SHOW`: who did what in a show, as a table or as JSON lines."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.table import Table

from server.cli.home import console, fail, ledger_address
from server.errors import Problem
from server.ledger.actions import Action, Actions
from server.ledger.database import open_ledger

if TYPE_CHECKING:
    from server.settings import Settings

PAGE = 500


def actions(settings: Settings, show: str, *, as_json: bool) -> None:
    """Print a show's actions, oldest first."""
    try:
        found = asyncio.run(_read(settings, show))
    except Problem as problem:
        raise fail(problem.detail) from None
    if as_json:
        typer.echo(json.dumps({"show": show, "actions": [asdict(each) for each in found]}))
        return
    table = Table(title=f"Actions in {escape(show)}")
    for name in ("at (UTC)", "who", "role", "what", "object", "outcome", "request"):
        table.add_column(name, overflow="fold")
    for each in found:
        at = f"{datetime.fromtimestamp(each.at / 1000, UTC):%Y-%m-%d %H:%M:%S}"
        told = (each.subject, each.role, each.verb, each.object or "", each.outcome, each.request or "")
        table.add_row(at, *map(escape, told))
    console.print(table)
    console.print(f"{len(found)} actions.")


async def _read(settings: Settings, show: str) -> list[Action]:
    ledger = open_ledger(ledger_address(settings))
    try:
        trail, found, before = Actions(ledger), list[Action](), None
        while page := await trail.of_show(show, PAGE, before):
            found += [action for _number, action in page]
            before = page[-1][0]
        return found[::-1]
    finally:
        await ledger.close()
