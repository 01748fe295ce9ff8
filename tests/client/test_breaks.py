"""Breaks of every kind in mid-show, on real servers: what is asked happens once, what is told has no hole."""

from __future__ import annotations

import asyncio
import random
from itertools import count
from typing import TYPE_CHECKING

import httpx
import pytest

from server.client import LiveDrop, LiveDropError, talk, wire
from server.client.outbox import Outbox
from server.protocol.codec import Codec
from tests.browser.cable import Cable
from tests.client.test_show import CODECS, client
from tests.client.told import Told, holes
from tests.faults.conftest import STREAM, a_scene
from tests.server import ServerProcess
from tests.stage import Stage
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "SIGN_OF_LIFE_SECONDS", 1.0)
    monkeypatch.setattr(wire, "OPEN_SECONDS", 1.0)


@CODECS
async def test_a_cut_connection_goes_on_where_it_was(stage: Stage, codec: Codec) -> None:
    """What happened while the cable was cut follows the welcome, without a snapshot; it may be cut again and again."""
    drop = await stage.drop(1)
    async with Cable(stage.server.port) as cable:
        live = client(stage, url=cable.url, codec=codec)
        told = Told(live)
        async with live:
            for cuts in (1, 2):
                cable.cut()
                await wait_for(lambda: live.connection.state != "live", "the break is noticed")
                await stage.move(drop, "pause")
                await stage.move(drop, "resume")
                cable.mend()
                await told.live_again(cuts)
            await told.catches_up(stage)
    assert [welcome["recovered"] for welcome in told.welcomes] == [False, True, True]
    assert len(told.of("drop.paused")) == 2


async def reserve_over_a_cut(stage: Stage, drop: str, live: LiveDrop, cable: Cable, held: int) -> None:
    """Ask for a unit on a connection whose answers are lost, and cut it when the server has given one."""
    cable.lose_answers()
    asking = asyncio.create_task(live.reserve(drop, within=20))
    await stage.until_stock(drop, (9, 1, 0))
    cable.cut()
    cable.mend()
    if held == 1:
        taken = await asking
        assert taken["state"] == "held"
    else:
        await stage.until_stock(drop, (10 - held, held, 0))
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


@CODECS
async def test_a_reserve_repeated_over_a_cut_holds_once(stage: Stage, codec: Codec) -> None:
    """The answer is lost with the connection; asked again under the same id, it comes, and one unit is held."""
    drop = await stage.drop(10, limit_per_viewer=3)
    async with Cable(stage.server.port) as cable, client(stage, url=cable.url, codec=codec) as live:
        told = Told(live)
        await reserve_over_a_cut(stage, drop, live, cable, held=1)
        assert [answer["replayed"] for answer in told.of("reservation") if "id" in answer] == [True]
        assert stage.numbers(await stage.stock(drop)) == (9, 1, 0)


async def test_a_client_that_makes_up_a_new_id_takes_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: with another id at every sending the same cut costs two units."""
    drop = await stage.drop(10, limit_per_viewer=3)
    put, number = Outbox.put, count()
    monkeypatch.setattr(Outbox, "put", lambda box, said: put(box, {**said, "id": f"new-{next(number)}"}))
    async with Cable(stage.server.port) as cable, client(stage, url=cable.url) as live:
        await reserve_over_a_cut(stage, drop, live, cable, held=2)


async def test_many_operations_wait_out_a_break_in_their_order(stage: Stage) -> None:
    """What is asked without a connection is asked when there is one, in the order of asking, at the server's pace."""
    drop = await stage.drop(100, limit_per_viewer=100)
    async with Cable(stage.server.port) as cable, client(stage, url=cable.url) as live:
        told = Told(live)
        cable.cut()
        await wait_for(lambda: live.connection.state == "waiting", "the break is noticed")
        asking = [asyncio.create_task(live.reserve(drop, operation=f"op-{number}")) for number in range(70)]
        await asyncio.sleep(0)
        cable.mend()
        taken = await asyncio.gather(*asking)
        assert len({each["id"] for each in taken}) == 70
        answers = [answer["id"] for answer in told.of("reservation") if "id" in answer]
        assert answers == [f"op-{number}" for number in range(70)]
        assert not told.of("error")
    assert (await stage.stock(drop))["held"] == 70


async def flip(stage: Stage, drop: str) -> None:
    """Write events until cancelled."""
    while True:
        await stage.move(drop, "pause")
        await stage.move(drop, "resume")


@CODECS
async def test_cuts_at_any_moment_cost_nothing(stage: Stage, codec: Codec) -> None:
    """Cut a dozen times amid a stream of events and askings: no hole in what is told, and each unit held once."""
    moments = random.Random()  # noqa: S311  moments, no secrets
    mugs, lamps = await stage.drop(30, limit_per_viewer=30), await stage.drop(1, sku="LAMP")
    async with Cable(stage.server.port) as cable:
        live = LiveDrop(
            cable.url, stage.show, stage.viewer(), codec=codec, chance=lambda: 0.05 * moments.random()
        )
        told = Told(live)
        async with live:
            flipping = asyncio.create_task(flip(stage, lamps))
            asking = []
            for _ in range(12):
                asking += [asyncio.create_task(live.reserve(mugs, within=60)) for _ in range(2)]
                await asyncio.sleep(0.2 * moments.random())
                cable.cut()
                cable.mend()
            taken = await asyncio.gather(*asking)
            flipping.cancel()
            await asyncio.gather(flipping, return_exceptions=True)
            await told.catches_up(stage)
    assert len({each["id"] for each in taken}) == 24
    assert (await stage.stock(mugs))["held"] == 24
    assert len(told.welcomes) > 3


async def test_no_answer_in_time_is_unknown_and_can_be_asked_for_later(stage: Stage) -> None:
    """Past its deadline an operation is given up as unknown, with its id; under that the answer can still be had."""
    drop = await stage.drop(5, limit_per_viewer=5)
    async with Cable(stage.server.port) as cable, client(stage, url=cable.url) as live:
        cable.lose_answers()
        with pytest.raises(LiveDropError) as missing:
            await live.reserve(drop, within=0.3)
        assert (missing.value.code, missing.value.unknown) == ("unavailable", True)
        await stage.until_stock(drop, (4, 1, 0))
        cable.cut()
        cable.mend()
        taken = await live.reserve(drop, operation=missing.value.operation)
        assert taken["state"] == "held"
    assert stage.numbers(await stage.stock(drop)) == (4, 1, 0)


async def test_a_connection_that_only_seems_to_live_is_left(stage: Stage) -> None:
    """A cable that carries nothing back, without an end: the silence is noticed, and another connection made."""
    async with Cable(stage.server.port) as cable:
        live = client(stage, url=cable.url)
        told = Told(live)
        async with live:
            await wait_for(lambda: live.clock.uncertainty_ms < 1000, "a pong")
            cable.lose_answers()
            await wait_for(lambda: "no sign of life" in str(told.connections), "the silence is noticed")
            cable.mend()
            await told.live_again(1)
            await told.catches_up(stage)


@pytest.fixture
def server_of_its_own(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path / "data")
    server.settings = {
        "LIVEDROP_APPENDFSYNC": "always",
        "LIVEDROP_DRAIN_SPREAD_MS": "300",
        "LIVEDROP_DRAIN_SECONDS": "2",
    }
    server.start()
    yield server
    assert server.stop() == 0, server.log.read_text()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_server_that_is_restarted_in_mid_show(server_of_its_own: ServerProcess, end: str) -> None:
    """Left in good order or killed: the viewers come back to the next process, miss nothing, and get their answers."""
    server = server_of_its_own
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        stage = Stage(server, http)
        await stage.open()
        drop = await stage.drop(5)
        viewers = [client(stage, codec=codec) for codec in Codec]
        told = [Told(viewer) for viewer in viewers]
        async with viewers[0], viewers[1]:
            first = await viewers[0].reserve(drop)
            assert await asyncio.to_thread(getattr(server, end)) in {0, -9}
            await wait_for(lambda: all(each.connection.state != "live" for each in viewers), "they see it")
            asking = asyncio.create_task(viewers[1].reserve(drop, within=60))
            await asyncio.to_thread(server.start)
            assert (await asking)["state"] == "held"
            assert (await viewers[0].release(first["id"], within=60))["state"] == "released"
            for each in told:
                await each.live_again(1)
                await each.catches_up(stage)
                assert [welcome["recovered"] for welcome in each.welcomes] == [False, True]
                if end == "stop":
                    assert 3001 in [connection.code for connection in each.connections]
        assert stage.numbers(await stage.stock(drop)) == (4, 1, 0)
        await stage.audit()


async def test_a_store_that_was_emptied_starts_everybody_over(tmp_path: Path) -> None:
    """Rebuilt from the ledger the show has a new epoch: a snapshot in place of a guess, and no hole after it."""
    async with a_scene(tmp_path) as scene, scene.stage() as stage:
        drop = await stage.drop(3)
        live = client(stage)
        told = Told(live)
        async with live:
            await scene.pin(stage.show, STREAM)

            async def kept() -> bool:
                return await scene.house.recorder().record(stage.show)

            await wait_for(kept, "the ledger has it all")
            await scene.house.client.flushall()
            await scene.house.rebuild().run(stage.show, reopen=True)
            await wait_for(
                lambda: len(told.welcomes) > 1 and not told.welcomes[-1]["recovered"], "a new start"
            )
            await scene.pin(stage.show, STREAM)
            await wait_for(lambda: told.offset >= told.welcomes[-1]["offset"] + STREAM, "what came after it")
            assert holes(told.messages) == []
            assert told.welcomes[0]["epoch"] != told.welcomes[-1]["epoch"]
            snapshot = told.welcomes[-1]["snapshot"]
            assert [each["id"] for each in snapshot["drops"]] == [drop]
            assert (await live.reserve(drop, within=20))["state"] == "held"
            await scene.house.drops.close(stage.show, drop)
