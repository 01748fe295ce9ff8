"""The Lua scripts, run by name: each one atomic step, applied at most once per call.

A script's KEYS are filled from the key dictionary and its ARGV by name, as its header binds them (`lua.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
from redis.exceptions import NoScriptError, OutOfMemoryError

from server import tracing
from server.errors import Code, Problem, unavailable
from server.store import keys as dictionary
from server.store.lua import Script, ScriptError, Slot, load, lua_folder
from server.store.redis import reaching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from redis.asyncio import Redis

__all__ = ["FullError", "Script", "ScriptError", "Scripts"]

TAKES = frozenset({"hold_batch", "hold_checkout"})  # what is not run where nothing may be taken
FULL_RETRY_MS = 1_000


class FullError(Problem):
    """The store takes nothing new: its memory is full, or this process was told to take nothing. Nothing was done."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(Code.UNAVAILABLE, f"{name}: nothing was done. {why}", retry_after_ms=FULL_RETRY_MS)


class Scripts:
    """Every script of a folder, ready to run on one Redis. Read and checked when made; raises ScriptError."""

    def __init__(self, client: Redis, folder: Path | None = None) -> None:
        self._client = client
        self._scripts = load(folder or lua_folder())
        # Told after a script that changed a show's stock: the show, and the drops whose numbers are still to be told.
        self.changed: Callable[[str, list[str]], None] | None = None
        self.halted = ""  # why nothing may be taken at present

    def names(self) -> tuple[str, ...]:
        """Return the names of all scripts, sorted."""
        return tuple(self._scripts)

    def __getitem__(self, name: str) -> Script:
        return self._scripts[name]

    async def run(self, name: str, ids: Mapping[str, str], /, **args: Any) -> Any:
        """Run one script atomically, at most once, and return its answer: bytes, int, None or lists of them.

        `ids` fill the key patterns (`{"show": …}`). `args` must be exactly the script's ARGV slots, else
        TypeError: int, str or bytes; a slot that unpacks msgpack takes any value that packs, or bytes packed
        already. Raises the `unavailable` Problem where Redis could not or the outcome is unknown; FullError, which is
        one, where nothing was done because nothing new is taken.
        """
        if self.halted and name in TAKES:
            raise FullError(name, self.halted)
        return await self._run(self._scripts[name], ids, args)

    async def give_back(self, name: str, ids: Mapping[str, str], /, **args: Any) -> Any:
        """As `run`, also where nothing new is taken: of a script of which nothing is asked but what gives back."""
        return await self._run(self._scripts[name].freeing(), ids, args)

    async def _run(self, script: Script, ids: Mapping[str, str], args: dict[str, Any]) -> Any:
        values = _values(script, args)
        places = [dictionary.key(key, **ids) for key in script.keys]
        with tracing.part("script", script.name), reaching(script.name):
            try:
                return await self._sent(script, places, values)
            except OutOfMemoryError as error:  # it is refused at its first write at the latest
                raise FullError(script.name, "The store's memory is full.") from error

    async def _sent(self, script: Script, places: list[str], values: list[Any]) -> Any:
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
