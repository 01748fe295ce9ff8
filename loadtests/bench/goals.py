"""What is to be reached, each as a bound on a figure of this very run: absolute rates drift, ratios hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.ground import OURS, PEER

if TYPE_CHECKING:
    from loadtests.bench.fanout import Fanout
    from loadtests.bench.meter import Way

KIB = 1024


@dataclass(frozen=True, slots=True)
class Goal:
    """A measured figure and its bound: at least or at most `limit`."""

    name: str
    measured: float
    limit: float
    unit: str = "times"
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the figure is within its bound."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    @property
    def shown(self) -> str:
        """The figure with its unit."""
        return f"{self.measured:.2f} {self.unit}"

    @property
    def bound(self) -> str:
        """The bound with its unit."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"


def of_stock(ours: Way, pipelined: Way, plain: Way) -> list[Goal]:
    """Return the goals of reservations through one Redis."""
    return [
        Goal(
            "reservations/s vs one EVALSHA each, pipelined",
            ours.per_second / pipelined.per_second,
            2.5,
            at_least=True,
        ),
        Goal(
            "reservations/s vs plain unpipelined DECR",
            ours.per_second / plain.per_second,
            1.3,
            at_least=True,
        ),
    ]


def of_buying(ours: Way, naive: Way) -> list[Goal]:
    """Return the goals of reservations over websockets."""
    return [
        Goal(
            "reservations/s over websockets vs the naive server",
            ours.per_second / naive.per_second,
            6,
            at_least=True,
        ),
        Goal("the server's CPU per reservation over websockets", ours.micros(OURS), 25, "µs"),
    ]


def of_fanout(measured: Fanout) -> list[Goal]:
    """Return the goals of telling everybody, and of having them connected."""
    ours = measured.ours.micros(OURS)
    return [
        Goal("CPU per delivery vs the raw loop", ours / measured.raw.micros(PEER), 1.25),
        Goal("CPU per delivery vs websockets.broadcast", ours / measured.broadcast.micros(PEER), 1),
        Goal("the server's CPU per connect and hello", measured.hello.micros(OURS), 300, "µs"),
        Goal("memory of an idle viewer", measured.bytes_per_viewer / KIB, 4, "KiB"),
    ]
