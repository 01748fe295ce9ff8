"""Faults of every kind, one after the other and into each other: what no list of single cases thinks of."""

from __future__ import annotations

import asyncio
import itertools
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from server.errors import Problem
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.house import House
    from tests.faults.conftest import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAULTS = 14
LONGEST_SECONDS = 0.5  # of a fault that lasts
PAUSE_SECONDS = 0.3  # at most, between two
UNITS = 10_000
PACE_SECONDS = 0.01  # between two changes of stock
TOLD_SECONDS = 10.0
STRIKES = ("cut", "lose", "deafen", "kill", "cut all", "stop the server", "stop the store", "hold answers")


async def strike(scene: Scene, fault: str, seconds: float) -> None:
    """Let one fault happen, and return when it is over."""
    match fault:
        case "cut":
            scene.proxy.cut()
        case "lose":
            scene.proxy.lose()
        case "deafen":
            scene.proxy.deafen()
        case "kill":
            await scene.house.client.client_kill_filter(_type="pubsub")
        case "cut all":
            scene.proxy.cut_all()
        case "stop the server":
            with scene.server_stopped():
                await asyncio.sleep(seconds)
        case "stop the store":
            with scene.store_stopped():
                await asyncio.sleep(seconds)
        case _:
            with scene.proxy.holding():
                await asyncio.sleep(seconds)


async def take_on(house: House, show: str, drop: str) -> None:
    """Take units one by one until cancelled."""
    for number in itertools.count():
        with suppress(Problem):
            await house.holds.reserve(show, "buyer", f"op-{number}", drop, 1)
        await asyncio.sleep(PACE_SECONDS)


async def test_any_faults_in_any_order(scene: Scene) -> None:
    """Events come once and in order or start over, stock never goes back, and in the end all know the last numbers."""
    seed = random.getrandbits(32)
    chance = random.Random(seed)  # noqa: S311  moments, no secrets
    struck = [chance.choice(STRIKES) for _ in range(FAULTS)]
    print(f"seed {seed}: {struck}")  # noqa: T201  pytest shows it where the test fails
    async with scene.stage() as stage:
        drop = await stage.drop(UNITS, limit_per_viewer=UNITS)
        async with scene.streaming(stage) as viewers:
            taking = asyncio.create_task(take_on(scene.house, stage.show, drop))
            for fault in struck:
                await strike(scene, fault, chance.random() * LONGEST_SECONDS)
                await asyncio.sleep(chance.random() * PAUSE_SECONDS)
            await scene.hears()
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            last = (await stage.stock(drop))["revision"]
            await wait_for(
                lambda: all(
                    witness.client is not None and witness.client.stock.get(drop, {}).get("revision") == last
                    for witness in viewers.staying
                ),
                "all who stay know the last numbers",
                TOLD_SECONDS,
            )
