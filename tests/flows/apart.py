"""A server whose atomic step is taken apart, for negative controls: `python -m tests.flows.apart serve …`.

The check for stock is made in Python, from a read of its own, and the script takes without looking: between the two
others take as well. This is how shops oversell.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from server.cli import main
from server.inventory.batcher import Batches
from server.inventory.outcomes import out_of_stock
from server.store import reads, scripts
from server.store.answers import unpacked
from server.store.keys import key
from tests.faulty_scripts import faulty_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.inventory.asks import Ask
    from server.inventory.outcomes import Outcome

# A line of a script -> what stands there instead: nobody is refused, nobody is given less than they ask for.
UNCHECKED = {
    "batch_refusal.lua": ("if available < ask.quantity and not some then", "if false then"),
    "batch_take.lua": ("math.min(ask.quantity, desk_free(drop))", "ask.quantity"),
}

PAUSE_SECONDS = 1.0  # between looking and taking: on a busy machine too some look meanwhile

atomic = Batches.submit
looking: set[asyncio.Task[None]] = set()


def submit(self: Batches, ask: Ask, done: Callable[[Outcome], None]) -> None:
    """Look first, take later: two steps where one belongs."""
    task = asyncio.create_task(look_and_take(self, ask, done))
    looking.add(task)
    task.add_done_callback(looking.discard)


async def look_and_take(self: Batches, ask: Ask, done: Callable[[Outcome], None]) -> None:
    """Refuse what is not there, as it seems; else take."""
    if ask.verb == "reserve":
        _own, drop, quantity = ask.items[0]
        stock = await reads.field(self._scripts._client, key("stock", show=ask.show), drop, "the stock")
        assert stock is not None
        available = unpacked(stock)[0]
        if available < quantity:
            done(out_of_stock(quantity, available, 0))
            return
    await asyncio.sleep(PAUSE_SECONDS)
    atomic(self, ask, done)


def without_check(folder: Path) -> Path:
    """Return a copy of the project's scripts in which nobody looks at the stock."""
    return faulty_folder(folder, ((f"includes/{name}", *edit) for name, edit in UNCHECKED.items()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        taken_apart = without_check(Path(scratch))
        scripts.lua_folder = lambda: taken_apart  # type: ignore[attr-defined]  # where Scripts looks it up
        Batches.submit = submit  # type: ignore[method-assign]  # the point of this module
        main()
