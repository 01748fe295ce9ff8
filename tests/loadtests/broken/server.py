"""The server with faults of our making: `FAULTS=file python -m tests.loadtests.broken.server serve …`.

A line of the file names a show, or `*` for all, and its fault. Scripts with a fault are those of a copy of their folder
with one line changed; the lossy hub keeps events from some viewers. None of it can be reached from a server that is
started in any other way: nothing of it is a setting, and this module is not installed.
"""

from __future__ import annotations

import os
import zlib
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.cli import main
from server.gateway import delivery
from server.store.lua import load, lua_folder
from server.store.scripts import Scripts
from tests.faulty_scripts import faulty_scripts

if TYPE_CHECKING:
    from server.gateway.delivery import Load
    from server.gateway.viewer import Viewer
    from server.store.lua import Script

EVERY = "*"
UNCHECKED = "the stock is not checked"
UNRETURNED = "what lapses is not returned"
HIDDEN = "what was sold out stays hidden"
LOSSY = "some events are kept from some viewers"
KEPT_BACK = 2  # every second event, from every second viewer
# fault -> file, a line of it, what stands there instead
SCRIPTED = {
    UNCHECKED: (
        "includes/desk_free.lua",
        "return drop.stock.backlog > 0 and 0 or math.max(0, drop.stock.available)",
        "return 1000000",
    ),
    UNRETURNED: (
        "hold_sweep.lua",
        "hold_tell(desk, own, hold, desk_let_go(desk, own, hold, 5))",
        (
            "hold.state = 5; desk.fresh[#desk.fresh + 1] = own; "
            "hold_tell(desk, own, hold, desk_numbered(desk, hold.number))"
        ),
    ),
    HIDDEN: (
        "includes/desk_free.lua",
        "return drop.stock.backlog > 0 and 0 or",
        "return (drop.stock.backlog > 0 or drop.stock.sold_out_at > 0) and 0 or",
    ),
}
FAULTS = (*SCRIPTED, LOSSY)


def fault_of(show: str) -> str | None:
    """Return the fault of a show at this moment, None where it is sound."""
    listed = dict(line.split(" ", 1) for line in Path(os.environ["FAULTS"]).read_text().splitlines())
    return listed.get(show, listed.get(EVERY))


@cache
def repertoire(fault: str | None) -> dict[str, Script]:
    """Return the scripts with a fault; raises AssertionError where the right line is not there any more."""
    if fault not in SCRIPTED:
        return load(lua_folder())
    return faulty_scripts([SCRIPTED[fault]])


def install() -> None:
    """Let this process' server have the faults that are listed."""
    run, write = Scripts.run, delivery.write

    @wraps(run)
    async def run_faulty(self: Scripts, name: str, ids: Any, /, **args: Any) -> Any:
        self._scripts = repertoire(fault_of(ids.get("show", "")))
        return await run(self, name, ids, **args)

    @wraps(write)
    def write_lossy(viewers: list[Viewer], load: Load) -> int:
        if load.events and load.events[-1].offset % KEPT_BACK == 0:
            lost = [viewer for viewer in viewers if viewer.room and _loses(viewer)]
            for viewer in lost:
                viewer.offset = load.events[-1].offset  # as if it had been written
            viewers = [viewer for viewer in viewers if viewer not in lost]
        return write(viewers, load)

    Scripts.run = run_faulty  # type: ignore[method-assign]  # the point of this module
    delivery.write = write_lossy


def _loses(viewer: Viewer) -> bool:
    return fault_of(viewer.show) == LOSSY and zlib.crc32(viewer.subject.encode()) % KEPT_BACK == 0


if __name__ in {"__main__", "__mp_main__"}:  # the second: a worker of it
    install()
if __name__ == "__main__":
    main()
