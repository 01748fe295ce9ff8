"""A great crowd comes, is dropped, and comes back with its place in the log while the show goes on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.crowd import crowd, quiet
from loadtests.bench.ground import OURS, SUBPROTOCOL
from loadtests.bench.meter import Way
from loadtests.bench.tellers import Switch
from server.protocol.codec import pack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

MISSED = 5  # events while everybody is away
EVENT_SECONDS = 0.5  # between events while they come back
NOTICED_SECONDS = 1.0  # after the drop: the server knows that they are gone


@dataclass(frozen=True, slots=True)
class Returning:
    """What the arrival and the return of `viewers` cost, how long the return took, and whether all was made good.

    `recovered` of them were let in at their place; `broken` is the number of events that somebody lost or got
    twice; `events` happened since they were dropped.
    """

    viewers: int
    arrival: Way
    back: Way
    seconds: float
    recovered: int
    broken: int
    events: int


async def measure(ground: Ground, sizes: Sizes) -> Returning:
    """Return what a crowd's coming and coming back costs."""
    switch, count = await Switch.on(ground), sizes.crowd
    tokens = ground.tokens(switch.show, count)
    with ground.server() as server, crowd(ground.folder) as viewers:
        address, processes = server.live(switch.show), {OURS: server.pid}
        arrival, back = Way("connect and hello", processes), Way("back with their place", processes)
        ground.say(f"{count:,} viewers come")
        with arrival.measured() as block:
            group = await viewers.open(address, _hellos(tokens), subprotocol=SUBPROTOCOL)
            block.units = count
        await quiet(group)
        place = await ground.place(switch.show)
        await group.drop()
        for _ in range(MISSED):
            await switch.turn()
        await asyncio.sleep(NOTICED_SECONDS)
        ground.say(f"{count:,} viewers come back")
        showing = asyncio.create_task(_go_on(switch))
        try:
            with back.measured() as block:
                group = await viewers.open(
                    address, _hellos(tokens, place), subprotocol=SUBPROTOCOL, since=place["offset"]
                )
                block.units = count
        finally:
            showing.cancel()
            with suppress(asyncio.CancelledError):
                await showing
        await switch.turn()
        newest = (await ground.place(switch.show))["offset"]
        counted = await group.caught_up(newest)
    events = newest - place["offset"]
    return Returning(count, arrival, back, group.seconds, counted["recovered"], counted["broken"], events)


async def _go_on(switch: Switch) -> None:
    """Let the show go on."""
    while True:
        await switch.turn()
        await asyncio.sleep(EVENT_SECONDS)


def _hellos(tokens: Sequence[str], since: dict[str, Any] | None = None) -> list[bytes]:
    back = {} if since is None else {"since": since}
    return [pack({"type": "hello", "token": token, **back}) for token in tokens]
