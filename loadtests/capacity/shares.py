"""How much of what it can have each part of a system took in its busiest moment, and which was at its end."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from loadtests.bursts import SPAN_SECONDS
from loadtests.capacity.model import process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.run import Curve, Run

GATEWAY, REDIS, LEDGER, NETWORK = "gateway CPU", "Redis CPU", "ledger", "network"
GENERATOR, MACHINE = "generator", "machine"
PARTS = (GATEWAY, REDIS, LEDGER, NETWORK)
NAMES = {GATEWAY: "server", REDIS: "redis", LEDGER: "ledger", GENERATOR: "generator"}

SUSTAINED_SECONDS = 2.0  # what a goal for CPU is about
BURST_SECONDS = (
    SPAN_SECONDS  # an opening is over in less than a second: who is full for so long makes others wait
)
BLUR_SECONDS = (
    0.4  # so long a generator must be full to be what was slow: in an opening all it asks is due at once
)
SATURATED = 0.85  # of a core, or of the network: it has no more to give


def shares(run: Run, gateways: int, *, link: float = 0.0, seconds: float = BURST_SECONDS) -> dict[str, float]:
    """Return by part the share that it took in its busiest moment of so many seconds; without parts that nobody saw.

    Looked at is the time of the sales, without arrivals and the end, when generators write down what they have seen.
    Of gateways, generators and Redis it is of one core, the busiest process's where that was seen; of the ledger and of
    all together it is of the machine's. The burst of a tenth of a second is seen of gateways and Redis alone. `link` is
    what the network carries in bytes per second (0.0: not known).
    """
    found = {}
    cores, first, last = max(1, run.machine.cores), *selling(run)
    for part, name in NAMES.items():
        seen = process(run, name)
        if seen is None:
            continue
        alone = _curve(run, f"busiest {name} process") if part != LEDGER else None
        moments = _curve(run, f"fullest {name} moment") if part in {GATEWAY, REDIS} else None
        if alone is not None and moments is not None and seconds <= BURST_SECONDS:
            found[part] = max((value for _, value in _points(moments, first, last)), default=0.0)
        elif alone is not None:
            found[part] = busiest(_points(alone, first, last), max(seconds, BLUR_SECONDS))
        else:
            room = {GATEWAY: gateways, GENERATOR: seen.processes, LEDGER: cores}.get(part, 1)
            found[part] = _cores(run, f"{name} CPU", seen.cpu_seconds, max(seconds, BLUR_SECONDS)) / max(
                1, room
            )
    together = [curve for curve in run.curves if curve.name.endswith(" CPU")]
    if together:
        found[MACHINE] = (
            busiest(
                [point for point in added(together) if first <= point[0] <= last], max(seconds, BLUR_SECONDS)
            )
            / cores
        )
    server = process(run, "server")
    if link > 0 and server is not None and server.written:
        found[NETWORK] = server.written / run.seconds / link
    return found


def selling(run: Run) -> tuple[float, float]:
    """Return from when to when there were sales, in seconds of the run; all of its plan where it has none."""
    if not run.plan.sales:
        return 0.0, run.plan.seconds
    begin = min(sale.at - sale.countdown_ms / 1000 for sale in run.plan.sales)
    return begin, max(sale.at + sale.seconds for sale in run.plan.sales)


def busiest(points: Sequence[tuple[float, float]], seconds: float) -> float:
    """Return the highest mean of a curve over a window of at least so many seconds; over all of it where it is shorter.

    A point's value is that of the time since the point before.
    """
    pieces = [
        (value * (at - before), at - before) for (before, _), (at, value) in pairwise(points) if at > before
    ]
    length = sum(lasted for _, lasted in pieces)
    if length < seconds:
        mean = sum(amount for amount, _ in pieces) / length if length else 0.0
        return mean if pieces or not points else points[0][1]
    highest, whole, span, first = 0.0, 0.0, 0.0, 0
    for amount, lasted in pieces:
        whole, span = whole + amount, span + lasted
        while span - pieces[first][1] >= seconds:
            whole, span, first = whole - pieces[first][0], span - pieces[first][1], first + 1
        if span >= seconds:
            highest = max(highest, whole / span)
    return highest


def added(curves: Sequence[Curve]) -> list[tuple[float, float]]:
    """Return the sum of curves that were sampled at the same moments; moments that not all have are left out."""
    each = [dict(zip(curve.at, curve.values, strict=True)) for curve in curves]
    moments = sorted(set.intersection(*map(set, each))) if each else []
    return [(at, sum(values[at] for values in each)) for at in moments]


def at_its_end(found: dict[str, float], least: float = SATURATED) -> str | None:
    """Return the part that has no more to give, the fullest one of several; None where each has."""
    full = [(share, part) for part, share in found.items() if part in PARTS and share >= least]
    return max(full)[1] if full else None


def _cores(run: Run, name: str, cpu_seconds: float, seconds: float) -> float:
    """Return the cores that a part took in its busiest moment; its mean where there is no curve."""
    curve = _curve(run, name)
    if curve is None:
        return cpu_seconds / run.seconds if run.seconds else 0.0
    return busiest(_points(curve, *selling(run)), seconds)


def _curve(run: Run, name: str) -> Curve | None:
    """Return a curve by its name, if it has two points: one alone says nothing of the time before it."""
    wanted = name.lower()
    return next((each for each in run.curves if each.name.lower() == wanted and len(each.at) > 1), None)


def _points(curve: Curve, first: float, last: float) -> list[tuple[float, float]]:
    return [(at, value) for at, value in zip(curve.at, curve.values, strict=True) if first <= at <= last]
