"""What cannot be brought back is told as that: events trimmed away, and a log that began anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.errors import CLOSE_POSITION_LOST
from server.store.keys import key
from tests.faults.conftest import LOG_LENGTH
from tests.faults.witness import crowd
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.faults.conftest import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def unheard(scene: Scene, show: str) -> None:
    """Wait until nobody listens to a show any more."""
    channel = key("live", show=show).encode()

    async def gone() -> bool:
        return channel not in await scene.house.client.pubsub_shardchannels("ld:*live")

    await wait_for(gone, "nobody listens")


async def test_who_returns_behind_a_trimmed_log_starts_over(scene: Scene) -> None:
    """One event more was trimmed than they can miss: a snapshot at the top, and from there on nothing is missed."""
    async with scene.stage() as stage:
        token = stage.viewer()
        async with stage.watching(token) as viewer:
            place = viewer.place
        await unheard(scene, stage.show)
        await scene.pin(stage.show, LOG_LENGTH + 1)
        for kept, recovered in (0, False), (1, True):
            since = {**place, "offset": place["offset"] + kept}
            async with stage.watching(token, since=since) as viewer:
                assert viewer.welcome["recovered"] is recovered
                assert viewer.welcome["offset"] == place["offset"] + LOG_LENGTH + 1
            await unheard(scene, stage.show)
        await scene.house.client.xtrim(key("log", show=stage.show), maxlen=2)
        async with stage.watching(token, since=since) as viewer:
            assert viewer.welcome["recovered"] is False
            await scene.pin(stage.show, 3)
            top = viewer.welcome["offset"] + 3
            await viewer.until(lambda each: each.place["offset"] == top)
            assert viewer.offsets == [top - 2, top - 1, top]


async def test_what_was_trimmed_while_the_server_was_deaf_is_told(scene: Scene) -> None:
    """More events than the log keeps, and the server heard none of them: 3010 to everybody, a snapshot, and on."""
    async with scene.stage() as stage:
        async with scene.streaming(stage) as viewers:
            await scene.goes_on(stage.show)
            with scene.server_stopped():
                await scene.house.client.client_kill_filter(_type="pubsub")
                await scene.pin(stage.show, LOG_LENGTH + 20)
            await wait_for(
                lambda: all(witness.codes for witness in viewers.staying), "they are sent to start over"
            )
            await scene.goes_on(stage.show)
        assert [witness.codes for witness in viewers.staying] == [[CLOSE_POSITION_LOST]] * len(
            viewers.staying
        )
        assert [witness.starts for witness in viewers.staying] == [2] * len(viewers.staying)


async def test_a_new_epoch_sends_everybody_to_start_over(scene: Scene) -> None:
    """The log began a new life: 3010 to who is here, a snapshot for who comes back with a place in the old one."""
    async with scene.stage() as stage, crowd(stage) as viewers:
        token = stage.viewer()
        async with stage.watching(token) as viewer:
            place = viewer.place
        await scene.house.client.hset(key("show", show=stage.show), "epoch", "another")
        await wait_for(
            lambda: all(witness.codes for witness in viewers.staying), "they are sent to start over"
        )
        async with stage.watching(token, since=place) as viewer:
            assert (viewer.welcome["recovered"], viewer.welcome["epoch"]) == (False, "another")
        await scene.pin(stage.show, 3)
        await scene.settle(stage, viewers)
        assert viewers.complaints() == []
        assert [witness.codes for witness in viewers.staying] == [[CLOSE_POSITION_LOST]] * len(
            viewers.staying
        )


async def test_two_recoveries_in_a_row_over_a_cut(scene: Scene) -> None:
    """Return, fall off, return again with the newer place, while the subscription is cut: every offset once."""
    async with scene.stage() as stage, scene.streaming(stage) as viewers:
        token, seen = stage.viewer(), []
        async with stage.watching(token) as viewer:
            place = viewer.place  # an event may have come since the welcome
        start = place["offset"]
        for _ in range(2):
            scene.proxy.cut()
            async with stage.watching(token, since=place) as viewer:
                assert viewer.welcome["recovered"] is True
                await viewer.until(lambda each: len(each.offsets) > each.welcome["missed"] + 2)
                viewer._socket.transport.abort()
            seen += viewer.offsets
            place = viewer.place
        assert seen == list(range(start + 1, start + 1 + len(seen)))
        await scene.hears()
    assert [witness.codes for witness in viewers.everybody] == [[]] * len(viewers.everybody)
