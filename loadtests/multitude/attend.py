"""`python -m loadtests.multitude.attend FD HOST PORT SHOW`: an audience in a process of its own.

It does what is asked of it over the descriptor, one method of `Audience` after the other, and ends when that is
closed. So the clock of who publishes never waits for ten thousand viewers to read.
"""

from __future__ import annotations

import gc
import signal
import sys
from multiprocessing.connection import Connection

from loadtests.multitude.audience import Audience


def attend(connection: Connection, audience: Audience) -> None:
    """Serve an audience until nobody asks any more. A request is a method's name and its arguments."""
    asked = True

    def answer() -> None:
        nonlocal asked
        try:
            name, arguments, named = connection.recv()
        except EOFError:
            asked = False
            return
        connection.send(audience.book if name == "book" else getattr(audience, name)(*arguments, **named))

    audience.attend(connection.fileno(), answer)
    while asked:
        audience.turn()
    audience.close()


if __name__ == "__main__":
    gc.disable()  # nothing here is in a cycle, and a pause to look for one would be the server's delay in the tables
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; this process ends with it
    descriptor, host, port, show = sys.argv[1:]
    attend(Connection(int(descriptor)), Audience(host, int(port), show))
