"""A viewer's presence in a show: connect, keep the place in the log, leave and return to it.

A viewer believes nothing: every message is held against the server's promises (`watch.py`), and what breaks one is
a failure named `stream` in Locust's statistics.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException

from loadtests import habits
from loadtests.doors import BreachError
from loadtests.habits import drawn
from loadtests.transport import Wire, WireClosedError
from loadtests.watch import Watch

if TYPE_CHECKING:
    from loadtests.doors import Doors
    from loadtests.watch import Message
    from server.protocol.codec import Codec

WELCOME_SECONDS = 15.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Presence:
    """One viewer of one show, across connections. `watch` is what they have seen so far."""

    def __init__(self, doors: Doors, show: str, codec: Codec) -> None:
        self.doors = doors
        self.show = show
        self.watch = Watch()
        self._codec = codec
        self._wire: Wire | None = None
        self._one_clock = urlsplit(doors.url).hostname in LOOPBACK

    def connect(self) -> bool:
        """Connect and say hello, with the place in the log where there is one; True when welcomed."""
        place = self.watch.place
        began, name = time.perf_counter(), "hello (since)" if place else "hello"
        welcomed = self.watch.welcomes
        try:
            self._wire = Wire.open(self.doors.url, self.show, self._codec, self._take)
            hello: Message = {"type": "hello", "token": self.doors.token}
            self._wire.send(hello if place is None else {**hello, "since": place})
            if not self._wire.wait(lambda: self.watch.welcomes > welcomed, WELCOME_SECONDS):
                raise TimeoutError(f"no welcome within {WELCOME_SECONDS:g} s")
        except (OSError, WebSocketException, WireClosedError) as error:
            self.doors.score(name, time.perf_counter() - began, error)
            self.leave()
            return False
        if place and not self.watch.recovered:
            name = "hello (snapshot)"
        self.doors.score(name, time.perf_counter() - began)
        return True

    def leave(self) -> None:
        """Close the connection, if there is one."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def come_back(self) -> None:
        """Leave, stay away for a moment, and return to the same place in the log."""
        self.leave()
        time.sleep(drawn(habits.AWAY))
        self.connect()

    def connected(self) -> Wire | None:
        """Return the open connection, or None where there is none to have.

        One that the server has closed counts as a failure, and is made anew.
        """
        wire = self._wire
        if wire is not None and wire.closed is None:
            return wire
        if wire is not None:
            self.doors.score("closed", 0, wire.closed)
            self.leave()
        return self._wire if self.connect() else None

    def breach(self, name: str, sentence: str) -> None:
        """Record that a promise was broken."""
        self.doors.score(name, 0, BreachError(sentence))

    def _take(self, message: Message) -> None:
        """Hold a message against the promises; called by the wire's reader."""
        self.doors.tally.messages += 1
        for sentence in self.watch.take(message):
            self.breach("stream", sentence)
        live = message.get("offset", 0) > self.watch.live_from
        if message["type"] == "drop.opened" and live and self._one_clock:
            self.doors.score("drop seen", max(0.0, time.time() - message["at"] / 1000))
