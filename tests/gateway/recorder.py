"""`livedrop record` as a process beside a server, and what its file says."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.server import ServerProcess

BEGAN, ENDED = "recording.began", "recording.ended"


@asynccontextmanager
async def recording(
    server: ServerProcess, show: str, path: Path, processes: int = 1
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Record a show once all processes of the server have taken notice; afterwards the recorder is gone."""
    known = times(server, BEGAN, show)
    recorder = _started(server, show, path)
    try:
        await wait_for(lambda: times(server, BEGAN, show) == known + processes, "all processes record")
        yield recorder
    finally:
        recorder.kill()
        recorder.wait()


def _started(server: ServerProcess, show: str, path: Path) -> subprocess.Popen[bytes]:
    with path.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "server", "record", show, "--out", str(path)],
            env=server.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


async def finish(recorder: subprocess.Popen[bytes]) -> None:
    """Let a recorder come to its end."""
    recorder.terminate()
    assert await asyncio.to_thread(recorder.wait, 20) == 0


def times(server: ServerProcess, mark: str, show: str) -> int:
    """Return how often a thing of a show stands in the server's log."""
    return sum(mark in line and show in line for line in server.log.read_text().splitlines())


def text_of(path: Path) -> str:
    """Return what a whole file says."""
    return gzip.decompress(path.read_bytes()).decode()
