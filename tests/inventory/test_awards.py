"""Awards looked up in the log: found from the hold alone, whatever the settings have become since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.inventory import awards
from server.inventory.awards import Awards
from server.inventory.outcomes import Bundle, Held
from tests.houses import house_at, live_show, open_drop

if TYPE_CHECKING:
    from pathlib import Path

    from server.house import House
    from server.store.embedded import Embedded

CLAIM_MS = 60_000


async def claimed(house: House, show: str, drop: str, viewer: str) -> str:
    """Claim a unit of a drop that holds nothing; return the reservation."""
    taken = await house.holds.bundle(show, viewer, "op", [(drop, 1)], claim=True)
    assert isinstance(taken, Bundle)
    reservation: str = taken.reservations[0]["id"]
    return reservation


@pytest.mark.parametrize("now_ms", [CLAIM_MS, 1000, CLAIM_MS - 1, CLAIM_MS + 1, 20 * CLAIM_MS])
@pytest.mark.parametrize("notes", [1, 256])
async def test_a_claim_is_found_whatever_the_providers_time_is_now(
    private_valkey: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now_ms: int, notes: int
) -> None:
    """Lower or higher than when it was made, the award is the one of its rank; also where it takes many reads."""
    monkeypatch.setattr(awards, "NOTES", notes)
    async with house_at(private_valkey.url, tmp_path, provider_seconds=CLAIM_MS // 1000) as house:
        show = await live_show(house)
        drop = await open_drop(house, show, 5, mode="first_paid", waitlist=False)
        made = [await claimed(house, show, drop, viewer) for viewer in ("ann", "bob", "cyd")]
        for rank, reservation in enumerate(made, 1):
            found = await Awards(house.client, now_ms).find(reservation)
            assert found is not None
            assert (found.reservation, found.rank, found.drop) == (reservation, rank, drop)


async def test_the_search_has_a_bound(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind so many other notes it is not found, and what was held is not searched for that way at all."""
    monkeypatch.setattr(awards, "NOTES", 1)
    monkeypatch.setattr(awards, "MOST", 2)
    show = await live_show(house)
    drop = await open_drop(house, show, 5, mode="first_paid", waitlist=False)
    made = [await claimed(house, show, drop, viewer) for viewer in ("ann", "bob", "cyd")]
    changed = Awards(house.client, 1000)
    assert [await changed.find(reservation) is not None for reservation in made] == [True, True, False]
    held = await house.holds.reserve(show, "ann", "op", await open_drop(house, show), 1)
    assert isinstance(held, Held)
    assert await changed.find(held.reservation["id"]) is not None
