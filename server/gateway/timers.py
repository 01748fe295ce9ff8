"""What happens to connections with time: pings spread evenly, and deadlines; two tables and one loop, no timer each.

A connection that was heard since the last look is alive, whatever it sent. One that was silent is pinged, and one
that is still silent at the next look is dead: a peer that vanished is gone within three periods.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server.clock import monotonic

if TYPE_CHECKING:
    from server.gateway.socket import Socket

TICK_SECONDS = 0.25
PERIOD_SECONDS = 12.0  # between two looks at a connection; three of them are less than 40 s
LATE_TICKS = 4  # the loop was held up for a second or more
SPARED_SECONDS = 1.0  # in which what peers sent meanwhile is read
SLOTS = int(PERIOD_SECONDS / TICK_SECONDS)


class Timers:
    """The connections of a process by when they are looked at next, and by their one deadline each."""

    def __init__(self) -> None:
        self._slots: list[set[Socket]] = [set() for _ in range(SLOTS)]
        self._deadlines: dict[int, set[Socket]] = {}
        self._spared: set[Socket] = set()  # whose deadline fell into a pause of ours, and was put off
        self._next = 0
        self.count = 0  # connections that are kept
        self._ticks = _ticks(monotonic())

    def keep(self, socket: Socket) -> None:
        """Look at a connection from now on; each goes to the next slot, which spreads them."""
        self._next = (self._next + 1) % SLOTS
        socket.slot = self._next
        self._slots[self._next].add(socket)
        self.count += 1

    def forget(self, socket: Socket) -> None:
        """Look at it no more."""
        self._slots[socket.slot].discard(socket)
        self.count -= 1
        self.call_off(socket)

    def everybody(self) -> list[Socket]:
        """Return all connections."""
        return [socket for slot in self._slots for socket in slot]

    def deadline(self, socket: Socket, seconds: float) -> None:
        """Call the connection's `overdue` once so much time has passed, in place of an earlier deadline."""
        self.call_off(socket)
        # Rounded up, and one more because the tick under way has begun already: late by two ticks, never early.
        socket.due = max(_ticks(monotonic() + seconds), self._ticks) + 1
        self._deadlines.setdefault(socket.due, set()).add(socket)

    def call_off(self, socket: Socket) -> None:
        """Take a connection's deadline back."""
        self._spared.discard(socket)
        sockets = self._deadlines.get(socket.due)
        if sockets is not None:
            sockets.discard(socket)
            if not sockets:
                del self._deadlines[socket.due]
        socket.due = 0

    async def run(self) -> None:
        """Look and call for ever."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = _ticks(monotonic())
            # After a pause of the whole process what peers sent is still unread: they are looked at a period later, and
            # a deadline that fell into it, as for a hello that may be there, is put off for a moment, once.
            late = now - self._ticks > LATE_TICKS
            while self._ticks < now:
                self._ticks += 1
                for socket in self._deadlines.pop(self._ticks, ()):
                    self._due(socket, spare=late and socket not in self._spared)
                if not late:
                    for socket in list(self._slots[self._ticks % SLOTS]):
                        socket.look()

    def _due(self, socket: Socket, *, spare: bool) -> None:
        socket.due = 0
        if spare:
            self.deadline(socket, SPARED_SECONDS)
            self._spared.add(socket)
        else:
            self._spared.discard(socket)
            socket.overdue()


def _ticks(seconds: float) -> int:
    return int(seconds / TICK_SECONDS)
