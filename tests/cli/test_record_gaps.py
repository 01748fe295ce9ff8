"""A recorder whose lease lapsed goes on and says how long it had none, unless somebody else has the show by then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtests.recording.reading import load
from server.cli.record import Recorder
from server.shows.recordings import Recordings
from server.shows.tape import Writer
from server.store.keys import key
from tests.houses import live_show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.app import House

AWAY_MS = 20_000


@pytest.fixture
async def recorder(house: House) -> AsyncIterator[Recorder]:
    """Give a recorder who could not renew the lease for so long."""
    one = Recorder(house, await live_show(house))
    began = await one.begin()
    await house.client.delete(key("recordings"))
    one._leased_at = began - AWAY_MS
    one._renew_at = 0.0
    yield one
    await house.client.delete(key("recordings"))


async def recorded(recorder: Recorder, house: House, path: Path) -> tuple[str, int]:
    """Record until the show ends, or there is another reason; return the reason and the gap."""
    view, _ = await house.shows.find(recorder._show)
    with Writer(path) as writer:
        end = await recorder.run(writer, view, 1.0)
    assert load(path).end == end
    return end.reason, end.gaps_ms


async def test_the_gap_is_told(recorder: Recorder, house: House, tmp_path: Path) -> None:
    """It is the time for which nobody could know that the show is recorded."""
    reason, gap_ms = await recorded(recorder, house, tmp_path / "file")
    assert reason == "its time was up"
    assert 15_000 <= gap_ms < 17_000


async def test_another_recorder_has_the_show(recorder: Recorder, house: House, tmp_path: Path) -> None:
    """The first one ends, and leaves the other's lease alone."""
    others = Recordings(house.client, house.scripts)
    await others.lease(recorder._show, "another's")
    reason, _ = await recorded(recorder, house, tmp_path / "file")
    assert reason == "somebody else began to record the show"
    await recorder.leave()
    assert [lease.secret for lease in (await others.leases()).values()] == ["another's"]
