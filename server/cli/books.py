"""`livedrop audit`: the books of stock and of money as tables, or as JSON, and the messages that nobody took.

A provider that cannot be asked is said so, and is no difference: the exit code tells what is known to be wrong. Nor is
a message that is parked: the books have what it tells, and only the shop lacks it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape
from rich.table import Table

from server.cli.home import console, fail
from server.errors import Problem
from server.house import build
from server.webhooks.parked import Parked, parked
from server.workers.audit import AuditedDrop
from server.workers.audit import audit as audit_show
from server.workers.money import Comparison

if TYPE_CHECKING:
    from server.settings import Settings
    from server.workers.money import Money

PAGE = 200


@dataclass(frozen=True, slots=True)
class Books:
    """What was found; no money where the providers were not to be asked."""

    drops: list[AuditedDrop]
    money: Money | None
    parked: list[Parked]

    @property
    def balanced(self) -> bool:
        """Whether nothing is known to be wrong."""
        return not any(drop.differences for drop in self.drops) and not (
            self.money and self.money.differences
        )


def audit(settings: Settings, show: str | None, *, ask_providers: bool, as_json: bool) -> bool:
    """Print every drop's books, and what was paid beside its provider's list; return whether all of it balances."""
    try:
        books = asyncio.run(_read(settings, show, ask_providers=ask_providers))
    except Problem as problem:
        raise fail(problem.detail) from None
    if as_json:
        typer.echo(json.dumps(_plain_books(books)))
        return books.balanced
    console.print(_table(books.drops))
    for drop in books.drops:
        console.print(_chain(drop), highlight=False, soft_wrap=True)
    for drop in books.drops:
        for difference in drop.differences:
            console.print(f"[red]{drop.books.drop}[/]: {difference}", highlight=False, soft_wrap=True)
    if books.money is not None:
        _print_money(books.money)
    if books.parked:
        _print_parked(books.parked)
    verdict = "[green]The books balance.[/]" if books.balanced else "[bold red]The books do not balance.[/]"
    console.print(f"{len(books.drops)} drops. {verdict}")
    return books.balanced


async def _read(settings: Settings, show: str | None, *, ask_providers: bool) -> Books:
    house = build(settings)
    try:
        if show is not None:
            await house.shows.find(show)
            wanted = [show]
        else:
            wanted = await _all_shows(house.shows)
        drops = [drop for each in wanted for drop in await audit_show(house.client, house.orders, each)]
        compare = Comparison(house.client, house.ledger, house.methods)
        money = await compare.look(wanted) if ask_providers else None
        return Books(drops, money, await house.ledger.read(partial(parked, show=show)))
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


def _plain_books(books: Books) -> dict[str, Any]:
    told = {
        "balanced": books.balanced,
        "drops": [_plain(drop) for drop in books.drops],
        "parked": [_plain_parked(each) for each in books.parked],
    }
    return told if books.money is None else {**told, "money": _plain_money(books.money)}


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


def _plain_money(money: Money) -> dict[str, Any]:
    return {
        "accounts": [
            {
                "show": account.show,
                "provider": account.provider,
                "currency": account.currency,
                "ledger": account.ledger,
                "theirs": account.theirs,
            }
            for account in money.accounts
        ],
        "differences": [{"show": show or None, "sentence": sentence} for show, sentence in money.differences],
        "unasked": money.unasked,
    }


def _plain_parked(each: Parked) -> dict[str, Any]:
    return {
        "endpoint": each.endpoint,
        "receiver": each.receiver,
        "owner": each.owner,
        "enabled": each.enabled,
        "messages": each.messages,
        "oldest": {"id": each.oldest, "type": each.type, "at": each.since_at, "problem": each.problem},
        "next": each.next,
    }


def _print_money(money: Money) -> None:
    """Print what every provider owes, in minor units, by our books and by its own."""
    table = Table(title="The money, in minor units")
    table.add_column("show", overflow="fold", min_width=15)
    for name in ("provider", "currency"):
        table.add_column(name)
    for name in ("in the ledger", "at the provider"):
        table.add_column(name, justify="right")
    for account in money.accounts:
        agrees = account.theirs is None or account.theirs == account.ledger
        theirs = "not asked" if account.theirs is None else str(account.theirs)
        row = (account.show, account.provider, account.currency, str(account.ledger))
        table.add_row(*row, theirs if agrees else f"[red]{theirs}[/]")
    if money.accounts:
        console.print(table)
    for name, reason in money.unasked.items():
        console.print(f"[yellow]{name}[/] could not be asked: {reason}", highlight=False, soft_wrap=True)
    for show, sentence in money.differences:
        console.print(f"[red]{show or 'the ledger'}[/]: {sentence}", highlight=False, soft_wrap=True)


def _print_parked(found: list[Parked]) -> None:
    """Print who did not take how many messages since when, and what brings them again."""
    table = Table(title="Messages that are parked")
    table.add_column("endpoint", overflow="fold", min_width=15)
    for name in ("receiver", "of the", "status"):
        table.add_column(name, overflow="fold")
    table.add_column("parked", justify="right")
    table.add_column("oldest (UTC)")
    for each in found:
        at = f"{datetime.fromtimestamp(each.since_at / 1000, UTC):%Y-%m-%d %H:%M:%S}"
        status = "enabled" if each.enabled else "disabled"
        row = (each.endpoint, each.receiver, each.owner, status, str(each.messages), at)
        table.add_row(*map(escape, row))
    console.print(table)
    for each in found:
        said = (
            f"{each.messages} parked, the oldest is {each.oldest} ({each.type}): {each.problem} {each.next}"
        )
        console.print(f"[yellow]{each.endpoint}[/]: {escape(said)}", highlight=False, soft_wrap=True)


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
