"""How often one thing may happen: decided here and now, and made known to the other processes afterwards.

Pure: no I/O, and no clock of its own; times are seconds of a monotonic clock, given by the caller.

A meter lets through what its limit allows, by itself. Of that a `SHARE` is this process' own: only what goes beyond it
is told to the store, which counts for all processes and says how long to wait once they have used the limit up
together. So who does little costs no message, nobody ever waits for the store, and where it gives no answer each
process limits by itself. The price: `n` processes let through up to 1 + n · SHARE times the limit's rate, and one that
has yet to be told as much more as comes within one round trip.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.protocol.session import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

SHARE = 0.25  # of the rate and of the burst, that a process lets through without telling
MICROSECONDS = 1_000_000
SLACK = 2**-20  # seconds: sums of seconds are not exact, and a whole burst is


@dataclass(frozen=True, slots=True)
class Limit:
    """`rate` per second, `burst` of them at once; `name` keeps its counts apart from other limits'.

    `share` is what a process need not tell of; 0: it tells of everything.
    """

    name: str
    rate: float
    burst: int
    share: float = SHARE
    interval: float = field(init=False)  # seconds from one to the next
    tolerance: float = field(init=False)  # seconds by which one may be early
    own_interval: float = field(init=False)  # likewise of the process' own share
    own_tolerance: float = field(init=False)  # negative where there is none: not even one is its own

    def __post_init__(self) -> None:
        own = self.burst * self.share
        object.__setattr__(self, "interval", 1 / self.rate)
        object.__setattr__(self, "tolerance", (self.burst - 1) / self.rate + SLACK)
        object.__setattr__(self, "own_interval", 1 / (self.rate * self.share) if self.share else 0.0)
        object.__setattr__(
            self, "own_tolerance", (own - 1) * self.own_interval + SLACK if self.share else -1.0
        )

    @property
    def interval_us(self) -> int:
        """Return the interval as the store counts it, µs."""
        return max(1, round(self.interval * MICROSECONDS))


class Meter(RateLimit):
    """One limited thing as this process knows it; `tell` gets it whenever a take is to be told to the store.

    `part` says which node of a cluster counts it, `who` what it is.
    """

    __slots__ = ("_own_due", "_shut_until", "_tell", "limit", "part", "who")

    def __init__(self, limit: Limit, part: str, who: str, tell: Callable[[Meter], None]) -> None:
        # Not the parent's own: thousands of meters share the numbers of one limit.
        self._interval = limit.interval
        self._tolerance = limit.tolerance
        self._due = 0.0
        self._own_due = 0.0
        self._shut_until = 0.0
        self._tell = tell
        self.limit = limit
        self.part = part
        self.who = who

    def wait(self, now: float) -> float:
        """Return 0.0 and count one, or the seconds until one would be let through, counting nothing."""
        if self._shut_until > now:
            return self._shut_until - now
        due = max(now, self._due)  # in full here: it is on the way of every message
        early = due - now - self._tolerance
        if early > 0:
            return early
        self._due = due + self._interval
        own, limit = max(now, self._own_due), self.limit
        if own - now > limit.own_tolerance:
            self._tell(self)
        else:
            self._own_due = own + limit.own_interval
        return 0.0

    def left(self, now: float) -> float:
        """Return the seconds until one would be let through, 0.0 for at once, counting nothing."""
        return max(0.0, self._shut_until - now, max(self._due, now) - now - self._tolerance)

    def hear(self, wait: float, now: float) -> None:
        """Take in that all processes together have used the limit up: `wait` seconds nothing is let through here."""
        self._shut_until = max(self._shut_until, now + wait)


class Meters:
    """The meters of one limit by name.

    Bound: beyond `most`, who was last here longest ago is forgotten and begins anew in this process; what the store has
    counted of them lives on.
    """

    def __init__(self, limit: Limit, make: Callable[[Limit, str], Meter], most: int) -> None:
        self.limit = limit
        self._make = make
        self._most = most
        self._meters: dict[str, Meter] = {}

    def __len__(self) -> int:
        return len(self._meters)

    def of(self, who: str) -> Meter:
        """Return somebody's meter."""
        meter = self._meters.pop(who, None) or self._make(self.limit, who)
        if len(self._meters) >= self._most:
            del self._meters[next(iter(self._meters))]
        self._meters[who] = meter
        return meter

    def known(self, who: str) -> Meter | None:
        """Return somebody's meter, None where there is none: nobody is remembered for being asked about."""
        return self._meters.get(who)
