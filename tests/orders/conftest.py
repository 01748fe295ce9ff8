"""Databases of both kinds, and a house with a till on each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.houses import house_at
from tests.ledger.conftest import database_url, ledger, migrated_url, postgres, postgresql_ledger
from tests.orders.counter import Counter
from tests.till import share

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.house import House
    from server.store.embedded import Embedded

__all__ = ["database_url", "ledger", "migrated_url", "postgres", "postgresql_ledger"]


@pytest.fixture
def till() -> Counter:
    return Counter()


@pytest.fixture
async def house(
    private_valkey: Embedded, migrated_url: str, tmp_path: Path, till: Counter
) -> AsyncIterator[House]:
    """Give the rooms wired in this process, once on each kind of ledger."""
    async with house_at(private_valkey.url, tmp_path / "data", database_url=migrated_url) as one:
        share(till, one)
        yield one
