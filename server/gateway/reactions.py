"""Applause: gathered per show and told to Redis twice a second, which tells everybody the sums.

Bound: `MAX_KINDS` kinds per show, those beyond it are dropped; a gathering that Redis could not take is dropped too,
because nobody counts on applause.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from server.errors import Problem
from server.store.answers import ask

if TYPE_CHECKING:
    from server.shows.tap import Tap
    from server.store.scripts import Scripts

MAX_KINDS = 16
GATHER_SECONDS = 0.5

log = structlog.get_logger(__name__)


class Reactions:
    """What viewers of this process sent since the last telling."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._shows: dict[str, dict[str, int]] = {}
        self.tap: Tap | None = None  # while anything is recorded

    def add(self, show: str, kind: str, count: int) -> None:
        """Gather reactions; kinds beyond the bound are dropped."""
        if self.tap is not None:
            self.tap.cheered(show, count)
        gathered = self._shows.setdefault(show, {})
        if kind in gathered or len(gathered) < MAX_KINDS:
            gathered[kind] = gathered.get(kind, 0) + count

    async def run(self) -> None:
        """Tell Redis for ever."""
        while True:
            await asyncio.sleep(GATHER_SECONDS)
            shows, self._shows = self._shows, {}
            for show, added in shows.items():
                try:
                    await ask(self._scripts, "reaction_add", {"show": show}, added=added, most=MAX_KINDS)
                except Problem as problem:
                    log.warning("reactions.unavailable", show=show, reason=problem.detail)
