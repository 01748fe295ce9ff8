"""Does the money agree? What the ledger says of each order beside what its provider says of the payment.

An order whose checkout is under way explains what it has at its provider and not yet in the ledger, and a refund that
is asked for explains its amount: for the moment that they take. What does not go away within a few looks is a
difference. A provider that cannot be asked is named, and is no difference: it says nothing for or against the books.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from server import ids
from server.errors import Problem
from server.orders import entries, sold
from server.orders.entries import account_of
from server.orders.writing import captured_as
from server.payments.provider import Status, UnknownOutcomeError
from server.shows import recorded
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from server.ledger.database import Ledger
    from server.payments.methods import Methods
    from server.payments.provider import Payment, Provider
    from server.store.redis import Redis

LOOKS = 3
BETWEEN_LOOKS_SECONDS = 0.5
EARLIER_MS = 3_600_000  # before a show was made: the clocks of providers are not ours
ASK_SECONDS = 60.0  # for the list of one provider

View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """What a provider owes the shop for a show in one currency: by the ledger, and by itself (None: not asked)."""

    show: str
    provider: str
    currency: str
    ledger: int
    theirs: int | None


@dataclass(slots=True)
class Money:
    """The comparison of some shows: accounts, differences by show, and providers that could not be asked, with why."""

    accounts: list[Account] = field(default_factory=list)
    differences: list[tuple[str, str]] = field(default_factory=list)  # show (empty: of all), sentence
    unasked: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Booked:
    """What the ledger has of one show's orders."""

    orders: dict[str, View]  # order -> with its payment
    captured: dict[str, tuple[int, str]]  # order -> amount and currency that moved to us
    back: Counter[str]  # order -> minor units that moved back
    asked: dict[str, int]  # order -> minor units that may have moved back
    balances: Counter[tuple[str, str]]  # (account, currency) -> what it has


class Comparison:
    """Compares the books of shows with their providers'."""

    def __init__(self, client: Redis, ledger: Ledger, methods: Methods) -> None:
        self._client = client
        self._ledger = ledger
        self._methods = methods

    async def look(self, shows: list[str]) -> Money:
        """Return what the ledger and the providers say of these shows; a difference is what every look has found."""
        money = await self._look(shows)
        for _ in range(1, LOOKS):
            if not money.differences:
                break
            await asyncio.sleep(BETWEEN_LOOKS_SECONDS)
            again = await self._look(shows)
            again.differences = [each for each in again.differences if each in money.differences]
            money = again
        return money

    async def _look(self, shows: list[str]) -> Money:
        money = Money()
        began = await self._ledger.read(
            lambda connection: [recorded.began(connection, show) for show in shows]
        )
        since = max(0, min((at or 0 for at in began), default=0) - EARLIER_MS)
        theirs: dict[str, list[tuple[str, Payment]]] = defaultdict(list)  # show -> provider and payment
        for provider in self._methods.providers():
            try:
                for payment in await _listed(provider, since):
                    theirs[ids.show_of(payment.order, "or") or ""].append((provider.name, payment))
            except (UnknownOutcomeError, Problem, TimeoutError) as error:
                money.unasked[provider.name] = str(error) or "It did not answer in time."
        # The ledger after the providers: what they have may be written down by now, and is under way where it is not.
        for show in shows:
            working = await self._working(show)
            booked = await self._ledger.read(partial(_booked, show=show))
            self._compare(money, show, booked, theirs[show], working)
        for (movement, currency), total in (await self._ledger.read(entries.unbalanced)).items():
            money.differences.append(("", f"the entries of {movement} sum to {total} {currency}, not to 0"))
        return money

    async def _working(self, show: str) -> set[str]:
        """Return the orders whose checkout is under way."""
        rows = await reads.fields(self._client, key("orders", show=show), "reading unfinished orders")
        return {order.decode() for order, raw in rows.items() if unpacked(raw)["step"] != "undone"}

    def _compare(
        self,
        money: Money,
        show: str,
        booked: Booked,
        theirs: list[tuple[str, Payment]],
        working: set[str],
    ) -> None:
        known = {provider.name for provider in self._methods.providers()}
        for name in sorted({order["provider"] for order in booked.orders.values()} - known):
            money.unasked[name] = "It is not set up here."
        of_order: dict[str, list[Payment]] = defaultdict(list)
        for _name, payment in theirs:
            of_order[payment.order].append(payment)
        lines: list[str] = []
        for order in sorted(booked.orders.keys() | of_order.keys()):
            row, found = booked.orders.get(order), of_order[order]
            if not found and row is not None and row["provider"] in money.unasked:
                continue
            lines += _several(order, found)
            lines += _captured(order, booked, found, working=order in working)
            lines += _left_open(order, row, found, working=order in working)
        money.differences += [(show, line) for line in lines]
        money.accounts += _accounts(money, show, booked, theirs)


async def _listed(provider: Provider, since: int) -> list[Payment]:
    async with asyncio.timeout(ASK_SECONDS):
        return [payment async for payment in provider.payments(since)]


def _booked(connection: Connection, show: str) -> Booked:
    captured: dict[str, tuple[int, str]] = {}
    back: Counter[str] = Counter()
    balances: Counter[tuple[str, str]] = Counter()
    for entry in sold.moved(connection, show):
        balances[entry["account"], entry["currency"]] += entry["amount"]
        order = entry["order_id"]
        if entry["account"] == entries.SALES:
            continue
        if entry["movement"] == captured_as(order):
            captured[order] = entry["amount"], entry["currency"]
        else:
            back[order] -= entry["amount"]
    orders = {order["id"]: order for order in sold.paid_for(connection, show)}
    return Booked(orders, captured, back, sold.under_way(connection, show), balances)


def _several(order: str, found: list[Payment]) -> Iterable[str]:
    """Say where more than one of an order's payments has taken money, or could."""
    live = [payment for payment in found if payment.captured or payment.status is Status.AUTHORIZED]
    if len(live) > 1:
        yield f"order {order} has {len(live)} payments: {', '.join(payment.reference for payment in live)}"


def _captured(order: str, booked: Booked, found: list[Payment], *, working: bool) -> Iterable[str]:
    """Say where what was taken and given back is not what the ledger has, but for what is under way."""
    took, gave = sum(payment.captured for payment in found), sum(payment.refunded for payment in found)
    if order not in booked.captured:
        if took != gave and not working:
            where = "is not paid in the ledger" if order in booked.orders else "is not in the ledger"
            yield f"{took - gave} were taken for order {order}, which {where}"
        return
    amount, currency = booked.captured[order]
    if not took:
        yield f"order {order} is paid by the ledger, and its provider has taken nothing"
        return
    if took != amount or {payment.currency for payment in found if payment.captured} != {currency}:
        said = ", ".join(f"{payment.captured} {payment.currency}" for payment in found if payment.captured)
        yield f"order {order}: the ledger has {amount} {currency}, its provider took {said}"
    paid_back, asked = booked.back[order], booked.asked.get(order, 0)
    if not paid_back <= gave <= paid_back + asked:
        more = f", {asked} more are asked for" if asked else ""
        yield f"order {order}: the ledger has {paid_back} paid back{more}, its provider gave {gave}"


def _left_open(order: str, row: View | None, found: list[Payment], *, working: bool) -> Iterable[str]:
    """Say what is reserved, or waits to be paid, and is nobody's business."""
    if working:
        return
    for payment in found:
        if payment.status is Status.AUTHORIZED:
            yield f"{payment.amount} {payment.currency} are reserved for order {order}, and nobody will take them"
    if row is not None and row["status"] == "confirming":
        yield f"order {order} is confirming, and nobody goes on with it"


def _accounts(
    money: Money, show: str, booked: Booked, theirs: list[tuple[str, Payment]]
) -> Iterable[Account]:
    """Return what each provider owes, by the ledger and by itself."""
    said: Counter[tuple[str, str]] = Counter()
    for name, payment in theirs:
        if payment.captured:
            said[name, payment.currency] += payment.captured - payment.refunded
    ours = {
        (account.removeprefix(account_of("")), currency): amount
        for (account, currency), amount in booked.balances.items()
        if account != entries.SALES
    }
    for name, currency in sorted(ours.keys() | said.keys()):
        asked = None if name in money.unasked else said[name, currency]
        yield Account(show, name, currency, ours.get((name, currency), 0), asked)
