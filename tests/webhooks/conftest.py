"""A scene on each kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ledger.conftest import database_url, ledger, migrated_url, postgres
from tests.shared_show import show, stage
from tests.webhooks.receiver import Receiver
from tests.webhooks.scene import Scene, local

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.ledger.database import Ledger

__all__ = ["database_url", "ledger", "migrated_url", "postgres", "show", "stage"]


@pytest.fixture
async def scene(ledger: Ledger) -> AsyncIterator[Scene]:
    """Give a ledger with two hosts' shows, and a clock that stands still."""
    sender = local()
    one = Scene(ledger, sender)
    await one.open()
    yield one
    await sender.aclose()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give a receiver that says 200 to everything."""
    async with Receiver() as one:
        yield one
