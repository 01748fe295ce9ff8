"""A store that comes back empty under connected viewers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.conftest import STREAM
from tests.faults.witness import crowd
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.faults.conftest import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_viewers_are_led_over(scene: Scene) -> None:
    """The store comes back empty under connected viewers; rebuilt, everybody starts over and misses nothing more."""
    async with scene.stage() as stage, crowd(stage) as viewers:
        drop = await stage.drop(3)
        await scene.pin(stage.show, STREAM)
        await scene.settle(stage, viewers)

        async def kept() -> bool:
            return await scene.house.recorder().record(stage.show)

        await wait_for(kept, "the ledger has it all")
        await scene.house.client.flushall()
        report = await scene.house.rebuild().run(stage.show, reopen=True)
        assert [each.plan.drop for each in report.drops] == [drop]
        await scene.pin(stage.show, STREAM)
        await scene.settle(stage, viewers)
        assert viewers.complaints() == []
        async with stage.watching() as viewer:
            assert (await viewer.reserve(drop))["type"] == "reservation"
            await scene.house.drops.close(stage.show, drop)
