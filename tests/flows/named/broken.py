"""A server with faults of our making, for negative controls: `FAULTS=file python -m tests.flows.named.broken serve …`.

The file names the faults of this moment, one per line. Most are one line of one script, put in the place of the right
one; the others take a part out of the server. `broken_stage` puts them in and takes them out again.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from server.cli import main
from server.inventory import gate
from server.inventory.batcher import Batches, Line
from server.inventory.gate import Gate
from server.inventory.holds import Holds
from server.inventory.outcomes import Swept
from server.store.lua import load, lua_folder
from server.store.scripts import Scripts
from tests.faulty_scripts import faulty_scripts
from tests.server import ServerProcess
from tests.stage import Stage
from tests.wire import NO_TLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from server.inventory.asks import Ask
    from server.store.lua import Script

LONG_SECONDS = 60.0
TALKATIVE = {"LIVEDROP_MESSAGES_PER_SECOND": "1000", "LIVEDROP_MESSAGE_BURST": "1000"}  # what tests are
FORGETFUL = "a repeat takes again"
STUCK = "the gate believes for long"
BLIND = "the gate does not look before it refuses"
UNSWEPT = "nobody sweeps"
OLDEST = (
    "the oldest connections are served first"  # of those who wait, where viewers are named in their order
)
# fault -> file, a line of it, what stands there instead
SCRIPTED = {
    "only the last line counts": ("includes/desk_count.lua", "drop = drop + quantity", "drop = quantity"),
    "held is not counted down": (
        "includes/desk_let_go.lua",
        "drop.stock.held = drop.stock.held - hold.quantity",
        "",
    ),
    "a hold is trusted after its time": (
        "hold_checkout.lua",
        "elseif hold.state ~= 1 or hold.expires_at <= desk.now then",
        "elseif hold.state ~= 1 then",
    ),
    "a touch extends a hold": (
        "includes/batch_take.lua",
        "local hold = first and desk_hold(desk, ask.own)",
        (
            "local hold = first and desk_hold(desk, ask.own); "
            "if hold then hold.expires_at = desk.now + 60000; desk.fresh[ask.own] = hold end"
        ),
    ),
    FORGETFUL: (
        "includes/batch_take.lua",
        "local first, waiting = batch_repeat(desk, asks)",
        "local first, waiting = nil, nil",
    ),
    "a row is a unit": (
        "includes/desk_take.lua",
        "stock.available = stock.available - quantity",
        "stock.available = stock.available - 1",
    ),
    "refusals tell what was there before the step": (
        "includes/batch_refusal.lua",
        "return { 'out-of-stock', available,",
        "return { 'out-of-stock', drop.before,",
    ),
    "nobody is promoted": (
        "includes/desk_promote.lua",
        "local place = serving and left > 0 and",
        "stock.backlog = 0; do return end; local place = left > 0 and",
    ),
    "the newest is served first": (
        "includes/queue_next.lua",
        "'ZRANGEBYSCORE', keys.waitlist, base, base + 2 ^ 40 - 1,",
        "'ZREVRANGEBYSCORE', keys.waitlist, base + 2 ^ 40 - 1, base,",
    ),
    "closed drops are served": (
        "includes/desk_promote.lua",
        "local serving = drawn or terms.status == 'open' and desk.status == 'live'",
        "local serving = true",
    ),
    "what came back is forgotten": (
        "hold_return.lua",
        "hold.returned = (hold.returned or 0) + back",
        "",
    ),
    BLIND: ("hold_known.lua", "known[i] = open and 1 or 0", "known[i] = 0"),
}


@asynccontextmanager
async def broken_stage(server: ServerProcess, *faults: str) -> AsyncIterator[Stage]:
    """Give a live show on a faulty server, with these faults; nobody looks at its books."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
        stage = Stage(server, http)
        await stage.open()
        with broken(server, *faults):
            yield stage


@contextmanager
def broken(server: ServerProcess, *faults: str) -> Iterator[None]:
    """Put faults into a faulty server, and take them out again."""
    for fault in SCRIPTED.keys() & set(faults):
        repertoire(fault)  # the right line is still there
    listed = Path(server.settings["FAULTS"])
    listed.write_text("\n".join(faults))
    try:
        yield
    finally:
        listed.write_text("")


@asynccontextmanager
async def second_door(stage: Stage) -> AsyncIterator[Stage]:
    """Give the same show at another server on the same data, with the same faults."""
    first = stage.server
    server = ServerProcess(first.data, module=first.module, settings=first.settings)
    await asyncio.to_thread(server.start)
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
            door = Stage(server, http)
            door.show, door._names = stage.show, stage._names
            yield door
    finally:
        await asyncio.to_thread(server.stop)


def faults() -> set[str]:
    """Return the faults of this moment."""
    return set(Path(os.environ["FAULTS"]).read_text().splitlines())


@cache
def repertoire(fault: str | None) -> dict[str, Script]:
    """Return the scripts with a fault; raises AssertionError where the right line is not there any more."""
    if fault is None:
        return load(lua_folder())
    return faulty_scripts([SCRIPTED[fault]])


def install() -> None:
    """Let this process' server have the faults that are listed."""
    trusted = gate.TRUST_SECONDS
    run, learn, sweep, taken = Scripts.run, Gate.learn, Holds.sweep, Batches._taken

    @wraps(run)
    async def run_faulty(self: Scripts, name: str, ids: Any, /, **args: Any) -> Any:
        self._scripts = repertoire(next(iter(faults() & SCRIPTED.keys()), None))
        return await run(self, name, ids, **args)

    @wraps(learn)
    def learn_faulty(self: Gate, seen: Any, asked_at: float) -> None:
        gate.TRUST_SECONDS = LONG_SECONDS if STUCK in faults() else trusted
        learn(self, seen, asked_at)

    @wraps(sweep)
    async def sweep_faulty(self: Holds, show: str) -> Swept:
        return Swept(0, 0, 0, more=False) if UNSWEPT in faults() else await sweep(self, show)

    @wraps(taken)
    def taken_faulty(self: Batches, line: Line) -> list[Ask]:
        if OLDEST in faults():
            line.waiting = deque(sorted(line.waiting, key=lambda ask: ask.viewer))
        return taken(self, line)

    def deaf(told: Callable[..., None]) -> Callable[..., None]:
        return lambda *args: None if STUCK in faults() else told(*args)

    Batches._taken = taken_faulty  # type: ignore[method-assign]  # the point of this module
    Scripts.run, Gate.learn, Holds.sweep = run_faulty, learn_faulty, sweep_faulty  # type: ignore[method-assign]  # likewise
    for name in {"hear", "open"} & vars(Gate).keys():
        setattr(Gate, name, deaf(getattr(Gate, name)))


if __name__ == "__main__":
    install()
    main()
