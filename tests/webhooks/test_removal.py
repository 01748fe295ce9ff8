"""An endpoint that is removed while another process gives it messages: PostgreSQL, where both go on at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, select, text

from server.ledger.tables import webhook_deliveries, webhook_endpoints
from server.webhooks import deliveries
from tests.ledger.conftest import opened, postgresql_ledger
from tests.waiting import wait_for
from tests.webhooks.scene import HOST, SERVICE, Scene, local, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.ledger.database import Ledger

__all__ = ["postgresql_ledger"]

URL = "https://8.8.8.8/hook"  # nothing is sent there: these endpoints are removed before


@pytest.fixture
async def scene(postgresql_ledger: Ledger) -> AsyncIterator[Scene]:
    sender = local()
    one = Scene(postgresql_ledger, sender)
    await one.open()
    yield one
    await sender.aclose()


async def somebody_waits(ledger: Ledger) -> bool:
    """Return whether a connection to this database waits for another one's lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(await ledger.read(lambda connection: connection.execute(query).scalar_one()))


async def left(ledger: Ledger) -> int:
    """Return how many deliveries there are."""
    query = select(func.count()).select_from(webhook_deliveries)
    return await ledger.read(lambda connection: connection.execute(query).scalar_one())


async def test_what_is_just_being_given_goes_with_it(scene: Scene) -> None:
    """Its owner waits for the other process, and removes what that one gave it too."""
    endpoint = (await scene.endpoint(URL))["id"]
    await scene.tell("or_1")
    async with opened(scene.ledger.url.render_as_string(hide_password=False)) as other:
        with other.write_engine.begin() as connection:
            assert deliveries.spread(connection, scene.clock.now) == 1
            removing = asyncio.create_task(scene.webhooks.delete(SERVICE, endpoint))
            await wait_for(lambda: somebody_waits(other), "its owner waits")
        assert (await removing)["id"] == endpoint
    assert await left(scene.ledger) == 0
    assert await scene.webhooks.listed(SERVICE) == []


async def test_what_is_just_being_removed_is_given_nothing(scene: Scene) -> None:
    """The worker waits for its end, and goes on with the others."""
    gone = (await scene.endpoint(URL))["id"]
    await scene.endpoint(URL, "order.refunded", owner=HOST)
    await scene.tell("or_1")
    async with opened(scene.ledger.url.render_as_string(hide_password=False)) as other:
        with other.write_engine.begin() as connection:
            connection.execute(delete(webhook_endpoints).where(webhook_endpoints.c.id == gone))
            working = asyncio.create_task(settle(scene.worker()))
            await wait_for(lambda: somebody_waits(other), "the worker waits")
        await working
    assert await left(scene.ledger) == 0
    assert len(await scene.webhooks.listed(HOST)) == 1
