"""A server whose atomic step is taken apart, for negative controls: `python -m tests.flows.apart serve …`.

The check for stock is made in Python, from a read of its own, and the script takes without looking: between the two
others take as well. This is how shops oversell.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from server.cli import main
from server.errors import Code, Problem
from server.inventory.holds import Held, Holds
from server.store import lua, reads, scripts
from server.store.answers import unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import Callable

CHECK = "if stock.available < quantity then"

atomic: Callable[..., object] = Holds.reserve


async def reserve(  # noqa: PLR0913, PLR0917  the signature of the method it replaces
    self: Holds, show: str, viewer: str, operation: str, drop: str, quantity: int
) -> Held | Problem:
    """Look first, take later: two steps where one belongs."""
    stock = await reads.field(self._client, key("stock", show=show), drop, "looking at the stock")
    assert stock is not None
    available = unpacked(stock)[0]
    if available < quantity:
        return Problem(
            Code.OUT_OF_STOCK, f"Asked for {quantity}, {available} available.", available=available
        )
    return await atomic(self, show, viewer, operation, drop, quantity)  # type: ignore[misc,no-any-return]  # the method taken off its class


def without_check(folder: Path) -> Path:
    """Return a copy of the project's scripts in which `hold_reserve` does not look at the stock."""
    copied = Path(shutil.copytree(lua.lua_folder(), folder / "lua"))
    script = copied / "hold_reserve.lua"
    text = script.read_text()
    assert text.count(CHECK) == 1
    script.write_text(text.replace(CHECK, "if false then"))
    return copied


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        taken_apart = without_check(Path(scratch))
        scripts.lua_folder = lambda: taken_apart  # type: ignore[attr-defined]  # where Scripts looks it up
        Holds.reserve = reserve  # type: ignore[method-assign]  # the point of this module
        main()
