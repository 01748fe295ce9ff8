"""Leaving with the hands full: commands under way, peers that do not move, and when everybody comes back."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from server.client import ClosedError
from server.inventory.outcomes import Held
from server.protocol.codec import Codec
from server.store.embedded import Embedded
from tests.faults.proxy import Proxy
from tests.gateway.sluggish import Sluggish, pin_big_products
from tests.gateway.test_leaving import farewell
from tests.houses import house_at, numbers
from tests.problems import assert_problem
from tests.server import ServerProcess
from tests.stage import Stage
from tests.waiting import wait_for
from tests.wire import NO_TLS, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.client import LiveClient

GRACE_SECONDS = 2
PATIENT_SECONDS = "10"  # a grace time that is not used up
SPREAD_MS = 20_000
VIEWERS = 12
LEFT_SECONDS = GRACE_SECONDS + 8.0  # for the grace time and the end of the process
BEFORE = 5  # units taken at once: from then on the script is loaded, and connections to the store are open
UNDER_WAY_SECONDS = 0.3  # that an answer is kept back after SIGTERM
PINS = 120  # times 60 kB: more than the kernels of both ends buffer


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Give a store for the servers of this module, which come and go."""
    with Embedded.start(tmp_path_factory.mktemp("drain")) as one:
        yield one


@asynccontextmanager
async def serving(
    store: Embedded, folder: Path, **settings: str
) -> AsyncIterator[tuple[ServerProcess, Proxy]]:
    """Give a server that reaches its store over a relay."""
    async with Proxy(store.url) as proxy:
        server = ServerProcess(folder / "data")
        server.settings = {
            "REDIS_URL": proxy.url,
            "LIVEDROP_DRAIN_SECONDS": str(GRACE_SECONDS),
            **settings,
        }
        await asyncio.to_thread(server.start)
        try:
            yield server, proxy
        finally:
            await asyncio.to_thread(server.stop)


@asynccontextmanager
async def staged(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
        stage = Stage(server, http)
        await stage.open()
        yield stage


def leave(server: ServerProcess) -> None:
    """Send SIGTERM."""
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)


async def left(server: ServerProcess) -> None:
    """Wait until the process has ended, within its grace time and with nothing to complain about."""
    process = server.process
    assert process is not None
    await wait_for(lambda: process.poll() is not None, "it has left", LEFT_SECONDS)
    assert process.poll() == 0
    assert [line for line in server.log.read_text().splitlines() if "Traceback" in line] == []


async def taken(stage: Stage, drop: str, units: int) -> None:
    """Let as many viewers take a unit each, all at once."""
    answers = await asyncio.gather(*(stage.reserve(stage.viewer(), drop) for _ in range(units)))
    assert [answer.status_code for answer in answers] == [httpx.codes.CREATED] * units


async def test_everybody_comes_back_at_their_own_moment(store: Embedded, tmp_path: Path) -> None:
    """The times to come back are spread over the setting: none twice, none later, early ones and late ones."""
    spread = str(SPREAD_MS)
    async with (
        serving(store, tmp_path, LIVEDROP_DRAIN_SPREAD_MS=spread) as (server, _proxy),
        staged(server) as stage,
        AsyncExitStack() as stack,
    ):
        viewers: list[LiveClient] = [
            await stack.enter_async_context(stage.watching(codec=list(Codec)[number % 2]))
            for number in range(VIEWERS)
        ]
        leave(server)
        told = await asyncio.gather(*(farewell(viewer) for viewer in viewers))
        assert {code for code, _reason in told} == {3001}
        waits = sorted(reason["retry_after_ms"] for _code, reason in told)
        assert len(set(waits)) == VIEWERS
        assert 0 <= waits[0] < SPREAD_MS / 4
        assert SPREAD_MS * 3 / 4 < waits[-1] <= SPREAD_MS
        await left(server)


async def test_what_is_under_way_is_answered_before_the_close(store: Embedded, tmp_path: Path) -> None:
    """Told to leave while the store works on commands: each gets its answer, on either door, and then 3001."""
    async with (
        serving(store, tmp_path, LIVEDROP_DRAIN_SECONDS=PATIENT_SECONDS) as (server, proxy),
        staged(server) as stage,
    ):
        drop = await stage.drop(10)
        await taken(stage, drop, BEFORE)
        async with (
            stage.watching() as packed,
            stage.watching(codec=Codec.JSON) as text,
            stage.watching() as idle,
        ):
            with proxy.holding():
                asked = [
                    asyncio.create_task(packed.reserve(drop)),
                    asyncio.create_task(text.reserve(drop)),
                ]
                bought = asyncio.create_task(stage.reserve(stage.viewer(), drop))
                await asyncio.sleep(UNDER_WAY_SECONDS)  # the store has them
                leave(server)
                code, _reason = await farewell(idle)
                assert code == 3001
                assert_problem(await fresh(server, "/readyz"), 503, "unavailable", "leaving")
                await asyncio.sleep(UNDER_WAY_SECONDS)
                assert not any(each.done() for each in (*asked, bought))
            answers = await asyncio.gather(*asked)
            assert [answer["type"] for answer in answers] == ["reservation", "reservation"]
            assert (await bought).status_code == httpx.codes.CREATED
            assert {(await farewell(viewer))[0] for viewer in (packed, text)} == {3001}
        await left(server)


async def test_who_is_just_coming_in_is_sent_away(store: Embedded, tmp_path: Path) -> None:
    """Told to leave in the middle of a handshake and of another viewer's hello: refused, and 3001; nobody hangs on."""
    async with (
        serving(store, tmp_path, LIVEDROP_DRAIN_SECONDS=PATIENT_SECONDS) as (server, proxy),
        staged(server) as known,
        staged(server) as unknown,  # to the process: nobody has asked it for this show
        wire(known) as greeting,
    ):
        with proxy.holding():
            await greeting.send({"type": "hello", "token": known.viewer()})
            knocking = asyncio.create_task(knock(unknown))
            await asyncio.sleep(UNDER_WAY_SECONDS)  # the store is asked about both
            leave(server)
            code, reason = await greeting.closed()
            assert (code, reason["code"]) == (3001, 3001)
            await wait_for(lambda: "Shutting down" in server.log.read_text(), "all viewers are gone")
        assert await knocking in {503, 3001}
        await left(server)


async def knock(stage: Stage) -> int:
    """Try to come in; return the refusal's status or the close code."""
    try:
        async with wire(stage) as viewer:
            return (await viewer.closed())[0]
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_an_answer_that_never_comes_keeps_nobody(store: Embedded, tmp_path: Path) -> None:
    """The store does not answer within the grace time: 3001 without an answer, exit 0; the same id finds the unit."""
    async with serving(store, tmp_path) as (server, proxy), staged(server) as stage:
        drop, token = await stage.drop(10), stage.viewer("patient")
        await taken(stage, drop, BEFORE)
        async with stage.watching(token) as viewer:
            with proxy.holding():
                asked = asyncio.create_task(viewer.reserve(drop, operation="once"))
                await asyncio.sleep(UNDER_WAY_SECONDS)
                leave(server)
                code, reason = await farewell(viewer)
                assert code == 3001
                assert reason["retry_after_ms"] >= 0
                with pytest.raises(ClosedError):
                    await asked
                await left(server)
        async with house_at(store.url, server.data) as house:
            again = await house.holds.reserve(stage.show, "patient", "once", drop, 1)
            assert isinstance(again, Held)
            assert again.replayed
            assert await numbers(house, stage.show, drop) == (9 - BEFORE, 1 + BEFORE, 0)


async def test_nobody_who_is_stuck_keeps_the_server(store: Embedded, tmp_path: Path) -> None:
    """Who reads nothing, says no hello, has half a handshake, half a request or floods: the server leaves with 0."""
    buffer = str(2**26)
    async with (
        serving(store, tmp_path, LIVEDROP_VIEWER_BUFFER_BYTES=buffer) as (server, _proxy),
        staged(server) as stage,
        Sluggish(stage) as clogged,
        Sluggish(stage) as deaf,
        Sluggish(stage) as mute,
        stage.watching() as good,
    ):
        for each in (clogged, deaf):
            await each.send({"type": "hello", "token": stage.viewer()})
        halves = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        for (_reader, writer), said in zip(halves, HALVES, strict=True):
            writer.write(said)
        await pin_big_products(stage, PINS)
        await good.until(lambda each: len(each.offsets) == PINS)
        flooding = asyncio.create_task(flood(deaf))
        leave(server)
        assert (await farewell(good))[0] == 3001
        await left(server)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        del mute
        for _reader, writer in halves:
            writer.transport.abort()


HALVES = (
    b"",
    b"GET /v1/shows/x/live HTTP/1.1\r\nHost: x\r\nUpgrade: webso",
    b"POST /v1/checkout HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
)


async def flood(peer: Sluggish) -> None:
    """Send pings for as long as somebody takes them."""
    while True:
        await peer.send({"type": "ping", "id": "again"})
        await asyncio.sleep(0.005)


async def fresh(server: ServerProcess, path: str) -> httpx.Response:
    """Ask on a connection of its own."""
    async with httpx.AsyncClient(base_url=server.url, verify=NO_TLS) as http:
        return await http.get(path)
