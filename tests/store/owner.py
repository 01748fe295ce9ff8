"""An owner of a private server as a process of its own: `python -m tests.store.owner FOLDER [thread]`.

Prints one line of JSON about the server it started or found, then waits until its input ends, and stops it.
With `thread` the server is started from a thread, so that nothing takes it down when this process is killed.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import ClassVar

from server.store.embedded import Embedded
from tests import owners


class Owner(owners.Owner):
    """Such a process, seen from a test."""

    MODULE: ClassVar = "tests.store.owner"


def _main(folder: Path, *, in_thread: bool) -> None:
    started: list[Embedded] = []
    starting = threading.Thread(target=lambda: started.append(Embedded.start(folder)))
    (starting.start if in_thread else starting.run)()
    if in_thread:
        starting.join()
    (server,) = started
    owners.tell_and_stay(server.url, owned=server.owned, pid=server.pid)
    server.stop()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), in_thread="thread" in sys.argv[2:])
