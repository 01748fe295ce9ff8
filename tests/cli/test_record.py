"""`livedrop record`: what it refuses, when it ends, and how it says what it has kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import typer

from loadtests.recording.reading import load
from server.cli.record import Recorder, keep
from server.errors import Problem
from server.shows.recordings import LEASE_MS, Recordings
from server.shows.tape import Writer
from server.store.keys import key
from tests.houses import live_show
from tests.waiting import wait_for
from tests.wire import shared_show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.house import House
    from server.shows.tape import End
    from tests.server import ServerProcess

AWAY_MS = 20_000
HEADER_BYTES = 100  # fewer than a recording has once its first lines are flushed
ANOTHER = "another recorder's"


@pytest.fixture(scope="module")
def served(server: ServerProcess) -> Iterator[str]:
    """Give a show of a server that runs."""
    yield from shared_show(server)


@pytest.fixture
async def show(house: House) -> AsyncIterator[str]:
    """Give a live show, and leave no lease behind."""
    yield await live_show(house)
    await house.client.delete(key("recordings"))


async def leases(house: House) -> list[str]:
    """Return whose leases there are."""
    found = await Recordings(house.client, house.scripts).leases()
    return [lease.secret for lease in found.values()]


async def run(recorder: Recorder, house: House, path: Path, seconds: float = 20.0) -> End:
    """Let a recorder who has begun come to its end."""
    view, _ = await house.shows.find(recorder._show)
    with Writer(path) as writer:
        return await recorder.run(writer, view, seconds)


def test_a_recording_of_so_many_seconds(server: ServerProcess, served: str, tmp_path: Path) -> None:
    """It ends by itself, and says what was kept and where."""
    path = tmp_path / "show.ndjson.gz"
    done = server.command("record", served, "--out", str(path), "--seconds", "1")
    assert done.returncode == 0, done.stderr
    said, where = done.stdout.strip().splitlines()
    assert said.endswith(
        "s, until its time was up: 0 viewers, 0 connections, 0 commands, 0 checkouts, 0 moves of drops."
    )
    assert where.startswith(f"{path} (")
    assert done.stderr == ""
    found = load(path)
    assert found.end is not None
    assert 990 <= found.end.at < 2_000  # by the store's clock, which counts from another moment than ours
    assert (found.header.currency, found.warnings) == ("EUR", [])


def test_no_file_is_written_over(server: ServerProcess, served: str, tmp_path: Path) -> None:
    """A file that is there stays as it is; the sentence says why."""
    path = tmp_path / "kept"
    path.write_text("of yesterday")
    done = server.command("record", served, "--out", str(path))
    assert done.returncode == 1
    assert done.stderr.startswith("livedrop: The recording cannot be written: ")
    assert "File exists" in done.stderr
    assert path.read_text() == "of yesterday"


async def test_with_the_show_it_ends(house: House, show: str, tmp_path: Path) -> None:
    """A recording of no set length ends when the show does, with that move in it; then there is nothing to record."""
    path = tmp_path / "show.ndjson.gz"
    recording = asyncio.create_task(keep(house.settings, show, path, None))

    def begun() -> bool:
        return path.exists() and path.stat().st_size > HEADER_BYTES

    await wait_for(begun, "its first lines are written")
    await house.shows.move(show, "end")
    await recording
    found = load(path)
    assert found.end is not None
    assert found.end.reason == "the show ended"
    assert [one.move for one in found.moves] == ["end"]
    assert await leases(house) == []
    with pytest.raises(typer.Exit):
        await keep(house.settings, show, tmp_path / "again", None)
    assert not (tmp_path / "again").exists()


async def test_a_show_is_recorded_once_at_a_time(house: House, show: str, tmp_path: Path) -> None:
    """The second recorder is refused and leaves no file, nor does it take the first one's lease."""
    await Recordings(house.client, house.scripts).lease(show, ANOTHER)
    with pytest.raises(Problem, match=r"^This show is being recorded by somebody else\.$"):
        await keep(house.settings, show, tmp_path / "file", None)
    assert await leases(house) == [ANOTHER]
    assert not (tmp_path / "file").exists()


async def test_a_show_that_is_not_there(house: House, tmp_path: Path) -> None:
    """It is named, and no file is made."""
    with pytest.raises(Problem, match=r"^There is no show 'sh_nobodyknows'\.$"):
        await keep(house.settings, "sh_nobodyknows", tmp_path / "file", None)
    assert not (tmp_path / "file").exists()


async def late(house: House, show: str) -> Recorder:
    """Return a recorder who could not renew the lease for a while, and is about to."""
    recorder = Recorder(house, show)
    began_at = await recorder.begin()
    await house.client.delete(key("recordings"))
    recorder._leased_at, recorder._renew_at = began_at - AWAY_MS, 0.0
    return recorder


async def test_a_gap_is_told(house: House, show: str, tmp_path: Path) -> None:
    """Who had no lease for a while goes on, and says for how long nobody could know that the show is recorded."""
    end = await run(await late(house, show), house, tmp_path / "file", 0.5)
    assert end.reason == "its time was up"
    assert AWAY_MS - LEASE_MS <= end.gaps_ms < AWAY_MS
    assert load(tmp_path / "file").end == end


async def test_a_recorder_that_has_lost_its_show(house: House, show: str, tmp_path: Path) -> None:
    """Where somebody else records it by now, the first one ends, and leaves the other's lease alone."""
    recorder = await late(house, show)
    await Recordings(house.client, house.scripts).lease(show, ANOTHER)
    end = await run(recorder, house, tmp_path / "file")
    assert end.reason == "somebody else began to record the show"
    await recorder.leave()
    assert await leases(house) == [ANOTHER]
