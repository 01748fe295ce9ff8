"""A server that is quick to find out that it does not hear: `python -m tests.faults.hasty serve …`."""

from __future__ import annotations

from server.cli import main
from server.eventlog import live
from server.gateway import hub

CHECK_SECONDS = 0.3  # between two looks and echoes
DEAF_SECONDS = 1.0  # without an echo
LINGER_SECONDS = 0.3  # for which a show is followed after its last viewer

if __name__ == "__main__":
    live.CHECK_SECONDS = CHECK_SECONDS
    live.DEAF_SECONDS = DEAF_SECONDS
    hub.LINGER_SECONDS = LINGER_SECONDS
    main()
