"""Hundreds of viewers through events, stock changes, stuck neighbours and a cut: nothing missed, nothing twice.

The small edition of `python -m loadtests.multitude`; its figures are that program's, here only what must be so on
every machine is asserted.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from loadtests.multitude.company import company
from loadtests.multitude.outcome import Outcome, Plan, broken
from loadtests.multitude.play import Play, perform
from loadtests.multitude.scene import opened
from tests.houses import house_at
from tests.server import ServerProcess, own_server
from tests.wire import differences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from loadtests.multitude.scene import Scene

BUFFER = 262_144  # bytes that the server keeps for one viewer
SMALL = Plan(
    viewers=600,
    stalled=12,
    others=40,
    events=30,
    changes=500,
    repetitions=1,
    event_bytes=16_000,  # thirty of them are more than a stalled viewer's sockets, up to 150 kB, and the buffer hold
    nap_events=13,  # and thirteen are more than the sockets and an eighth of the buffer, where skipping begins
    flood_events=300,
    pause_seconds=0.0,
    arrival_seconds=1.0,
    return_seconds=1.0,
    return_events_every=0.25,
    return_event_bytes=300,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server that keeps little for a viewer who does not read."""
    settings = {"LIVEDROP_VIEWER_BUFFER_BYTES": str(BUFFER)}
    with own_server(tmp_path_factory.mktemp("multitude"), settings) as process:
        yield process


@asynccontextmanager
async def a_scene(server: ServerProcess) -> AsyncIterator[Scene]:
    """Give a show of the server's, and audit it in the end."""
    url = server.store_url
    assert server.process is not None
    async with house_at(url, server.data) as house:
        scene = await opened(house, server.url, server.process.pid)
        yield scene
    assert await differences(server, scene.show) == []


async def test_a_multitude_misses_nothing(server: ServerProcess) -> None:
    """No gap, no duplicate, the last value everywhere; the stalled alone are closed; all return to their place."""
    async with a_scene(server) as scene:
        outcome = await perform(scene, SMALL, print)
    assert broken(outcome) == []
    alone, beside = outcome.rounds
    assert alone.sleepers is None
    assert alone.deliveries.count == beside.deliveries.count == SMALL.events * SMALL.viewers
    assert beside.sleepers is not None
    assert beside.sleepers.here < SMALL.stalled, "nobody was stalled enough for the server to let them go"
    assert outcome.nap is not None
    assert outcome.nap.sleepers.here == SMALL.stalled
    assert outcome.flood is not None
    assert outcome.storm is not None
    assert outcome.storm.recovered == SMALL.viewers
    assert outcome.book is not None
    assert outcome.book.events >= 2 * SMALL.events * SMALL.viewers


async def test_a_gap_and_a_duplicate_would_be_found(server: ServerProcess) -> None:
    """Negative control: of two who err about their place by one event, one finds a gap and one a duplicate."""
    plan = replace(SMALL, viewers=4, stalled=1, others=1, arrival_seconds=0.1)
    async with a_scene(server) as scene:
        with company(scene.url, scene.show) as crowd:
            play = Play(scene, crowd, plan, print)
            await play.arrive()
            await crowd.mislead([1], -1)
            await crowd.mislead([2], +1)
            await crowd.keep_time(play.viewers)
            await play._events(1, plan.viewers, 300)
            outcome = Outcome(plan, book=await crowd.book())
    top = scene.offset
    assert set(broken(outcome)) == {
        "1 gaps",
        "1 duplicates",
        f"viewer 1: event {top} came where {top - 1} was due",
        f"viewer 2: event {top} came again, {top + 1} was due",
    }
