"""Viewers of the client library: what each of them saw and got, and how long each of them was away."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.client import LiveDrop, LiveDropError
from server.clock import monotonic

if TYPE_CHECKING:
    from server.client.keeper import Connection

FINALE = "product.pinned"  # the type of the last event, told once
AT_ONCE = 100  # who join at the same time


@dataclass(slots=True)
class Viewer:
    """One viewer: the newest event they have, and what went wrong for them."""

    name: str
    live: LiveDrop
    offset: int = -1
    events: int = 0
    holes: int = 0  # events that came without the one before
    pictures: int = 0  # times that the stream began anew, beside the first
    away_since: float | None = None
    outages: list[float] = field(default_factory=list)  # seconds without a connection, each
    closes: Counter[int] = field(default_factory=Counter)
    reservation: str = ""
    finale: bool = False  # has the last event, by itself or in a picture

    def listen(self) -> None:
        """Note everything from here on."""
        self.live.on("message", self._saw)
        self.live.on("connection", self._turned)

    def _saw(self, message: dict[str, Any]) -> None:
        if message["type"] == "welcome":
            if "snapshot" in message:
                self.pictures += self.offset >= 0
                self.offset = message["offset"]
                self.finale = bool(message["snapshot"].get("pinned"))
        elif "offset" in message:
            self.holes += message["offset"] != self.offset + 1
            self.events += 1
            self.offset = message["offset"]
            self.finale |= message["type"] == FINALE

    def _turned(self, connection: Connection) -> None:
        if connection.state == "live":
            if self.away_since is not None:
                self.outages.append(monotonic() - self.away_since)
            self.away_since = None
        elif self.away_since is None and self.offset >= 0:
            self.away_since = monotonic()
        if connection.code:
            self.closes[connection.code] += 1


class Audience:
    """All viewers of a show; `refused` counts what their reservations were refused with."""

    def __init__(self, viewers: list[Viewer]) -> None:
        self.viewers = viewers
        self.refused: Counter[str] = Counter()
        self._stack = AsyncExitStack()

    async def come(self) -> None:
        """Let everybody in."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(viewer: Viewer) -> None:
            async with gate:
                viewer.listen()
                await self._stack.enter_async_context(viewer.live)

        async with asyncio.TaskGroup() as tasks:
            for viewer in self.viewers:
                tasks.create_task(one(viewer))

    async def leave(self) -> None:
        """Let everybody go."""
        await self._stack.aclose()

    async def reserve(self, viewer: Viewer, drop: str) -> None:
        """Take a unit for a viewer, over breaks, as the client library does."""
        try:
            viewer.reservation = (await viewer.live.reserve(drop))["id"]
        except LiveDropError as error:
            self.refused[error.code] += 1
