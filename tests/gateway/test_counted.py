"""How many watch, over two processes: by viewer, not by socket, and without those of a process that died."""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from server.client import ClosedError
from tests.faults.witness import count
from tests.server import ServerProcess, own_server
from tests.stage import Stage
from tests.waiting import wait_for
from tests.wire import NO_TLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from server.client import LiveClient

MOST_TRIES = 60  # connections until both processes have got some
COUNTED_SECONDS = 15.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server of two processes, whose leases are short."""
    settings = {"LIVEDROP_SOCKETS_PER_VIEWER": str(MOST_TRIES)}
    kind: dict[str, Any] = {"options": ("--workers", "2"), "module": "tests.gateway.brisk"}
    with own_server(tmp_path_factory.mktemp("counted"), settings, **kind) as process:
        yield process


@pytest.fixture
async def stage(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
        one = Stage(server, http)
        await one.open()
        yield one


def keeper(viewer: LiveClient, server: ServerProcess) -> int:
    """Return the id of the process that has a viewer's connection: both ends of a socket stand in /proc."""
    ours, theirs = (f"0100007F:{port:04X}" for port in (viewer._socket.local_address[1], server.port))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    inode = next(row[9] for row in rows if row[1:3] == [theirs, ours])
    assert server.process is not None
    for child in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split():
        for opened in Path(f"/proc/{child}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed while we look
                if str(opened.readlink()) == f"socket:[{inode}]":
                    return int(child)
    raise AssertionError(f"nobody has the connection from {ours}")


class Hall:
    """The viewers of a stage by the process that has them."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.viewers: dict[int, list[LiveClient]] = {}
        self._stacks: dict[LiveClient, AsyncExitStack] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for viewer in list(self._stacks):
            await self.leave(viewer)

    async def join(self, token: str) -> LiveClient:
        """Let a viewer in, by whichever process."""
        stack = AsyncExitStack()
        viewer = await stack.enter_async_context(self.stage.watching(token))
        self._stacks[viewer] = stack
        self.viewers.setdefault(keeper(viewer, self.stage.server), []).append(viewer)
        return viewer

    async def leave(self, viewer: LiveClient) -> None:
        """Let a viewer go."""
        for viewers in self.viewers.values():
            if viewer in viewers:
                viewers.remove(viewer)
        await self._stacks.pop(viewer).aclose()

    async def join_both(self, token: str) -> list[LiveClient]:
        """Let one viewer in by each process, with as many connections as it takes; return one of each."""
        found: dict[int, LiveClient] = {}
        for _ in range(MOST_TRIES):
            viewer = await self.join(token)
            if found.setdefault(keeper(viewer, self.stage.server), viewer) is not viewer:
                await self.leave(viewer)
            if len(found) == 2:
                return list(found.values())
        raise AssertionError("all went to one process")

    async def join_at(self, process: int) -> LiveClient:
        """Let a new viewer in by a certain process."""
        for _ in range(MOST_TRIES):
            viewer = await self.join(self.stage.viewer())
            if viewer in self.viewers[process]:
                return viewer
            await self.leave(viewer)
        raise AssertionError("all went to other processes")

    async def counts(self, expected: int) -> None:
        """Wait until so many are counted, wherever one asks, and everybody here has been told."""

        async def counted() -> bool:
            figures = await self.stage.host("GET", f"/v1/shows/{self.stage.show}/metrics")
            told = [count(viewer) for viewer in self._stacks]
            return figures.json()["viewers"] == expected and told == [expected] * len(told)

        await wait_for(counted, f"{expected} are counted", COUNTED_SECONDS)


async def test_a_viewer_on_both_processes_is_one(stage: Stage) -> None:
    """Three viewers, one of them on both processes: three; leaving one process they stay counted, leaving both not."""
    async with Hall(stage) as hall:
        twin, other_twin = await hall.join_both(stage.viewer())
        first, second = hall.viewers
        await hall.join_at(first)
        await hall.join_at(second)
        await hall.counts(3)
        left = keeper(twin, stage.server)
        await hall.leave(twin)
        # That process tells of this one after the leave: once they count, the leave has been counted too.
        late = await hall.join_at(left)
        await hall.counts(4)
        await hall.leave(late)
        await hall.counts(3)
        await hall.leave(other_twin)
        await hall.counts(2)
        figures = await stage.host("GET", f"/v1/shows/{stage.show}/metrics")
        assert figures.json()["peak_viewers"] >= 4


async def test_the_viewers_of_a_process_that_dies_are_counted_out(stage: Stage) -> None:
    """SIGKILL to one process: who was there is gone from the count after its lease, the others miss nothing at all."""
    async with Hall(stage) as hall:
        twin, other_twin = await hall.join_both(stage.viewer())
        doomed, living = keeper(twin, stage.server), keeper(other_twin, stage.server)
        for process in (doomed, doomed, living):
            await hall.join_at(process)
        await hall.counts(4)
        start = max(viewer.place["offset"] for viewer in hall.viewers[living])
        os.kill(doomed, signal.SIGKILL)
        for viewer in list(hall.viewers[doomed]):
            with pytest.raises(ClosedError):
                await viewer.until(lambda _each: False)
            await hall.leave(viewer)
        async with httpx.AsyncClient(base_url=stage.server.url, timeout=30, verify=NO_TLS) as stage.http:
            drop = await stage.drop(5)
            await hall.counts(2)
            back = await hall.join(stage.viewer())
            await hall.counts(3)
            await stage.move(drop, "close")
            for viewer in (*hall.viewers[living], back):
                await viewer.until(lambda each: each.place["offset"] == start + 3)
            assert other_twin.offsets == [start + 1, start + 2, start + 3]
