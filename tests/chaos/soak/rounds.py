"""Rounds of a soak: a sale under faults, then stillness, then the account of it."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from server.clock import monotonic
from server.eventlog import stream
from server.store import reads
from server.store.keys import key
from server.workers.audit import audit
from tests.chaos.books import look, sums
from tests.chaos.soak.faults import Faults
from tests.chaos.soak.ground import ground
from tests.chaos.soak.health import Health
from tests.chaos.soak.sale import ANSWER_SECONDS, Sale
from tests.waiting import wait_for
from tests.wire import NO_TLS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from tests.chaos.soak.ground import Ground
    from tests.faults.witness import Crowd

ROUND_SECONDS = 60.0
FAULT_SECONDS = 4.0  # between two faults, about
SAMPLE_SECONDS = 5.0
SETTLED_SECONDS = 120.0
BUYERS = 6
FOREVER = 2**53  # ms
OF_LOSS = (": revision ", "two stories about ")
COMPLAINT_LETTERS = 400
KEPT = frozenset({"paid", "cancelled", "fulfilled"})  # what an acknowledged order may be afterwards


@dataclass(slots=True)
class Account:
    """What a soak came to."""

    seed: int
    rounds: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    complaints: list[str] = field(default_factory=list)
    health: Health = field(default_factory=Health)


async def soak(
    seed: int, seconds: float, folder: Path, say: Callable[[str], object], only: Collection[str] = ()
) -> Account:
    """Run rounds for about so long, with all faults or only those, and return the account of all."""
    account = Account(seed)
    chance = random.Random(seed)  # noqa: S311  deeds, no secrets
    ends = monotonic() + seconds
    async with (
        ground(folder) as place,
        httpx.AsyncClient(timeout=ANSWER_SECONDS, verify=NO_TLS) as http,
    ):
        looking = asyncio.create_task(_sample(place, account.health))
        try:
            while monotonic() < ends and not account.complaints:
                length = min(ROUND_SECONDS, max(10.0, ends - monotonic()))
                sale = Sale(place, http, chance)
                await one_round(sale, Faults(sale, only), length, account)
                say(
                    f"round {account.rounds}: {sum(account.answers.values())} answers, {account.acknowledged} "
                    f"orders, {sum(map(len, account.recoveries.values()))} faults, "
                    f"{len(account.complaints)} complaints"
                )
                for complaint in account.complaints:
                    say(complaint[:COMPLAINT_LETTERS])
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        account.complaints += [f"logs: {line}" for line in place.troubles()]
    account.complaints += [f"health: {line}" for line in account.health.complaints()]
    return account


async def _sample(place: Ground, health: Health) -> None:
    while True:
        health.look(place.pids(), monotonic())
        await asyncio.sleep(SAMPLE_SECONDS)


async def one_round(sale: Sale, faults: Faults, seconds: float, account: Account) -> None:
    """Sell under faults for so long, let everything come to its end, and look at it."""
    await sale.begin()
    crowd = sale.witnesses()
    watching = [asyncio.create_task(witness.watch()) for witness in crowd.staying]
    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(BUYERS):
                tasks.create_task(sale.buyer(number))
            tasks.create_task(sale.host())
            tasks.create_task(faults.run(FAULT_SECONDS))
            tasks.create_task(faults.operate())
            await asyncio.sleep(seconds)
            sale.over.set()
        await asyncio.to_thread(sale.ground.store.mend)
        await faults.rebuild()
        found = [*faults.stuck, *sale.unanswered, *await _settled(sale, faults), *await _money(sale, faults)]
        found += await _watched(sale, crowd, faults)
    finally:
        for watcher in watching:
            watcher.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    await sale.end()
    account.rounds += 1
    account.answers += sale.answers
    account.acknowledged += len(sale.acknowledged)
    for name, took in faults.recoveries:
        account.recoveries[name].append(took)
    account.complaints += [f"round {account.rounds}, {sale.show}: {line}" for line in found]


async def _settled(sale: Sale, faults: Faults) -> list[str]:
    """Wait until nothing is held or under way, and return what is wrong with the books then."""
    house = sale.ground.house

    async def still() -> bool:
        if await house.shows.frozen(sale.show):  # a failover had begun before everybody stood still
            await faults.rebuild()
        pending = await reads.due(house.client, key("pending", show=sale.show), FOREVER, 1000, "orders")
        view = await house.drops.find(sale.show, sale.drop)
        return not pending and view["held"] == 0 and not await house.refunds.waiting()

    try:
        await wait_for(still, "nothing is held or under way", SETTLED_SECONDS)
    except AssertionError as error:
        return [str(error)]
    found = [f"I1: {line}" for line in sums(await look(house.client, sale.show))]
    for drop in await audit(house.client, house.orders, sale.show):
        found += [f"I1: {line}" for line in drop.differences]
    found = [line for line in found if not _named(line, faults)]
    for order in sorted(sale.acknowledged):
        kept = await house.orders.find(order)
        if kept is None:
            found.append(f"I2: {order} was acknowledged and is in no ledger")
        elif kept[0]["status"] not in KEPT:
            found.append(f"I2: {order} was acknowledged and is {kept[0]['status']}")
    return found


async def _money(sale: Sale, faults: Faults) -> list[str]:
    """Return what `livedrop audit` finds wrong beside the bank's own books: who paid twice, or for nothing.

    A replaced primary may have taken an order with it whose payment was reserved by then. The audit names it, nothing
    is taken, and the reservation ends by itself at the provider.
    """
    words = ("audit", "--show", sale.show, "--json")
    done = await asyncio.to_thread(sale.ground.gateways[0].command, *words)
    try:
        books = json.loads(done.stdout)
    except ValueError:
        return [f"I3: the audit says nothing: {done.stderr}"]
    wrong = [line for drop in books["drops"] for line in drop["differences"]]
    wrong += [each["sentence"] for each in books["money"]["differences"]]
    wrong = [line for line in wrong if not _named(line, faults)]
    return [f"I3: {line}" for line in wrong if not (faults.replaced and " are reserved for order " in line)]


def _named(line: str, faults: Faults) -> bool:
    """Whether something is owed that the rebuild has named: a replaced primary's last sales were sold once more."""
    return bool(faults.replaced and faults.short and "below zero" in line)


async def _watched(sale: Sale, crowd: Crowd, faults: Faults) -> list[str]:
    """Wait until everybody stands at the log's top; return what they missed, or were told twice.

    A promoted store may lack the last changes, which viewers were told of: until its show is made whole, and everybody
    starts over, the number of a drop that it tells can be older, and another event have the offset of a lost one.
    """
    top = await stream.top(sale.ground.house.client, sale.show)
    assert top is not None
    try:
        await crowd.settle(top.epoch, top.offset)
    except AssertionError as error:
        return [f"I4: {error}"]
    found = [f"I4: {line}" for line in crowd.complaints()]
    if faults.replaced:
        found = [line for line in found if not any(words in line for words in OF_LOSS)]
    return found
