"""The Lua scripts, run by name: each one atomic step, applied at most once per call.

A script's KEYS are filled from the key dictionary and its ARGV by name, as its header binds them (`lua.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
from redis.exceptions import NoScriptError

from server.errors import unavailable
from server.store import keys as dictionary
from server.store.lua import Script, ScriptError, Slot, load, lua_folder
from server.store.redis import reaching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from redis.asyncio import Redis

__all__ = ["Script", "ScriptError", "Scripts"]


class Scripts:
    """Every script of a folder, ready to run on one Redis. Read and checked when made; raises ScriptError."""

    def __init__(self, client: Redis, folder: Path | None = None) -> None:
        self._client = client
        self._scripts = load(folder or lua_folder())
        # Told after a script that changed a show's stock: the show, and the drops whose numbers are still to be told.
        self.changed: Callable[[str, list[str]], None] | None = None

    def names(self) -> tuple[str, ...]:
        """Return the names of all scripts, sorted."""
        return tuple(self._scripts)

    def __getitem__(self, name: str) -> Script:
        return self._scripts[name]

    async def run(self, name: str, ids: Mapping[str, str], /, **args: Any) -> Any:
        """Run one script atomically, at most once, and return its answer: bytes, int, None or lists of them.

        `ids` fill the key patterns (`{"show": …}`). `args` must be exactly the script's ARGV slots, else
        TypeError: int, str or bytes; a slot that unpacks msgpack takes any value that packs, or bytes packed
        already. Raises the `unavailable` Problem where Redis could not or the outcome is unknown.
        """
        script = self._scripts[name]
        values = _values(script, args)
        places = [dictionary.key(key, **ids) for key in script.keys]
        with reaching(name):
            try:
                return await self._client.evalsha(script.sha, len(places), *places, *values)
            except NoScriptError:
                # Redis looks a script up before it runs anything: nothing was applied, sending again is safe.
                # SCRIPT LOAD and not EVAL, because newer servers forget what only EVAL has brought.
                await self._client.script_load(script.source)
                return await self._again(script, places, values)

    async def _again(self, script: Script, places: list[str], values: list[Any]) -> Any:
        try:
            return await self._client.evalsha(script.sha, len(places), *places, *values)
        except NoScriptError as error:
            raise unavailable(
                f"{script.name}: the store lost the script again; nothing was applied"
            ) from error


def _values(script: Script, args: dict[str, Any]) -> list[int | str | bytes]:
    if args.keys() != script.arg_names:
        missing, unknown = sorted(script.arg_names - args.keys()), sorted(args.keys() - script.arg_names)
        raise TypeError(f"{script.name}: missing arguments {missing}, unknown arguments {unknown}")
    return [_value(script, slot, args[slot.name]) for slot in script.args]


def _value(script: Script, slot: Slot, value: Any) -> int | str | bytes:
    if slot.packed:
        # Without the bin type: the unpacker inside Redis knows only one kind of string.
        return value if isinstance(value, bytes) else bytes(msgpack.packb(value, use_bin_type=False))
    if isinstance(value, bool) or not isinstance(value, int | str | bytes):
        raise TypeError(f"{script.name}: {slot.name} must be int, str or bytes, not {type(value).__name__}")
    return value
