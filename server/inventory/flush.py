"""The last word of a burst: numbers that were not told because others had just been are told a moment later.

A script publishes a drop's numbers at most every 100 ms and otherwise answers that it owes them. Whoever ran it sees
to the rest; should this process die first, the due index brings a worker.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from server.errors import Problem
from server.store.answers import ask

if TYPE_CHECKING:
    from server.store.scripts import Scripts

SPACING_SECONDS = 0.1  # between two tellings of a drop's numbers, as the scripts have it

log = structlog.get_logger(__name__)


class Flusher:
    """Owed numbers by show; a show is in here while a flush is planned. Bounded by the shows that are sold in."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._owed: dict[str, set[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def owe(self, show: str, drops: list[str]) -> None:
        """See to it that the numbers of these drops are told once their time has come."""
        if not drops:
            return
        known = self._owed.get(show)
        if known is not None:
            known.update(drops)
            return
        self._owed[show] = set(drops)
        task = asyncio.create_task(self._flush(show))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Tell nothing more; what is owed is left to the worker."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _flush(self, show: str) -> None:
        """Wait and flush, as long as anything is owed. A failure is left to the worker of the due index."""
        try:
            wait = SPACING_SECONDS
            while self._owed[show]:
                await asyncio.sleep(wait)
                drops = sorted(self._owed[show])
                self._owed[show].clear()
                answer = await ask(self._scripts, "stock_flush", {"show": show}, drops=drops)
                self._owed[show].update(answer["later"])
                wait = answer["wait_ms"] / 1000
        except Problem as problem:
            log.warning("stock.not_flushed", show=show, reason=problem.detail)
        finally:
            del self._owed[show]
