"""What a server needs for so much work, as its measured runs tell: CPU of gateways and Redis, bytes, memory.

    gateway CPU = gateway-seconds·idle + publishes·gateways·f + joins·a + deliveries·b + commands·c + orders·o
    Redis CPU   = seconds·idle + publishes·(g + gateways·e) + commands·d + orders·p
    bytes       = joins·u + deliveries·v + commands·w + orders·x
    memory      = gateways·base + viewers·m

Every cost comes from `fitting`; nothing is assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from loadtests.capacity.fitting import Fit, Measured, fitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.run import Process, Run

JOINS = ("hello",)  # latencies of which each is one connection
COMMANDS = ("reserve", "release")
ORDERS = "checkout"

GATEWAY_CPU, REDIS_CPU, SENT, MEMORY = "gateway CPU", "Redis CPU", "bytes sent", "gateway memory"
QUANTITIES: dict[str, tuple[str, tuple[str, ...]]] = {
    GATEWAY_CPU: ("s", ("gateway-second", "publish to a gateway", "join", "delivery", "command", "order")),
    REDIS_CPU: ("s", ("second", "publish", "publish to a gateway", "command", "order")),
    SENT: ("bytes", ("join", "delivery", "command", "order")),
    MEMORY: ("bytes", ("gateway", "viewer")),
}


class Work(Struct, frozen=True, kw_only=True):
    """What was asked of a server in so many seconds.

    A publish is one message to all viewers of a show, in whichever show.
    """

    viewers: float
    gateways: int
    seconds: float
    joins: float
    deliveries: float
    commands: float
    orders: float
    publishes: float

    def amounts(self) -> dict[str, float]:
        """Return how much there was of each thing that costs."""
        return {
            "gateway-second": self.gateways * self.seconds,
            "second": self.seconds,
            "join": self.joins,
            "delivery": self.deliveries,
            "command": self.commands,
            "order": self.orders,
            "publish": self.publishes,
            "publish to a gateway": self.publishes * self.gateways,
            "gateway": self.gateways,
            "viewer": self.viewers,
        }


class Sample(Struct, frozen=True, kw_only=True):
    """A run as the model sees it: the work, and what was measured for each quantity (0.0: it was not seen)."""

    work: Work
    measured: dict[str, float]


class Model(Struct, kw_only=True):
    """The fits by quantity, of how many runs, on servers of how many gateways, and how large the largest was."""

    runs: int
    gateways: list[int]
    largest: int  # viewers
    fits: dict[str, Fit]

    def cost(self, quantity: str, work: Work) -> float | None:
        """Return what this work costs; None where the quantity was never measured."""
        fit = self.fits.get(quantity)
        return None if fit is None else fit.at(work.amounts())


def work_of(run: Run, gateways: int) -> Work:
    """Return what a run asked of a server in so many processes.

    What a viewer was sent without having asked is a publish to all of them: welcomes and answers are taken off.
    """
    joins = sum(_count(run, name) for name in JOINS)
    commands = sum(_count(run, name) for name in COMMANDS)
    viewers = run.plan.viewers
    return Work(
        viewers=viewers,
        gateways=gateways,
        seconds=run.seconds,
        joins=joins,
        deliveries=run.messages,
        commands=commands,
        orders=_count(run, ORDERS),
        publishes=max(0.0, run.messages - joins - commands) / viewers,
    )


def sample(run: Run, gateways: int) -> Sample:
    """Return a run as the model sees it."""
    server, redis = process(run, "server"), process(run, "redis")
    measured = {
        GATEWAY_CPU: server.cpu_seconds if server else 0.0,
        REDIS_CPU: redis.cpu_seconds if redis else 0.0,
        SENT: float(server.written) if server else 0.0,
        MEMORY: float(server.peak_memory) if server else 0.0,
    }
    return Sample(work=work_of(run, gateways), measured=measured)


def calibrated(samples: Sequence[Sample]) -> Model | None:
    """Fit all that was measured; None where no run told what its server used."""
    fits = {}
    for name, (unit, terms) in QUANTITIES.items():
        runs = [_measured(one, name, terms) for one in samples]
        fit = fitted(name, unit, terms, runs)
        if fit is not None:
            fits[name] = fit
    if not fits:
        return None
    return Model(
        runs=len(samples),
        gateways=sorted({one.work.gateways for one in samples}),
        largest=round(max(one.work.viewers for one in samples)),
        fits=fits,
    )


def _measured(one: Sample, quantity: str, terms: Sequence[str]) -> Measured:
    amounts = one.work.amounts()
    return Measured(tuple(amounts[term] for term in terms), one.measured.get(quantity, 0.0), one.work.viewers)


def process(run: Run, name: str) -> Process | None:
    """Return what a part of the system used, or None where nobody saw it."""
    return next((each for each in run.processes if each.name == name), None)


def _count(run: Run, name: str) -> int:
    found = run.latencies.get(name)
    return found.count if found else 0
