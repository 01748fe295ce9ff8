"""Hundreds of checkouts at once in one process: what they leave to everybody else, and what they do not wait for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.checkout.saga import Checkout, Paid, Request
from server.checkout.turns import AT_ONCE, MOST_WAITING, RETRY_MS, Turns
from server.errors import Code, Problem
from server.inventory.outcomes import Held
from server.store.redis import POOL_CONNECTIONS, connect, reaching
from tests.checkout.buying import balanced
from tests.houses import house_at, live_show, numbers, open_drop, planned_drop
from tests.till import Till, share
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.house import House
    from server.payments.provider import ActionRequired, Authorized, Charge, Declined
    from server.store.embedded import Embedded

BUYERS = 100  # more than the pool has connections
GATE = "crowd:gate"
THINKS = "tok_thinks"


@dataclass(slots=True)
class Crowd:
    """A house with a show, and viewers with one unit each who all pay at once."""

    house: House
    show: str
    drop: str
    requests: list[Request]

    def pay(self) -> list[asyncio.Task[Any]]:
        """Let all of them pay."""
        return [asyncio.create_task(self.house.checkout.pay(one)) for one in self.requests]

    async def open_gate(self) -> None:
        """Let the store carry on with all claims, told by somebody who has a connection of their own."""
        url = self.house.settings.redis_url
        async with connect(url) as other:
            await other.rpush(GATE, *["go"] * len(self.requests))

    def busy(self) -> int:
        """Return how many of the pool's connections somebody has."""
        return len(self.house.client.connection_pool._in_use_connections)


async def a_crowd(house: House, buyers: int, card: str = "tok_ok") -> Crowd:
    """Let viewers take a unit each of a new drop."""
    show = await live_show(house)
    drop = await open_drop(house, show, buyers)
    crowd = Crowd(house, show, drop, [])
    viewers = [f"buyer-{number}" for number in range(buyers)]
    taken = await asyncio.gather(*(house.holds.reserve(show, viewer, "take", drop, 1) for viewer in viewers))
    for viewer, held in zip(viewers, taken, strict=True):
        assert isinstance(held, Held)
        details = {"provider": "sandbox", "method": "card", "token": card}
        order = ids.order(show, viewer, "pay")
        crowd.requests.append(Request(order, show, viewer, [held.reservation["id"]], details, None))
    return crowd


def with_turns(house: House, turns: Turns) -> House:
    """Return a house that checks out with these turns."""
    terms: dict[str, Any] = {"provider_seconds": 600, "action_seconds": 600, "turns": turns}
    checkout = Checkout(house.client, house.scripts, house.holds, house.orders, house.methods, **terms)
    return replace(house, checkout=checkout)


@asynccontextmanager
async def gated(valkey: Embedded, folder: Path, turns: Turns) -> AsyncIterator[Crowd]:
    """Give a crowd whose claims each keep a connection of the store's until the gate is opened."""
    async with house_at(valkey.url, folder) as house:
        pool: Any = house.client.connection_pool
        pool.timeout, pool.connection_kwargs["socket_timeout"] = 0.2, 60
        share(Till(), house)
        crowd = await a_crowd(with_turns(house, turns), BUYERS)
        run = house.scripts.run

        async def slowly(name: str, places: Any, /, **args: Any) -> Any:
            if name == "hold_checkout":
                with reaching("the gate"):
                    await house.client.blpop([GATE])
            return await run(name, places, **args)

        house.scripts.run = slowly  # type: ignore[method-assign]  # this house's only
        yield crowd


async def others_are_served(crowd: Crowd) -> None:
    """Assert that viewers and the host are answered while not one of those who pay is."""
    house, show = crowd.house, crowd.show
    paying = crowd.pay()
    turns = house.checkout._scripts.turns
    kept = min(BUYERS, turns.free, POOL_CONNECTIONS)
    await wait_for(lambda: crowd.busy() == kept, f"the claims have {kept} connections")
    try:
        other = await planned_drop(house, show)
        await house.drops.open(show, other)
        held = await house.holds.reserve(show, "ann", "tap", other, 1)
        assert isinstance(held, Held), held
        await house.drops.close(show, other)
        await house.drops.restock(show, crowd.drop, 5)
        assert await numbers(house, show, crowd.drop) == (5, BUYERS, 0)
        await house.holds.sweep(show)
        assert not any(task.done() for task in paying), "one of them was faster"
    finally:
        await crowd.open_gate()
        outcomes = await asyncio.gather(*paying, return_exceptions=True)
        await house.client.delete(GATE)
    assert all(isinstance(outcome, Paid) for outcome in outcomes), outcomes
    assert await numbers(house, show, crowd.drop) == (5, 0, BUYERS)
    assert await balanced(house, show)


async def test_who_pays_leaves_the_others_their_connections(private_valkey: Embedded, tmp_path: Path) -> None:
    """While 100 pay and the store answers none of them, the host opens, closes, restocks, and a viewer takes a unit."""
    turns = Turns()
    async with gated(private_valkey, tmp_path, turns) as crowd:
        await others_are_served(crowd)
    assert turns.free == AT_ONCE


async def test_without_turns_they_take_all_connections(private_valkey: Embedded, tmp_path: Path) -> None:
    """Negative control: where everybody may use the store at once, the host hears that there is no connection."""
    async with gated(private_valkey, tmp_path, Turns(at_once=BUYERS)) as crowd:
        with pytest.raises(Problem, match="connection to the store failed"):
            await others_are_served(crowd)


class Thinking(Till):
    """A provider that thinks about some orders until it is told to stop; `turns` are held meanwhile by who must not."""

    def __init__(self, held: Turns | None = None) -> None:
        super().__init__()
        self.stop = asyncio.Event()
        self.thinking = 0
        self._held = held

    async def authorize(self, charge: Charge) -> Authorized | ActionRequired | Declined:
        """Think first."""
        if charge.token == THINKS:
            self.thinking += 1
            if self._held is not None:
                async with self._held.next:
                    await self.stop.wait()
            await self.stop.wait()
        return await super().authorize(charge)


async def others_check_out(house: House, till: Thinking) -> None:
    """Assert that others come to their end while the provider thinks about more orders than there are turns."""
    share(till, house)
    slow, quick = await a_crowd(house, AT_ONCE + 4, THINKS), await a_crowd(house, AT_ONCE + 4)
    turns = house.checkout._scripts.turns
    waiting = slow.pay()
    await wait_for(lambda: till.thinking == len(waiting), "the provider thinks about all of them")
    try:
        assert (turns.free, len(turns.next)) == (AT_ONCE, 0), "turns are held while the provider thinks"
        outcomes = await asyncio.gather(*quick.pay())
        assert all(isinstance(outcome, Paid) for outcome in outcomes)
        assert not any(task.done() for task in waiting)
    finally:
        till.stop.set()
        outcomes = await asyncio.gather(*waiting)
    assert all(isinstance(outcome, Paid) for outcome in outcomes)


async def test_no_turn_is_held_while_the_provider_thinks(house: House) -> None:
    """Others check out meanwhile, from the first step to the last, and those who waited are paid after it."""
    await others_check_out(house, Thinking())
    assert house.checkout._scripts.turns.free == AT_ONCE


async def test_a_turn_that_is_held_meanwhile_is_found(house: House) -> None:
    """Negative control: a checkout that keeps its turn over the provider's call keeps all others out."""
    with pytest.raises(AssertionError, match="turns are held while the provider thinks"):
        await others_check_out(house, Thinking(house.checkout._scripts.turns))


async def test_who_finds_too_many_is_refused_before_anything_is_done(house: House) -> None:
    """Where as many wait as may, a request to pay is `unavailable` with a time to come back, and its key is free."""
    turns = house.idempotency._turns
    assert turns is house.checkout._scripts.turns
    asked = ("viewer", "POST", "/v1/checkout", ids.secret(8), b"{}")
    taken = [turns.take() for _ in range(AT_ONCE)]
    crowd = [asyncio.create_task(turns.first.__aenter__()) for _ in range(MOST_WAITING)]
    await wait_for(lambda: len(turns.first) == MOST_WAITING, "all wait")
    with pytest.raises(Problem) as refused:
        await house.idempotency.begin(*asked, lined=True)
    assert (refused.value.code, refused.value.extras) == (Code.UNAVAILABLE, {"retry_after_ms": RETRY_MS})
    await house.idempotency.begin(
        "host", "POST", "/v1/shows", ids.secret(8), b"{}"
    )  # who is no buyer does not wait
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    for _ in taken:
        turns.end()
    await house.idempotency.begin(*asked, lined=True)
    assert turns.free == AT_ONCE
