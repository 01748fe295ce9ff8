"""A shop for each test, and more of them with settings of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.inventory.lines import Shop, Shops

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.house import House


@pytest.fixture
async def shops(house: House) -> AsyncIterator[Shops]:
    opened = Shops(house)
    yield opened
    await opened.aclose()


@pytest.fixture
async def shop(shops: Shops) -> Shop:
    return await shops.open()
