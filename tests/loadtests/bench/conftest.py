"""One store for the tests of a file, and rooms of ours on it for each of them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from loadtests.bench.ground import Ground, prepared
from server.house import build
from server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

numbers = itertools.count(1)


@pytest.fixture(name="bare", scope="module")
def _bare() -> Iterator[Ground]:
    """Give the ground of the benchmarks, made outside of any loop; its house stays unused."""
    with prepared(lambda _: None) as one:
        yield one


@pytest.fixture
async def ground(bare: Ground) -> AsyncIterator[Ground]:
    """Give the ground with a house of its own, which ends with the test's loop."""
    data = bare.folder / f"house-{next(numbers)}"
    house = build(Settings.load({**bare.settings, "LIVEDROP_DATA": str(data)}))
    yield replace(bare, house=house)
    await house.aclose()
