"""The server's clock as seen from here: by the quickest of the last round trips (Cristian's algorithm)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server import clock

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = 8  # the newest; older ones would hide that clocks drift


@dataclass(frozen=True, slots=True)
class Sample:
    """One round trip: how far the server's clock is ahead of ours, known to half of `trip`; milliseconds."""

    ahead: float
    trip: float

    def contradicts(self, other: Sample) -> bool:
        """Whether both cannot be true of clocks that run on: one of them has jumped."""
        return abs(self.ahead - other.ahead) > (self.trip + other.trip) / 2


class ServerClock:
    """Gives the server's time. `local` is a clock in milliseconds that never jumps, `first_guess` its Unix time."""

    def __init__(
        self,
        local: Callable[[], float] = lambda: clock.monotonic() * 1000,
        first_guess: Callable[[], float] = clock.now_ms,
    ) -> None:
        self.local = local
        self._guess = first_guess() - local()
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)

    @property
    def uncertainty_ms(self) -> float:
        """By how much `now` may be wrong; infinite before the first round trip."""
        return self._best.trip / 2 if self._samples else float("inf")

    def now(self) -> int:
        """Return the server's Unix time in ms; before the first round trip this host's own."""
        ahead = self._best.ahead if self._samples else self._guess
        return round(self.local() + ahead)

    def heard(self, server_time_at: int, asked_at: float) -> None:
        """Count a round trip in: what the server's clock said, and the local moment of asking; it arrives now."""
        arrived = self.local()
        trip = max(0.0, arrived - asked_at)
        # The server tells whole milliseconds: on average half of one has passed unsaid.
        sample = Sample(server_time_at + 0.5 + trip / 2 - arrived, trip + 1.0)
        if any(sample.contradicts(known) for known in self._samples):
            self._samples.clear()
        self._samples.append(sample)

    @property
    def _best(self) -> Sample:
        return min(self._samples, key=lambda sample: sample.trip)
