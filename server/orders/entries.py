"""Double entry: every movement of money is written once, as entries of several accounts that sum to nothing.

An account `provider:<name>` is what that provider owes the shop, `sales` what was earned (below zero, as income is
written). A movement's name follows from what moved (`or_… captured`, `rf_… paid`), so writing it again writes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from server.ledger.tables import entries
from server.ledger.upsert import insert_once

if TYPE_CHECKING:
    from sqlalchemy import Connection

SALES = "sales"


def account_of(provider: str) -> str:
    """Return the account of a payment provider."""
    return f"provider:{provider}"


def post(  # noqa: PLR0913  a movement is its fields
    connection: Connection, movement: str, order: str, amounts: dict[str, int], *, currency: str, at: int
) -> None:
    """Write a movement: account -> minor units, more than 0 where the account gets it.

    Raises ValueError unless they sum to 0.
    """
    if sum(amounts.values()) != 0:
        raise ValueError(f"{movement}: {amounts} do not sum to 0")
    for account, amount in amounts.items():
        row = {
            "movement": movement,
            "account": account,
            "order_id": order,
            "amount": amount,
            "currency": currency,
            "at": at,
        }
        insert_once(connection, entries, row)


def unbalanced(connection: Connection) -> dict[tuple[str, str], int]:
    """Return (movement, currency) -> sum of every movement that does not sum to 0: none, or the books are wrong."""
    total = func.sum(entries.c.amount)
    query = (
        select(entries.c.movement, entries.c.currency, total)
        .group_by(entries.c.movement, entries.c.currency)
        .having(total != 0)
    )
    return {(movement, currency): int(amount) for movement, currency, amount in connection.execute(query)}


def balances(connection: Connection) -> dict[tuple[str, str], int]:
    """Return (account, currency) -> what it has."""
    query = select(entries.c.account, entries.c.currency, func.sum(entries.c.amount)).group_by(
        entries.c.account, entries.c.currency
    )
    return {(account, currency): int(amount) for account, currency, amount in connection.execute(query)}
