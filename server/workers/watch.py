"""Whether the store can still be sold from: looked at every second, because it can change under a running server.

What was so at the start may end: somebody sets another eviction policy, the disk or the memory is full, or the store
comes up empty. `/readyz` and the gauge `livedrop_store_trouble` tell. Where keys may be thrown away nothing new is
taken until that is mended; what the store itself refuses needs no help. All of it ends by itself with its cause.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from server import metrics
from server.clock import monotonic
from server.errors import Problem
from server.eventlog import stream
from server.shows import recorded
from server.store.redis import POLICY, described

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.ledger.database import Ledger
    from server.store.redis import Redis
    from server.store.scripts import Scripts

PAUSE_SECONDS = 1.0
EMPTY_SECONDS = 5.0  # between two looks for shows that are not there
SHOWS = 200  # whose places are asked for in one round trip

POLICY_TROUBLE, DISK_TROUBLE, MEMORY_TROUBLE, EMPTY_TROUBLE = "policy", "disk", "memory", "empty"
# Of these a server can go on with what it has: units can be given back, so it must be reached.
BEARABLE = frozenset({MEMORY_TROUBLE})

log = structlog.get_logger(__name__)


class Watch:
    """Looks at the store; `sentence` says why nothing can be sold, and is empty where it can."""

    def __init__(self, client: Redis, scripts: Scripts, ledger: Ledger) -> None:
        self._client = client
        self._scripts = scripts
        self._ledger = ledger
        self._told: dict[str, str] = {}  # trouble -> its sentence
        self._empty = ""
        self._empty_at = float("-inf")  # monotonic: when shows were looked for

    @property
    def sentence(self) -> str:
        """Why this server should not be asked to sell."""
        return next((sentence for name, sentence in self._told.items() if name not in BEARABLE), "")

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Look once. A store or a ledger that does not answer says nothing new: whoever asks them hears so."""
        try:
            nodes = await described(self._client)
        except Problem:
            return
        found: dict[str, str] = {}
        for node in nodes:
            found = {**troubles(node), **found}
        try:
            if monotonic() - self._empty_at >= EMPTY_SECONDS:
                self._empty = await self._emptiness()
                self._empty_at = monotonic()
        except Problem as problem:
            log.warning("watch.ledger_unavailable", reason=problem.detail)
        if self._empty:
            found[EMPTY_TROUBLE] = self._empty
        self._tell(found)

    def _tell(self, found: dict[str, str]) -> None:
        for name in (POLICY_TROUBLE, DISK_TROUBLE, MEMORY_TROUBLE, EMPTY_TROUBLE):
            metrics.STORE_TROUBLE.labels(name).set(name in found)
        for name in found.keys() - self._told.keys():
            log.error("watch.trouble", trouble=name, sentence=found[name])
        for name in self._told.keys() - found.keys():
            log.warning("watch.trouble_over", trouble=name)
        self._told = found
        self._scripts.halted = found.get(POLICY_TROUBLE, "")

    async def _emptiness(self) -> str:
        """Return a sentence where the ledger knows of shows that go on, and the store has none of them."""
        running = await self._ledger.read(recorded.running)
        for first in range(0, len(running), SHOWS):
            tops = await stream.tops(self._client, running[first : first + SHOWS])
            if any(top is not None for top in tops):
                return ""
        if not running:
            return ""
        return (
            f"The store is empty: it has none of the {len(running)} shows that the ledger knows to go on. "
            f"Is it the right one? If it lost them: livedrop rebuild {running[0]}"
        )


def troubles(told: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with a server that tells this in its INFO, by name, as sentences for the public."""
    found = {}
    if told.get("maxmemory_policy", POLICY) != POLICY:
        found[POLICY_TROUBLE] = f"The store may throw stock away: its maxmemory-policy is not {POLICY}."
    if told.get("aof_enabled") and told.get("aof_last_write_status", "ok") != "ok":
        found[DISK_TROUBLE] = "The store cannot write to its disk, and takes nothing until it can."
    if told.get("maxmemory") and told.get("used_memory", 0) >= told["maxmemory"]:
        found[MEMORY_TROUBLE] = "The store's memory is full: nothing new is taken."
    return found
