"""The example of docs/extending.md does what it says, on a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.house.test_extending import examples
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.stage import Stage


async def test_the_example_buys(stage: Stage) -> None:
    """Carried out as it stands there, it waits for the next drop, and pays for the unit that it took."""
    (example,) = (source for source in examples("python") if "LiveDrop" in source)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/extending.md", "exec"), names)  # noqa: S102  our own paper
    buying = asyncio.create_task(names["buy_first"](stage.server.url, stage.show, stage.viewer()))
    drops: list[str] = []

    async def bought() -> bool:
        if not buying.done():
            drops.append(await stage.drop(1))
        return buying.done()

    await wait_for(bought, "it has bought")
    order = await buying
    assert order["status"] == "paid"
    assert order["lines"][0]["drop"] in drops
