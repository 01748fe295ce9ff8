"""What scripts answer: one packed map whose `outcome` names what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.store.scripts import Scripts

Answer = dict[str, Any]


def unpacked(raw: bytes) -> Any:
    """Return what Lua's `cmsgpack` packed: maps, lists, str, int, float, bool."""
    return msgpack.unpackb(raw, raw=False, strict_map_key=False)


async def ask(scripts: Scripts, name: str, ids: Mapping[str, str], /, **args: Any) -> Answer:
    """Run a script and return its answer as a map. Errors are those of `Scripts.run`.

    An answer that says which numbers are still to be told (`owed`) is from a script that changed a show's stock:
    `scripts.changed` hears of it.
    """
    answer: Answer = unpacked(await scripts.run(name, ids, **args))
    if "owed" in answer and scripts.changed is not None:
        scripts.changed(ids["show"], answer["owed"])
    return answer
