"""Two servers of one store, whose hosts' clocks are twenty minutes apart: all deadlines are those of the store."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
import pytest_asyncio

from server.auth import AUDIENCE, EVERY_SHOW, Role
from server.store.embedded import Embedded
from server.store.redis import Redis, connect
from tests.deadlines import let_lapse, move_deadline, redis_now
from tests.ledgers import give_ledger
from tests.server import SECRET, ServerProcess
from tests.stage import Stage
from tests.waiting import wait_for
from tests.wire import NO_TLS, differences, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")

SKEW_SECONDS = 600
HOLD_SECONDS = 120
OPENS_IN_MS = 1_500
TOKEN_SECONDS = 10_800


class Skewed(ServerProcess):
    """A server whose clock is wrong; its callers' tokens are good by any clock."""

    def token(self, role: Role, subject: str, *shows: str, ttl: int = TOKEN_SECONDS) -> str:
        """Sign a token that does not say when it was made: a host that is behind would not believe it yet."""
        claims: dict[str, Any] = jwt.decode(
            super().token(role, subject, *(shows or (EVERY_SHOW,)), ttl=ttl),
            SECRET,
            ["HS256"],
            audience=AUDIENCE,
        )
        del claims["iat"]
        return jwt.encode(claims, SECRET, "HS256")


class World:
    """The store's own clock, and a stage at each of the servers: behind, and ahead."""

    def __init__(self, client: Redis, behind: Stage, ahead: Stage) -> None:
        self.client = client
        self.stages = behind, ahead


@asynccontextmanager
async def served(data: Path, store: str, skew: int) -> AsyncIterator[Stage]:
    """Give a stage at a server whose clock is so many seconds off."""
    server = Skewed(data, module="tests.faults.skewed")
    server.settings = {"REDIS_URL": store, "SKEW_SECONDS": str(skew)}
    await asyncio.to_thread(server.start)
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
            yield Stage(server, http)
    finally:
        assert await asyncio.to_thread(server.stop) == 0, server.log.read_text()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Give one show, served by both."""
    folder = tmp_path_factory.mktemp("clocks")
    async with AsyncExitStack() as stack:
        store = stack.enter_context(Embedded.start(folder / "store"))
        client = connect(store.url)
        stack.push_async_callback(client.aclose)
        give_ledger(folder / "data")
        behind, ahead = await asyncio.gather(
            *(
                stack.enter_async_context(served(folder / "data", store.url, skew))
                for skew in (-SKEW_SECONDS, SKEW_SECONDS)
            )
        )
        await behind.open()
        ahead.show = behind.show
        yield World(client, behind, ahead)
        assert await differences(behind.server, behind.show) == []
        await behind.close()


async def by_the_store(world: World, drop: str, reservation: str, began: int) -> bool:
    """Whether a hold that was made since `began` ends when its drop says, by the clock of the store."""
    answer = await world.stages[0].host("GET", f"/v1/reservations/{reservation}")
    hold_ms: int = (await world.stages[0].stock(drop))["hold_seconds"] * 1000
    ends: int = answer.json()["expires_at"]
    return began + hold_ms <= ends <= await redis_now(world.client) + hold_ms


async def test_a_hold_ends_by_the_clock_of_the_store(world: World) -> None:
    """Whichever server takes it, and whichever shows it; what viewers are told of the time is the store's too."""
    for stage in world.stages:
        drop, began = await stage.drop(1, hold_seconds=HOLD_SECONDS), await redis_now(world.client)
        held = (await stage.reserve(stage.viewer(f"at-{stage.server.port}"), drop)).json()["id"]
        assert await by_the_store(world, drop, held, began)
        async with wire(stage, stage.viewer(f"asks-{stage.server.port}")) as viewer:
            await viewer.send({"type": "ping", "id": "a"})
            told = (await viewer.answer())["server_time_at"]
        assert abs(told - await redis_now(world.client)) < SKEW_SECONDS * 500


async def test_a_hold_by_a_hosts_clock_is_found(world: World) -> None:
    """Negative control: a deadline that was reckoned by a host's own clock does not pass the same look."""
    behind, _ = world.stages
    for skew in (-SKEW_SECONDS, SKEW_SECONDS):
        drop, began = await behind.drop(1, hold_seconds=SKEW_SECONDS * 2), await redis_now(world.client)
        held = (await behind.reserve(behind.viewer(f"skewed-{skew}"), drop)).json()["id"]
        wrong = began + (SKEW_SECONDS * 2 + skew) * 1000
        await move_deadline(world.client, behind.show, held, wrong)
        assert not await by_the_store(world, drop, held, began)


async def test_nothing_lapses_early_or_late(world: World) -> None:
    """The sweepers of both let go what is over by the store, and leave what is not; that can be paid at either."""
    behind, ahead = world.stages
    drop = await behind.drop(2, hold_seconds=HOLD_SECONDS)
    first, second = behind.viewer("lasts"), ahead.viewer("lapses")
    lasting = (await behind.reserve(first, drop)).json()["id"]
    over = (await ahead.reserve(second, drop)).json()["id"]
    await let_lapse(world.client, behind.show, over)
    await behind.until_stock(drop, (1, 1, 0))
    paid = await ahead.pay(first, lasting)
    assert paid.status_code == 201, paid.text


async def test_a_drop_opens_when_the_store_says(world: World) -> None:
    """Planned at either server, it opens at its moment: not ten minutes early, and not ten minutes late."""
    for stage in world.stages:
        opens_at = await redis_now(world.client) + OPENS_IN_MS
        drop = await stage.drop(1, opened=False, opens_at=opens_at)

        async def opened(stage: Stage = stage, drop: str = drop) -> bool:
            shown: str = (await stage.stock(drop))["status"]
            return shown == "open"

        await wait_for(opened, "it is open")
        assert (await stage.stock(drop))["opened_at"] >= opens_at
