"""Who may connect: so many connections per process, per address, and new ones per second.

Pure: no I/O, and no clock of its own; times are seconds of a monotonic clock, given by the caller.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from server.errors import Code, Problem, unavailable
from server.ids import household_of
from server.protocol.session import RateLimit

if TYPE_CHECKING:
    from server.settings import Settings

FULL_SECONDS = 1.0  # where connections must end first, nobody is asked to come back sooner
RETURN_SECONDS = 30.0  # nobody is asked to come back later


class Admission:
    """The connections of one process, counted; addresses are remembered while they have one.

    Refused callers are each told another moment to come back at, one after the other at the rate at which connections
    are taken, so that a crowd that was refused at once does not return at once.
    """

    def __init__(self, settings: Settings) -> None:
        rate = settings.accepts_per_second
        self._most = settings.connections
        self._most_per_address = settings.connections_per_address or settings.connections
        self._rate = RateLimit(rate, rate)
        self._sentence = f"This process takes {rate} new connections per second."
        self._storm, self._full, self._crowded = Queue(rate), Queue(rate), Queue(rate)
        self._open = 0
        self._by_household: dict[str, int] = {}

    @property
    def open(self) -> int:
        """How many connections were admitted and not released."""
        return self._open

    def admit(self, address: str, now: float) -> None:
        """Count a connection in, or raise `unavailable` or `rate-limited` and count nothing."""
        household = household_of(address)
        here = self._by_household.get(household, 0)
        if self._open >= self._most:
            detail = f"This process has {self._open} connections open, its limit."
            raise unavailable(detail, self._full.place(now, FULL_SECONDS))
        if here >= self._most_per_address:
            detail = f"{household} has {here} connections open, the limit for one address."
            raise _limited(detail, self._crowded.place(now, FULL_SECONDS))
        wait = self._rate.wait(now)
        if wait > 0:
            raise _limited(self._sentence, self._storm.place(now, wait))
        self._open += 1
        self._by_household[household] = here + 1

    def release(self, address: str) -> None:
        """Count a connection out; one that was not counted in changes nothing."""
        household = household_of(address)
        here = self._by_household.get(household, 0)
        if not here:
            return
        self._open -= 1
        if here > 1:
            self._by_household[household] = here - 1
        else:
            del self._by_household[household]


class Queue:
    """A line that exists only in what those in it were told: `rate` places per second."""

    __slots__ = ("_interval", "_last")

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._last = 0.0

    def place(self, now: float, earliest: float) -> int:
        """Return in how many milliseconds to come back: after the one before, `earliest` seconds from now or later.

        After 30 s the line begins anew, among those who stand in it.
        """
        delay = max(self._last + self._interval - now, earliest)
        if delay > RETURN_SECONDS:
            delay = earliest
        self._last = now + delay
        return ceil(delay * 1000)


def _limited(detail: str, retry_after_ms: int) -> Problem:
    return Problem(Code.RATE_LIMITED, detail, retry_after_ms=retry_after_ms)
