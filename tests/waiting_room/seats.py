"""Seats that are kept for who has left, given on without a wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.store.keys import key
from server.store.redis import connect as connect_store
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.stage import Stage


async def gone(stage: Stage, *names: str) -> None:
    """Wait until the show knows that these have left, and let nobody keep their seats."""
    store = connect_store(stage.server.store_url)
    seats = key("seats", show=stage.show)
    try:

        async def kept() -> bool:
            return None not in await store.zmscore(seats, list(names))

        await wait_for(kept, f"{names} have left")
        await store.zadd(seats, dict.fromkeys(names, 1), xx=True)
    finally:
        await store.aclose()
