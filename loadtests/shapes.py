"""The shapes of a load by name: what each asks of a server, in one sentence, and the plan that it makes.

Everybody arrives first; then come the sales, and at the end enough time for the last reservation to lapse, so that its
units are seen to return.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.plan import Cut, Mix, Plan, Sale

if TYPE_CHECKING:
    from collections.abc import Callable

ARRIVALS_PER_SECOND = 250.0  # a token, a handshake and a snapshot each: arriving must not be the load
ARRIVE_AT_LEAST = 1.0  # s, however few they are
QUIET = 2.0  # s between the last arrival and the first sale: a countdown has its place in it
HOLD_LEAST = (
    5  # s that a reservation is held, and a second for each so many viewers: a crowd waits for its payments
)
HOLD_VIEWERS, HOLD_MOST = 500, 60
LAPSE_SLACK = 1.0  # s after the end of the last hold, to see its units return
SALES_MOST = 1000  # of a run, however long it is
SECONDS_MOST = 6 * 3600.0
CUT_EVERY = 120.0  # s, in a soak

CROWD = Mix(buyers=800, hoarders=30, bots=10)  # an evening's usual crowd; the rest only watches
BUYERS = Mix()


class ShapeError(ValueError):
    """No such shape, or numbers that it cannot be made of; the sentence says which would do."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What every shape is given; from `first` to `last` its sales may be open."""

    name: str
    viewers: int
    drop: int
    seconds: float
    arrival: float
    seed: int

    @property
    def first(self) -> float:
        """Seconds from the run's begin until the first sale opens."""
        return self.arrival + QUIET

    @property
    def hold(self) -> int:
        """Seconds that a reservation is held."""
        return hold_seconds(self.viewers)

    @property
    def last(self) -> float:
        """Seconds until the last sale is closed: early enough for what was taken last to lapse."""
        return self.seconds - self.hold - LAPSE_SLACK

    @property
    def room(self) -> float:
        """Seconds between the two."""
        return self.last - self.first

    def sale(
        self, at: float, seconds: float, *, spread: float, wanting: float = 1.0, restock: int = 0
    ) -> Sale:
        """Return a sale of the drop; `spread` are the seconds within which those who want it tap."""
        return Sale(
            at=at,
            seconds=seconds,
            quantity=self.drop,
            restock=restock,
            hold_seconds=self.hold,
            spread_ms=round(spread * 1000),
            wanting=wanting,
        )

    def series(self, each: float, *, spread: float, wanting: float) -> tuple[Sale, ...]:
        """Return sales of `each` seconds, one after the other, a second apart, for as long as there is room."""
        each = min(each, self.room)
        number = min(SALES_MOST, int((self.room + 1) // (each + 1)))
        return tuple(
            self.sale(
                self.first + n * (each + 1), each, spread=spread, wanting=wanting, restock=self.drop // 4
            )
            for n in range(number)
        )

    def plan(
        self,
        mix: Mix,
        sales: tuple[Sale, ...],
        *,
        cuts: tuple[Cut, ...] = (),
        deploys: tuple[float, ...] = (),
        slow: float = 0.0,
    ) -> Plan:
        """Return the plan of this shape with what it is made of."""
        return Plan(
            shape=self.name,
            seed=self.seed,
            viewers=self.viewers,
            seconds=self.seconds,
            arrival_seconds=self.arrival,
            mix=mix,
            sales=sales,
            cuts=cuts,
            deploys=deploys,
            slow=slow,
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """A way to load a server: what people read of it, its plan, and its sales' seconds: as meant, and at least."""

    sentence: str
    make: Callable[[Frame], Plan]
    usual: float
    least: float


def shape(name: str, viewers: int, drop: int, seconds: float | None, seed: int) -> Plan:
    """Return the plan of a shape: `drop` units in each drop, `seconds` in all (None: as the shape is meant).

    The same arguments give the same plan. Raises ShapeError.
    """
    made = SHAPES.get(name)
    if made is None:
        raise ShapeError(f"There is no shape {name!r}. There are: {', '.join(SHAPES)}.")
    if min(viewers, drop) < 1:
        raise ShapeError("At least one viewer and one unit are needed.")
    arrival = max(ARRIVE_AT_LEAST, viewers / ARRIVALS_PER_SECOND)
    hold = hold_seconds(viewers)
    around = arrival + QUIET + hold + LAPSE_SLACK
    whole = around + made.usual + 2 * (hold - HOLD_LEAST) if seconds is None else seconds
    if whole < around + made.least:
        raise ShapeError(
            f"{name} with {viewers:,} viewers takes at least {around + made.least:.0f} s: {arrival:.0f} s to arrive, "
            f"{QUIET:.0f} s of quiet, {made.least:.0f} s to sell, {hold + LAPSE_SLACK:.0f} s for the last "
            "reservation to lapse."
        )
    if whole > SECONDS_MOST:
        raise ShapeError(f"A run lasts {SECONDS_MOST / 3600:.0f} hours at most.")
    return made.make(Frame(name, viewers, drop, whole, arrival, seed))


def hold_seconds(viewers: int) -> int:
    """Return how long reservations are held in a run of so many viewers."""
    return min(HOLD_MOST, HOLD_LEAST + viewers // HOLD_VIEWERS)


def _steady(frame: Frame) -> Plan:
    return frame.plan(CROWD, frame.series(8, spread=6, wanting=0.5))


def _flash(frame: Frame) -> Plan:
    return frame.plan(BUYERS, (frame.sale(frame.first, frame.room, spread=0.2),))


def _waves(frame: Frame) -> Plan:
    each = frame.room / 5
    opened = (frame.first + n * each for n in range(4))
    return frame.plan(CROWD, tuple(frame.sale(at, 2 * each, spread=0.5, wanting=0.8) for at in opened))


def _storm(frame: Frame) -> Plan:
    cut = Cut(at=frame.first + frame.room / 3, share=1.0, back_seconds=min(4.0, frame.room / 4))
    return frame.plan(CROWD, (_long_sale(frame),), cuts=(cut,))


def _deploy(frame: Frame) -> Plan:
    return frame.plan(CROWD, (_long_sale(frame),), deploys=(frame.first + 2,))


def _long_sale(frame: Frame) -> Sale:
    """Return a sale in which people come all the time, with new units in its middle for who comes late."""
    return frame.sale(frame.first, frame.room, spread=frame.room * 0.8, restock=frame.drop)


def _slow(frame: Frame) -> Plan:
    return frame.plan(CROWD, frame.series(8, spread=3, wanting=0.8), slow=0.1)


def _soak(frame: Frame) -> Plan:
    begins = [frame.first + CUT_EVERY * (n + 0.5) for n in range(math.ceil(frame.room / CUT_EVERY))]
    cuts = tuple(Cut(at=at, share=0.2, back_seconds=10.0) for at in begins if at + 10 < frame.last)
    return frame.plan(CROWD, frame.series(20, spread=15, wanting=0.3), cuts=cuts)


SHAPES: dict[str, Shape] = {
    "steady": Shape(
        "An evening: one drop after the other, and half of the buyers want each.", _steady, 44, 4
    ),
    "flash": Shape("One drop, and everybody taps within 200 ms of its opening.", _flash, 12, 2),
    "waves": Shape("Four drops that overlap, each with a rush of its own.", _waves, 25, 5),
    "storm": Shape("All are cut off while a drop runs, and are back within seconds.", _storm, 16, 6),
    "deploy": Shape(
        "The server's processes are replaced, one after the other, in mid-drop.", _deploy, 40, 15
    ),
    "slow": Shape("One viewer in ten reads slowly; nobody else may notice.", _slow, 35, 6),
    "soak": Shape(
        "Half an hour of drops; every two minutes a fifth of the viewers drops out.", _soak, 1788, 20
    ),
}
