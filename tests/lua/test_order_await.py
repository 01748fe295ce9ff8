"""order_await: the buyer of an order has to act at their provider, and its units are kept for as long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server import ids
from tests.lua.scene import LEASE_MS, PROVIDER_MS

if TYPE_CHECKING:
    from tests.lua.scene import Scene
    from tests.lua.written import Fields

ACTION_MS = 600_000
URL = "https://bank.example/act"


def asking(order: str = "or_1", **args: int) -> Fields:
    """Return the arguments that let an order wait for its buyer."""
    times = {"action_ms": ACTION_MS, "provider_ms": PROVIDER_MS, "lease_ms": LEASE_MS}
    return {"order": order, "reference": "pay_1", "url": URL, **times, **args}


async def test_waits(scene: Scene) -> None:
    """The record has the reference, the address and the deadline; the units stay until some time after that."""
    drop = await scene.opened(5, hold_seconds=10)
    reservation = await scene.held(drop, quantity=2)
    await scene.claimed(reservation)
    async with scene.watched() as told:
        answer = await scene.run("order_await", **asking())
    record = await scene.order("or_1")
    assert answer == {"outcome": "waits", "order": record}
    assert (record["step"], record["reference"], record["action_url"]) == ("acting", "pay_1", URL)
    now = await scene.now()
    assert now + ACTION_MS - 5000 < record["deadline_at"] <= now + ACTION_MS
    hold = await scene.hold(reservation)
    assert (hold["state"], hold["deadline"]) == ("paying", record["deadline_at"] + PROVIDER_MS)
    assert hold["deadline"] in await scene.looked_at(reservation)
    assert told.nothing
    lease = await scene.lease("or_1")
    assert lease is not None
    assert now < lease <= now + LEASE_MS


async def test_it_cannot_be_swept_before(scene: Scene) -> None:
    """A sweep at the time at which the provider's deadline would have been over finds nothing."""
    drop = await scene.opened(5, hold_seconds=1)
    reservation = await scene.held(drop)
    await scene.claimed(reservation)
    await scene.run("order_await", **asking())
    own = ids.own(reservation)
    await scene.client.zadd(scene.key("expiry"), {f"{own} {own}": await scene.now() - 1})
    assert (await scene.run("hold_sweep", limit=10))["lapsed"] == 0
    assert (await scene.hold(reservation))["state"] == "paying"


async def test_a_worker_looks_no_later_than_the_deadline(scene: Scene) -> None:
    """Where the buyer has less time than a lease lasts, somebody looks when it is over."""
    await scene.claimed(await scene.held(await scene.opened()))
    await scene.run("order_await", **asking(action_ms=2000))
    assert await scene.lease("or_1") == (await scene.order("or_1"))["deadline_at"]


async def test_a_repeat_moves_nothing(scene: Scene) -> None:
    """Asked again, the buyer has no more time than before; the answer is the record."""
    await scene.claimed(await scene.held(await scene.opened()))
    first = await scene.run("order_await", **asking())
    assert await scene.refused("order_await", **asking()) == first


@pytest.mark.parametrize("how", ["swept", "taken"])
async def test_lost(scene: Scene, how: str) -> None:
    """Where units of the order are not its own any more nobody is asked to act for them."""
    drop = await scene.opened(5)
    kept, gone = await scene.held(drop), await scene.held(drop)
    await scene.claimed(kept, gone)
    if how == "swept":
        await scene.lapsed(gone)
        await scene.run("hold_sweep", limit=10)
    else:
        await scene.given_to(gone, "or_2")
    assert await scene.refused("order_await", **asking()) == {"outcome": "lost", "reservation": gone}


async def test_elsewhere(scene: Scene) -> None:
    """An order that has gone on waits for nobody."""
    await scene.authorized(await scene.held(await scene.opened()))
    assert await scene.refused("order_await", **asking()) == {"outcome": "elsewhere", "step": "authorized"}


async def test_gone(scene: Scene) -> None:
    """Neither does one that is not there."""
    await scene.live()
    assert await scene.refused("order_await", **asking()) == {"outcome": "gone"}


async def test_frozen(scene: Scene) -> None:
    """While the stock is rebuilt no hold changes."""
    await scene.claimed(await scene.held(await scene.opened()))
    await scene.client.hset(scene.key("show"), "frozen", "1")
    assert await scene.refused("order_await", **asking()) == {"outcome": "frozen"}
    await scene.client.hdel(scene.key("show"), "frozen")
