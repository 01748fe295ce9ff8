"""What is to be reached, each as a bound on a figure of this very run: absolute rates drift, ratios hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.ground import OURS
from loadtests.bench.meter import Figure
from loadtests.bench.tellers import BROADCAST, NAIVE, NCHAN, PICOWS, RAW
from loadtests.report.figures import GENERATOR, SERVER, process

if TYPE_CHECKING:
    from loadtests.bench.fanout import Fanout
    from loadtests.bench.growth import Growth
    from loadtests.bench.hanging import Hanging
    from loadtests.bench.inbound import Inbound
    from loadtests.bench.memory import Weight
    from loadtests.bench.meter import Way
    from loadtests.bench.mix import Mixed
    from loadtests.bench.paying import Checkouts
    from loadtests.bench.returning import Returning
    from loadtests.bench.stock import Stock
    from loadtests.bench.sweep import Sweep
    from loadtests.run import Run

KIB = 1024
MS = 1000
LARGE = 100  # from here on a figure is shown without decimals


@dataclass(frozen=True, slots=True)
class Goal:
    """A measured figure (None: what it compares with is not installed) and its bound: at least or at most `limit`."""

    name: str
    measured: Figure | None
    limit: float
    unit: str = "times"
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the figure is within its bound."""
        if self.measured is None:
            return False
        middle = self.measured.middle
        return middle >= self.limit if self.at_least else middle <= self.limit

    @property
    def margin(self) -> float | None:
        """By how many percent of the bound it is reached, or missed (below 0).

        None where nothing was measured, and where the bound is 0, of which nothing is a share.
        """
        if self.measured is None or not self.limit:
            return None
        room = (self.limit - self.measured.middle) / self.limit
        return 100 * (-room if self.at_least else room)

    @property
    def verdict(self) -> str:
        """Whether it is reached, and by how much."""
        if self.measured is None:
            return "not measured"
        said, margin = "reached" if self.reached else "missed", abs(self.margin or 0.0)
        if not margin:
            return said
        return f"{said} by {margin:,.0f} %" if margin >= 1 else f"{said} by less than 1 %"

    @property
    def shown(self) -> str:
        """The figure with its unit, and its spread where there is one."""
        if self.measured is None:
            return "not installed"
        middle, least, most = self.measured.middle, self.measured.least, self.measured.most
        digits = 0 if middle >= LARGE else 2
        spread = f" ({least:,.{digits}f} … {most:,.{digits}f})" if least != most else ""
        return f"{middle:,.{digits}f}{spread} {self.unit}"

    @property
    def bound(self) -> str:
        """The bound with its unit."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:,g} {self.unit}"


def of_stock(measured: Stock) -> list[Goal]:
    """Return the goals of reservations through one Redis: of the server's own way, and of its script alone."""
    peers = (
        ("our script for one each, pipelined", measured.script_for_one, 2.5),
        ("a leaner script for one each, pipelined", measured.lean, 2.5),
        ("plain unpipelined DECR", measured.plain, 1.3),
    )
    return [
        Goal(f"{what} vs {name}", way.faster_than(peer), limit, at_least=True)
        for what, way in (("reservations/s", measured.ours), ("by the script alone", measured.script))
        for name, peer, limit in peers
    ]


def of_growth(measured: Growth) -> list[Goal]:
    """Return the goals of shows that grow: what a reservation costs, and what a hold weighs."""
    small, *grown = measured.shows
    return [
        *(
            Goal(f"CPU of Redis per reservation with {show.name}", show.script.costs_of(small.script), 1.15)
            for show in grown
        ),
        *(
            Goal(
                f"memory of Redis per hold, {each.in_each_call} in a call",
                Figure.of([each.each]),
                200,
                "bytes",
            )
            for each in measured.weights
        ),
    ]


def of_buying(ways: list[Way]) -> list[Goal]:
    """Return the goal of reservations over websockets: against the peer that does less, a DECR each."""
    ours, naive, _same_script = ways
    faster = ours.faster_than(naive)
    return [Goal("reservations/s over websockets vs the naive server", faster, 6, at_least=True)]


def of_fanout(measured: Fanout) -> list[Goal]:
    """Return the goals of telling everybody."""
    ours = measured.tellers[0].telling

    def beside(name: str, limit: float) -> Goal:
        peer = measured.peer(name)
        return Goal(f"CPU per delivery vs {name}", ours.costs_of(peer.telling) if peer else None, limit)

    return [beside(RAW, 1.25), *(beside(name, 1) for name in (PICOWS, BROADCAST, NAIVE, NCHAN))]


def of_mix(measured: list[Mixed]) -> list[Goal]:
    """Return the goal of the live mix: per message published and viewer."""
    ours, raw = (mixed.teller.telling for mixed in measured)
    return [Goal("CPU per message of the live mix vs the raw loop", ours.costs_of(raw), 0.35)]


def of_memory(weights: list[Weight], few: Way, many: Way, crowd: int) -> list[Goal]:
    """Return the goals of having viewers connected, and of telling ten times as many; `crowd` is how many count."""
    each = [weight.each / KIB for weight in weights]
    great = [weight.each / KIB for weight in weights if weight.viewers == crowd]
    uneven = 100 * (max(each) - min(each)) / (max(each) + min(each)) if each else 0
    name = f"memory of an idle viewer, of {crowd:,}"
    return [
        Goal("CPU per delivery to ten times the viewers", many.costs_of(few), 1.15),
        Goal(name, Figure.of(great) if great else None, 4, "KiB"),
        Goal("unevenness of it, from few viewers to many", Figure.of([uneven]), 10, "± %"),
    ]


def of_inbound(measured: Inbound) -> list[Goal]:
    """Return the goals of hearing viewers: messages for the same CPU, and a reservation's."""
    picows, ours = measured.picows, measured.ours
    ratio = picows.costs_of(ours) if picows else None
    return [
        Goal("pings for the CPU of a picows echo", ratio, 1, at_least=True),
        Goal("the server's CPU per reservation over websockets", measured.reserve.cost(OURS), 25, "µs"),
    ]


def of_sweep(measured: Sweep, crowd: int) -> list[Goal]:
    """Return the goals of reaching everybody soon; a wait is a sweep's longest."""
    pairs = zip(measured.ours, measured.raw, strict=True)
    worst = [MS * max(waits) for waits in measured.waits if waits]
    return [
        Goal(f"drop to the last of {crowd:,} vs the raw loop", Figure.of([a / b for a, b in pairs]), 1.5),
        Goal("longest wait of a reservation meanwhile", Figure.of(worst) if worst else None, 10, "ms"),
    ]


def of_returning(measured: Returning) -> list[Goal]:
    """Return the goals of coming, and of coming back."""
    count = measured.viewers
    return [
        Goal("the server's CPU per handshake and hello", measured.arrival.cost(OURS), 300, "µs"),
        Goal(f"until {count:,} viewers are back", Figure.of([measured.seconds]), 10, "s"),
        Goal(
            "of them let in at their place", Figure.of([measured.recovered]), count, "viewers", at_least=True
        ),
        Goal("events that any of them lost or got twice", Figure.of([measured.broken]), 0, "events"),
    ]


def of_paying(measured: Checkouts) -> list[Goal]:
    """Return the goals of checkouts where the provider takes no time: committing together is worth it."""
    return [
        Goal(
            f"checkouts/s on {ours.database} vs {peer.commits}",
            ours.way.faster_than(peer.way),
            1,
            at_least=True,
        )
        for ours, peer in measured.pairs()
        if not ours.delay
    ]


def of_load(run: Run) -> list[Goal]:
    """Return the goals of a drop that everybody takes at once: promises, and whose CPU it was."""
    server, generator = process(run, SERVER), process(run, GENERATOR)
    share = (
        generator.cpu_seconds / server.cpu_seconds if server and generator and server.cpu_seconds else None
    )
    return [
        Goal(
            f"promises broken before {run.plan.viewers:,} viewers",
            Figure.of([len(run.findings)]),
            0,
            "promises",
        ),
        Goal("the generator's CPU vs the server's", Figure.of([share]) if share else None, 1),
    ]


def of_hanging(measured: Hanging) -> list[Goal]:
    """Return the goal of a provider that hangs: who reserves does not notice."""
    name = f"p99 of a reservation beside {measured.count} hanging checkouts"
    return [Goal(name, measured.slower(99), 1.1)]
