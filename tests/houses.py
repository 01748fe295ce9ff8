"""Houses in this very process: the rooms wired to a private Valkey and a SQLite ledger, without doors."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from server import ids
from server.house import House, build
from server.settings import Settings
from tests.ledgers import give_ledger
from tests.outside.stores import ledger_for
from tests.sandbox import provider_for
from tests.server import SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def house_at(redis_url: str, data: Path, **settings: Any) -> AsyncIterator[House]:
    """Give a house on this Redis and on the ledger in this folder; several may share both.

    Unless told otherwise it has no sold-out gate: nobody tells a house without an ear what others change.
    """
    database = ledger_for(redis_url, data)
    if not database:
        give_ledger(data)
    chosen = {"sold_out_gate": False, "database_url": database, **settings}
    house = build(Settings(redis_url=redis_url, data=data, secret=SECRET, **chosen))
    if not house.settings.sandbox_url:
        here = provider_for(data)
        await house.methods.provider(here.name).aclose()
        house.methods._providers[here.name] = here
    try:
        yield house
    finally:
        await house.aclose()


async def live_show(house: House, **terms: Any) -> str:
    """Make a live show and return its id."""
    show = ids.new_show()
    await house.shows.create(show, "host", {"title": "A test", "currency": "EUR", **terms})
    await house.shows.move(show, "start")
    return show


async def planned_drop(house: House, show: str, quantity: int = 10, **terms: Any) -> str:
    """Plan a drop and return its id."""
    drop = ids.new_drop(show)
    standard = {
        "sku": "MUG",
        "title": "Enamel Mug",
        "unit_price": 1250,
        "currency": "EUR",
        "limit_per_viewer": 5,
        "hold_seconds": 60,
        "mode": "fifo",
        "waitlist": True,
    }
    await house.drops.create(show, drop, {**standard, **terms}, quantity)
    return drop


async def open_drop(house: House, show: str, quantity: int = 10, **terms: Any) -> str:
    """Plan and open a drop and return its id."""
    drop = await planned_drop(house, show, quantity, **terms)
    await house.drops.open(show, drop)
    return drop


async def numbers(house: House, show: str, drop: str) -> tuple[int, int, int]:
    """Return (available, held, sold) of a drop."""
    view = await house.drops.find(show, drop)
    return view["available"], view["held"], view["sold"]
