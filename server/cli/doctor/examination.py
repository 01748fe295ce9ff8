"""All looks one after the other, and what they have found as a table or as JSON."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from server.cli.doctor import ledger, machine, store
from server.cli.doctor.finding import Finding, Verdict, warning, worst, wrong
from server.cli.doctor.looking import answered
from server.cli.home import console, ledger_address
from server.store.place import Place, answer
from server.store.redis import connect

if TYPE_CHECKING:
    from server.settings import Settings
    from server.store.redis import Redis

COLOURS = {Verdict.FINE: "green", Verdict.WARNING: "yellow", Verdict.WRONG: "red"}
SENTENCES = {
    Verdict.FINE: "All is fine.",
    Verdict.WARNING: "It can sell; look at the warnings.",
    Verdict.WRONG: "Do not sell with this: see what is wrong.",
}


def examine(settings: Settings, workers: int, *, as_json: bool) -> bool:
    """Look at everything, print what was found, and return whether nothing is wrong."""
    findings = asyncio.run(_findings(settings, workers))
    verdict = worst(findings)
    if as_json:
        typer.echo(json.dumps({"verdict": verdict, "findings": [_plain(each) for each in findings]}))
    else:
        console.print(_table(findings))
        console.print(f"[{COLOURS[verdict]}]{SENTENCES[verdict]}[/]")
    return verdict is not Verdict.WRONG


async def _findings(settings: Settings, workers: int) -> list[Finding]:
    found: list[Finding] = []
    looks = machine.looks(settings, workers)
    looks += ledger.looks(ledger_address(settings), settings.data, production=settings.production)
    client: Redis | None = None
    url = settings.redis_url or _private(settings)
    if url:
        try:
            client = connect(url)
            looks += store.looks(client, production=settings.production)
        except ValueError as error:
            found.append(wrong("store", str(error), store.REACH))
    else:
        advice = "It runs with `livedrop serve`, `work` or `demo`; or set REDIS_URL."
        found.append(warning("store", "the private one does not run", advice))
    try:
        for look in looks:
            found += await answered(look)
    finally:
        if client is not None:
            await client.aclose()
    return found


def _private(settings: Settings) -> str:
    """Return the URL of the data folder's private store where it runs; none is started for a look."""
    url = Place(settings.data.absolute() / "valkey").url()
    return url if url and answer(url) == "PONG" else ""


def _plain(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "found": finding.found,
        "verdict": finding.verdict,
        "advice": finding.advice,
    }


def _table(findings: list[Finding]) -> Table:
    table = Table(title="The deployment")
    for name in ("check", "found", "verdict", "what to do"):
        table.add_column(name, overflow="fold")
    for each in findings:
        table.add_row(each.check, each.found, f"[{COLOURS[each.verdict]}]{each.verdict}[/]", each.advice)
    return table
