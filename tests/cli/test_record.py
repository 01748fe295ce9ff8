"""`livedrop record`: what it refuses, and how it says what it has kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from loadtests.recording.reading import load
from server.store import reads
from server.store.keys import key
from server.store.redis import connect
from tests.gateway.recorder import finish, recording

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.server import ServerProcess
    from tests.stage import Stage


async def record(server: ServerProcess, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return await asyncio.to_thread(server.command, "record", *words)


async def test_a_recording_of_so_many_seconds(stage: Stage, server: ServerProcess, tmp_path: Path) -> None:
    """It ends by itself, and says what was kept and where."""
    path = tmp_path / "show.ndjson.gz"
    await stage.drop()
    done = await record(server, stage.show, "--out", str(path), "--seconds", "1")
    assert done.returncode == 0, done.stderr
    told, where = done.stdout.strip().splitlines()
    assert told.endswith(
        "s, until its time was up: 0 viewers, 0 connections, 0 commands, 0 checkouts, 0 moves of drops."
    )
    assert where.startswith(f"{path} (")
    assert done.stderr == ""
    found = load(path)
    assert found.end is not None
    assert 1_000 <= found.end.at < 2_000
    assert (found.header.currency, len(found.drops), found.warnings) == ("EUR", 1, [])


async def test_with_the_show_it_ends(stage: Stage, server: ServerProcess, tmp_path: Path) -> None:
    """A recording of no set length ends when the show does, with that move in it."""
    path = tmp_path / "show.ndjson.gz"
    async with recording(server, stage.show, path) as recorder:
        ended = await stage.host("POST", f"/v1/shows/{stage.show}/end")
        assert ended.status_code == 200
        assert await asyncio.to_thread(recorder.wait, 20) == 0
    found = load(path)
    assert found.end is not None
    assert found.end.reason == "the show ended"
    assert [one.move for one in found.moves] == ["end"]
    again = await record(server, stage.show, "--out", str(tmp_path / "again"))
    assert (again.returncode, again.stderr.strip()) == (
        1,
        "livedrop: This show has ended; there is nothing to record any more.",
    )
    assert not (tmp_path / "again").exists()


async def test_a_show_is_recorded_once_at_a_time(stage: Stage, server: ServerProcess, tmp_path: Path) -> None:
    """The second recorder is refused and leaves no file; once the first is at its end, the show can be recorded."""
    async with recording(server, stage.show, tmp_path / "first") as recorder:
        second = await record(server, stage.show, "--out", str(tmp_path / "second"))
        assert second.returncode == 1
        assert second.stderr.strip() == "livedrop: This show is being recorded by somebody else."
        assert not (tmp_path / "second").exists()
        await finish(recorder)
    async with recording(server, stage.show, tmp_path / "second") as recorder:
        await finish(recorder)


async def test_a_show_that_is_not_there(server: ServerProcess, tmp_path: Path) -> None:
    """It is named, and no file is made."""
    done = await record(server, "sh_nobodyknows", "--out", str(tmp_path / "file"))
    assert (done.returncode, done.stderr.strip()) == (1, "livedrop: There is no show 'sh_nobodyknows'.")
    assert not (tmp_path / "file").exists()


async def test_no_file_is_written_over(stage: Stage, server: ServerProcess, tmp_path: Path) -> None:
    """A file that is there stays as it is, and the show is not left taken."""
    path = tmp_path / "kept"
    path.write_text("of yesterday")
    done = await record(server, stage.show, "--out", str(path))
    assert done.returncode == 1
    assert "The recording cannot be written" in done.stderr
    assert "File exists" in done.stderr
    assert path.read_text() == "of yesterday"
    client = connect(server.store_url)
    assert stage.show.encode() not in await reads.fields(client, key("recordings"), "leases")
    await client.aclose()
