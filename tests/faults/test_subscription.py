"""The process' one subscription is cut, killed, paused or silently deaf while viewers watch: nobody is told less."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from server.eventlog import live
from server.gateway.presence import Presence
from server.inventory.outcomes import Held
from server.store.keys import key
from tests.deadlines import let_lapse
from tests.faults.witness import backwards, count, crowd
from tests.gateway.test_limits import figure
from tests.waiting import wait_for
from tests.wire import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from server.client import LiveClient
    from tests.faults.conftest import Scene
    from tests.faults.witness import Crowd

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAUSE_SECONDS = 5.0
LOSSES = 5
KILLS = 12
KILL_EVERY_SECONDS = 0.1
APART_SECONDS = 0.02  # between changes that are told apart
CARRIED_SECONDS = 0.3  # after which what was sent has surely arrived: nobody could tell us that it has
FLUSHED_SECONDS = 0.3  # after which a change of stock is surely published
TOLD_SECONDS = 10.0
LISTENERS, CUT_OFF = "client-output-buffer-limit", "client_output_buffer_limit_disconnections"
FILLER_BYTES = 65_536
FILLER = chr(live.EVENT).encode() + b"1\n" + b"0" * FILLER_BYTES  # an event that everybody has had long ago


async def unready(scene: Scene) -> float:
    """Return after how many seconds the server says that it is not ready."""
    began = monotonic()
    await wait_for(lambda: not_ready(scene), "it is not ready")
    return monotonic() - began


async def not_ready(scene: Scene) -> bool:
    """Whether the server says that it cannot sell."""
    return not await scene.ready()


def assert_nobody_started_over(crowd: Crowd) -> None:
    """Assert that every viewer got one snapshot, the first, and that the server ended nobody's connection."""
    assert [witness.starts for witness in crowd.everybody] == [1] * len(crowd.everybody)
    assert [witness.codes for witness in crowd.everybody] == [[]] * len(crowd.everybody)


async def test_a_cut_connection_costs_no_event(scene: Scene) -> None:
    """The subscription's connection breaks off, three times: who stays and who returns is told every event once."""
    async with scene.stage() as stage:
        async with scene.streaming(stage) as crowd:
            for _ in range(3):
                await scene.goes_on(stage.show)
                scene.proxy.cut()
                await scene.hears()
        assert_nobody_started_over(crowd)
        assert sum(len(witness.stays) for witness in crowd.restless) > 2 * len(crowd.restless)
        assert await figure(stage, "livedrop_ears_lost_total") >= 3


async def test_killed_over_and_over_it_costs_no_event(scene: Scene) -> None:
    """CLIENT KILL TYPE pubsub ten times a second, also while the subscription is being made anew."""
    async with scene.stage() as stage:
        async with scene.streaming(stage) as crowd:
            killed = 0
            for _ in range(KILLS):
                killed += await scene.house.client.client_kill_filter(_type="pubsub")
                await asyncio.sleep(KILL_EVERY_SECONDS)
            assert killed > 1
            await scene.hears()
        assert_nobody_started_over(crowd)


async def test_a_message_lost_on_its_way_is_made_good(scene: Scene) -> None:
    """Single messages vanish, the connection stays: the hole shows at the next event and is filled from the log."""
    async with scene.stage() as stage:
        async with scene.streaming(stage) as crowd:
            for _ in range(LOSSES):
                await scene.goes_on(stage.show, 5)
                scene.proxy.lose()
                await wait_for(
                    lambda: not any(link.losing for link in scene.proxy.subscriptions), "it is lost"
                )
        assert_nobody_started_over(crowd)


async def test_a_store_that_stands_still_costs_no_event(scene: Scene) -> None:
    """The store does not answer for 5 s: not ready meanwhile, ready afterwards, and no viewer lost the thread."""
    async with scene.stage() as stage:
        async with scene.streaming(stage) as crowd:
            await scene.goes_on(stage.show)
            with scene.store_stopped():
                paused = asyncio.create_task(asyncio.sleep(PAUSE_SECONDS))
                assert await unready(scene) <= PAUSE_SECONDS - 1
                await paused
            await scene.hears()
            await scene.goes_on(stage.show)
        assert [witness.starts for witness in crowd.staying] == [1] * len(crowd.staying)
        assert {code for witness in crowd.everybody for code in witness.codes} <= {3010}


async def test_a_listener_that_the_store_cuts_off_costs_no_event(scene: Scene) -> None:
    """Unread, more piles up than the store keeps for a listener: it ends the connection, and nobody misses anything."""
    client = scene.house.client
    async with scene.stage() as stage:
        async with scene.streaming(stage) as crowd:
            await scene.goes_on(stage.show)
            before = (await client.config_get(LISTENERS))[LISTENERS]
            assert before is not None
            cut_off = (await client.info("stats"))[CUT_OFF]
            await client.config_set(LISTENERS, f"pubsub {FILLER_BYTES} 0 0")
            with scene.proxy.stalled():
                while (await client.info("stats"))[CUT_OFF] == cut_off:
                    await client.spublish(key("live", show=stage.show), FILLER)
            await client.config_set(LISTENERS, before)
            await scene.hears()
            await scene.goes_on(stage.show)
        assert {code for witness in crowd.everybody for code in witness.codes} <= {3010}


async def test_a_deaf_subscription_is_found_and_made_anew(scene: Scene) -> None:
    """Half-open: the server speaks into it and hears nothing. It finds out by its echo, is not ready, and heals."""
    async with scene.stage() as stage:
        async with scene.streaming(stage) as crowd:
            await scene.goes_on(stage.show)
            scene.proxy.deafen()
            assert scene.proxy.subscriptions == []
            await wait_for(lambda: not_ready(scene), "it is not ready")
            await scene.hears()
            await scene.goes_on(stage.show)
        assert_nobody_started_over(crowd)
        log = scene.server.log.read_text()
        assert "subscription.deaf" in log


@asynccontextmanager
async def unheard(scene: Scene) -> AsyncIterator[None]:
    """Let happen what the block does while the server stands still and the store has nobody to tell it to."""
    with scene.server_stopped():
        assert await scene.house.client.client_kill_filter(_type="pubsub") == 1
        yield
        await asyncio.sleep(FLUSHED_SECONDS)


async def everybody(crowd: Crowd, knows: Callable[[LiveClient], bool]) -> None:
    """Wait until everybody is connected and knows something."""
    await wait_for(
        lambda: all(witness.client is not None and knows(witness.client) for witness in crowd.everybody),
        "everybody knows",
        TOLD_SECONDS,
    )


async def test_stock_that_nobody_heard_of_arrives(scene: Scene) -> None:
    """Stock changes while nobody listens, and never again: everybody is told its last value all the same."""
    async with scene.stage() as stage, crowd(stage) as viewers:
        drop = await stage.drop(10, limit_per_viewer=5)
        await scene.settle(stage, viewers)
        async with unheard(scene):
            taken = await scene.house.holds.reserve(stage.show, "somebody", "once", drop, 3)
            assert isinstance(taken, Held)
        await everybody(viewers, lambda each: each.stock.get(drop, {}).get("held") == 3)


async def test_a_count_that_nobody_heard_of_arrives(scene: Scene) -> None:
    """Somebody comes to another process while this one does not listen: everybody here is told how many they are."""
    async with scene.stage() as stage, crowd(stage, restless=0) as viewers:
        here = len(viewers.everybody)
        await everybody(viewers, lambda each: count(each) == here)
        elsewhere = Presence(scene.house.scripts)
        async with unheard(scene):
            elsewhere.came(stage.show, "somebody")
            await elsewhere.tell()
        await everybody(viewers, lambda each: count(each) == here + 1)
        await elsewhere.leave()


async def test_a_lapse_that_nobody_heard_of_arrives(scene: Scene) -> None:
    """A hold lapses while nobody listens: its viewer, who was connected all the time, learns of it."""
    async with scene.stage() as stage:
        drop = await stage.drop(10)
        async with stage.watching() as viewer, stage.watching():
            held = (await viewer.reserve(drop))["reservation"]["id"]
            async with unheard(scene):
                await let_lapse(scene.house.client, stage.show, held)
                assert (await scene.house.holds.sweep(stage.show)).lapsed == 1
            await viewer.until(lambda each: each.reservations[held]["state"] == "expired", TOLD_SECONDS)


@pytest.mark.parametrize("returning", [False, True], ids=["new", "returning"])
async def test_who_joins_ahead_of_the_news_is_not_thrown_back(scene: Scene, *, returning: bool) -> None:
    """The subscription lags: numbers older than those that a viewer joined with reach the others, and not them."""
    async with scene.stage() as stage, stage.watching():
        drop, token = await stage.drop(10), stage.viewer()
        async with stage.watching(token) as viewer:
            since = viewer.place if returning else None
        async with AsyncExitStack() as stack:
            with scene.proxy.lagging() as let_through:
                for number in range(3):
                    taken = await scene.house.holds.reserve(stage.show, f"somebody-{number}", "once", drop, 1)
                    assert isinstance(taken, Held)
                    await asyncio.sleep(APART_SECONDS)
                late = await stack.enter_async_context(stage.watching(token, since=since))
                await late.until(lambda each: each.stock.get(drop, {}).get("held") == 3)
                let_through()
                await asyncio.sleep(FLUSHED_SECONDS)
            await stage.reserve(stage.viewer(), drop)
            await late.until(lambda each: each.stock[drop]["held"] == 4)
            assert list(backwards(late.messages)) == []


async def test_what_happens_to_a_viewer_while_they_join_is_told(scene: Scene) -> None:
    """Their hold lapses after the look that their welcome shows, and before the welcome: they learn of it."""
    async with scene.stage() as stage, stage.watching():
        drop, token = await stage.drop(10), stage.viewer("joining")
        held = await scene.house.holds.reserve(stage.show, "joining", "once", drop, 1)
        assert isinstance(held, Held)
        reservation = held.reservation["id"]
        async with wire(stage) as viewer:
            with scene.proxy.holding():
                await viewer.send({"type": "hello", "token": token})
                await asyncio.sleep(CARRIED_SECONDS)  # the store has looked, the server does not know yet
                await let_lapse(scene.house.client, stage.show, reservation)
                assert (await scene.house.holds.sweep(stage.show)).lapsed == 1
                await asyncio.sleep(CARRIED_SECONDS)  # the server has heard of it
            welcome = await viewer.read()
            assert welcome["snapshot"]["reservations"][0]["state"] == "held"
            told = await viewer.answer()
            assert (told["reservation"]["id"], told["reservation"]["state"]) == (reservation, "expired")
