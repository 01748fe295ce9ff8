"""A server that looks after its connections more often than it would: `python -m tests.gateway.brisk serve …`.

Its processes are spawned and import this module too, so what is set here holds in all of them.
"""

from __future__ import annotations

from functools import partial

from server import app
from server.cli import main
from server.gateway import socket, timers
from server.gateway.presence import Presence

TICK_SECONDS = 0.02
PERIOD_SECONDS = timers.SLOTS * TICK_SECONDS  # between two looks at a connection
CLOSE_SECONDS = 0.5  # for a peer to take what was sent before a close
LEASE_MS = 2_000  # for which a process counts without being heard of

timers.TICK_SECONDS = TICK_SECONDS
socket.CLOSE_SECONDS = CLOSE_SECONDS
app.Presence = partial(Presence, lease_ms=LEASE_MS)  # type: ignore[attr-defined,assignment]  # where the app looks it up

if __name__ == "__main__":
    main()
