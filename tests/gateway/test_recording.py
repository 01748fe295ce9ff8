"""A show on two processes is recorded: everything once, nothing personal, and nothing once the recorder is gone."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from loadtests.recording.reading import CUT_SHORT, RecordingError, load
from server.shows.tape import Bundle, Checkout, Join, Leave, Move, Release, Reserve, Unwait, Wait
from server.store import reads
from server.store.keys import key
from server.store.redis import connect
from tests.gateway.recorder import BEGAN, ENDED, finish, recording, text_of, times
from tests.gateway.test_workers import connections
from tests.server import ServerProcess
from tests.stage import Stage
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from server.client import LiveClient

MOST_VIEWERS = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server of two processes."""
    process = ServerProcess(tmp_path_factory.mktemp("recorded") / "data", options=("--workers", "2"))
    process.start()
    yield process
    assert process.stop() == 0


@pytest.fixture
async def stage(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show; its books are not the matter here."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        one = Stage(server, http)
        await one.open()
        yield one


def named(text: str, names: list[str]) -> list[str]:
    """Return the names that a text contains."""
    return [name for name in names if name in text]


async def test_everything_is_recorded_once_and_nobody_is_named(
    server: ServerProcess, stage: Stage, tmp_path: Path
) -> None:
    """Joins, leaves and commands of the viewers of both processes, through both doors; and moves of the drop."""
    path = tmp_path / "show.ndjson.gz"
    async with recording(server, stage.show, path, processes=2) as recorder:
        drop = await stage.drop(8, limit_per_viewer=3)
        personal = [stage.show, stage.show[3:], drop, "MUG", "Mug", "A test", "viewer-", "heart", "tok_ok"]
        sockets = await act(server, stage, drop, personal)
        await stage.move(drop, "restock", quantity=4)
        await stage.move(drop, "close")
        await finish(recorder)
    found = load(path)
    assert found.warnings == []
    assert found.end is not None
    assert (found.end.lost, found.end.lost_batches, found.end.gaps_ms) == (0, 0, 0)
    joins = [one for one in found.acts if isinstance(one, Join)]
    leaves = [one for one in found.acts if isinstance(one, Leave)]
    assert len({(one.viewer, one.connection) for one in joins}) == len(joins) == sockets
    assert {(one.viewer, one.connection) for one in leaves} == {(one.viewer, one.connection) for one in joins}
    assert Counter(one.code for one in leaves) == {1000: sockets - 1, 1006: 1}
    assert Counter(one.returns for one in joins) == {False: sockets - 1, True: 1}
    commands = [one for one in found.acts if not isinstance(one, Join | Leave)]
    assert Counter((type(one).__name__, one.end) for one in commands) == {
        ("Reserve", "held"): 4,
        ("Reserve", "repeated"): 1,
        ("Reserve", "out-of-stock"): 1,
        ("Reserve", "limit-reached"): 1,
        ("Bundle", "out-of-stock"): 1,
        ("Release", "released"): 1,
        ("Wait", "waiting"): 1,
        ("Unwait", "left"): 1,
        ("Checkout", "paid"): 1,
        ("Checkout", "payment-declined"): 1,
    }
    assert_acts_fit_together(commands)
    assert sum(one.messages for one in found.reactions) == 2
    assert sum(one.reactions for one in found.reactions) == 8
    moves = [(one.move, one.quantity) for one in found.moves if isinstance(one, Move)]
    assert moves == [("open", 0), ("restock", 4), ("close", 0)]
    assert [(one.quantity, one.limit_per_viewer) for one in found.drops] == [(8, 3)]
    text = text_of(path)
    assert named(text, personal) == []
    assert named(text + personal[-1], personal) == [personal[-1]]


async def act(server: ServerProcess, stage: Stage, drop: str, personal: list[str]) -> int:
    """Do what viewers do, on both processes; return how many sockets were opened, and add what nobody may read."""
    async with AsyncExitStack() as stack:
        viewers: list[LiveClient] = []
        tokens: list[str] = []

        async def spread() -> bool:
            tokens.append(stage.viewer())
            viewers.append(await stack.enter_async_context(stage.watching(tokens[-1])))
            assert len(viewers) <= MOST_VIEWERS, "all went to one process"
            counted = await connections(server) if len(viewers) >= 6 else set()
            return any(0 < count < len(viewers) for count in counted)

        await wait_for(spread, "both processes have viewers", seconds=40)
        personal += tokens
        taken = [await viewers[n].reserve(drop, 2, operation="mine") for n in range(3)]
        held = [answer["reservation"]["id"] for answer in taken]
        personal += held
        again = await viewers[0].reserve(drop, 2, operation="mine")
        assert again["replayed"]
        assert (await viewers[0].reserve(drop, 2))["code"] == "limit-reached"
        through_http = await stage.reserve(tokens[3], drop, 2)
        assert through_http.status_code == 201
        assert (await viewers[4].reserve(drop))["code"] == "out-of-stock"
        assert (await viewers[4].bundle((drop, 1), ("dr_none_x", 1)))["code"] == "out-of-stock"
        assert (await viewers[4].join(drop, 2))["position"] == 1
        assert (await viewers[4].leave(drop))["position"] == 0
        declined = await stage.pay(tokens[1], held[1], card="tok_declined")
        assert declined.status_code == 402
        paid = await stage.pay(tokens[1], held[1], email="dorothea@example.org")
        assert paid.status_code == 201
        personal += [paid.json()["order"]["id"], "dorothea"]
        assert (await viewers[2].release(held[2]))["reservation"]["state"] == "released"
        for _ in range(2):
            await viewers[5].send({"type": "react", "kind": "heart", "count": 4})
        await viewers[5].request({"type": "ping"})
        viewers[5]._socket.transport.abort()
        await viewers[5].until(lambda each: each.closed is not None or each.closed)
        async with stage.watching(tokens[5], since=viewers[5].place):
            pass
        return len(viewers) + 1


def assert_acts_fit_together(commands: Sequence[object]) -> None:
    """Assert that what was given back, paid and repeated is what the same viewer took before."""
    first = {
        (one.viewer, one.take): one for one in commands if isinstance(one, Reserve) and one.end == "held"
    }
    for one in commands:
        if isinstance(one, Release) or (isinstance(one, Reserve) and one.end == "repeated"):
            assert (one.viewer, one.take) in first
        elif isinstance(one, Checkout):
            assert [(one.viewer, take) in first for take in one.takes] == [True]
        elif isinstance(one, Bundle):
            assert [drop for _, drop, _ in one.items] == [1, 0]
        elif isinstance(one, Wait | Unwait):
            assert one.drop == 1


async def test_once_its_recorder_is_killed_nothing_is_recorded(
    server: ServerProcess, stage: Stage, tmp_path: Path
) -> None:
    """Both processes stop by themselves, lease and tape go; the file can be read as far as it goes, from the middle on.

    A recording that begins in the middle of a show knows who is there, and a drop as far as it is sold.
    """
    path = tmp_path / "show.ndjson.gz"
    drop = await stage.drop(10, limit_per_viewer=5)
    client = connect(server.store_url)
    try:
        async with stage.watching() as ann, stage.watching() as ben:
            await ann.reserve(drop, 3)
            async with recording(server, stage.show, path, processes=2) as recorder:
                await ben.reserve(drop, 1)
                await wait_for(lambda: len(told(path)) == 5, "all is written")
                recorder.kill()
                await wait_for(lambda: times(server, ENDED, stage.show) == 2, "both stop")
            assert times(server, BEGAN, stage.show) == 2
            assert stage.show.encode() not in await reads.fields(client, key("recordings"), "leases")
            before = await reads.stream_behind(client, key("tape", show=stage.show), "", 1000, "tape")
            await ben.reserve(drop, 1)
            await ben.request({"type": "ping"})
            after = await reads.stream_behind(client, key("tape", show=stage.show), "", 1000, "tape")
            assert after == before
            assert await client.pttl(key("tape", show=stage.show)) <= 30_000
    finally:
        await client.aclose()
    found = load(path)
    assert (found.warnings, found.end) == ([CUT_SHORT], None)
    assert [(one.here, one.connection) for one in found.acts if isinstance(one, Join)] == [(True, 1)] * 2
    assert [(one.status, one.quantity, one.available) for one in found.drops] == [("open", 10, 7)]
    assert [one.end for one in found.acts if isinstance(one, Reserve)] == ["held"]


def told(path: Path) -> list[object]:
    """Return the lines that a recording under way has so far, without its header, and one for that."""
    try:
        found = load(path)
    except RecordingError:
        return []
    return [found.header, *found.drops, *found.acts]
