"""Systems whose costs and limits are known because they are made up: runs as they would have come out."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtests.capacity.model import GATEWAY_CPU, MEMORY, QUANTITIES, REDIS_CPU, SENT, Sample, Work
from loadtests.distribution import Distribution
from loadtests.plan import Mix, Plan, Sale
from loadtests.run import Curve, Machine, Opening, Process, Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.stagehand import Stage

MACHINE = Machine(cpu="made up", cores=8, memory=2**34, system="none", python="3.11", load_before=0.0)
# What everything costs in the made-up system: CPU in seconds, memory and traffic in bytes.
COSTS = {
    GATEWAY_CPU: {
        "gateway-second": 0.01,
        "publish to a gateway": 300e-6,
        "join": 400e-6,
        "delivery": 8e-6,
        "command": 40e-6,
        "order": 1500e-6,
    },
    REDIS_CPU: {
        "second": 0.005,
        "publish": 150e-6,
        "publish to a gateway": 20e-6,
        "command": 8e-6,
        "order": 60e-6,
    },
    SENT: {"join": 1500.0, "delivery": 120.0, "command": 90.0, "order": 900.0},
    MEMORY: {"gateway": 90e6, "viewer": 3000.0},
}
SALE = Sale(at=4.0, seconds=8.0, quantity=100, spread_ms=4000)


def plan(viewers: int, *, sale: Sale = SALE, mix: Mix | None = None) -> Plan:
    """Return a plan with one sale."""
    return Plan(
        shape="made up",
        seed=1,
        viewers=viewers,
        seconds=20.0,
        arrival_seconds=2.0,
        mix=mix or Mix(),
        sales=(sale,),
    )


def times(seconds: float, count: int = 100) -> Distribution:
    """Return so many times the same duration."""
    taken = Distribution()
    taken.add(seconds, count)
    return taken


@dataclass
class Shop:
    """A made-up server with a limit for each part, in viewers: what is beyond it answers late.

    `limits` names the parts as runs do: server, redis, network, generator. `slow` is what answers late.
    """

    limits: dict[str, int]
    slow: str = "reserve"
    gateways: int = 1
    asked: list[int] = field(default_factory=list)

    def perform(  # noqa: PLR0913  as `loadtests.perform.perform`
        self,
        stage: Stage,
        show: str,
        plan: Plan,
        folder: Path,
        say: Callable[[str], None],
        *,
        processes: int = 1,
    ) -> Run:
        """Return the run of a plan as if it had been carried out."""
        assert folder.is_dir(), (stage, show, processes)
        say("as if")
        return self.run(plan.viewers, plan)

    def run(self, viewers: int, asked: Plan | None = None) -> Run:
        """Return the run of so many viewers."""
        self.asked.append(viewers)
        asked = asked or plan(viewers)
        share = {part: min(1.0, viewers / limit) for part, limit in self.limits.items()}
        over = any(viewers > limit for limit in self.limits.values())
        run = Run(
            plan=asked,
            began_at="2026-01-01T00:00:00+00:00",
            machine=MACHINE,
            server="made up",
            seconds=asked.seconds,
            messages=100 * viewers,
            latencies={"hello": times(0.001, viewers), "reserve": times(0.01), "checkout": times(0.02)},
            openings=[Opening(drop="dr", at=4.0, viewers=viewers, delays=times(0.005, viewers))],
        )
        if over:
            run.latencies[self.slow] = times(3.0)
        for part in ("server", "redis", "generator"):
            load = share.get(part, 0.05)
            run.processes.append(
                Process(
                    name=part,
                    processes=1,
                    cpu_seconds=load * asked.seconds,
                    peak_memory=10**8,
                    written=round(share.get("network", 0.0) * 1e6 * asked.seconds) if part == "server" else 0,
                )
            )
            at = [0.5 * step for step in range(81)]
            busy = [load] * len(at)
            run.curves.append(Curve(name=f"{part} CPU", unit="cores", at=at, values=busy))
            run.curves.append(Curve(name=f"busiest {part} process", unit="cores", at=at, values=busy))
        return run


def samples(seed: int, noise: float, viewers: tuple[int, ...] = (250, 500, 1000, 2000)) -> list[Sample]:
    """Return measured runs of the made-up costs, each figure off by a few per cent: steps, and runs of other kinds."""
    chance = random.Random(seed)  # noqa: S311  noise
    works = [_work(size, 60, 1.0, 0.1) for size in viewers]
    for size in (300, 900):
        works += [_work(size, 3, 0.0, 0.0), _work(size, 90, 0.05, 0.05)]
        works += [_work(size, 50, 6.0, 0.3), _work(size, 70, 1.0, 1.0)]
    works += [_work(900, 90, 0.05, 0.05, gateways=4), _work(900, 70, 1.0, 1.0, gateways=4)]
    return [
        Sample(
            work=work,
            measured={name: exact(name, work) * (1 + chance.uniform(-noise, noise)) for name in QUANTITIES},
        )
        for work in works
    ]


def exact(quantity: str, work: Work) -> float:
    """Return what work costs in the made-up system."""
    amounts = work.amounts()
    return sum(cost * amounts[term] for term, cost in COSTS[quantity].items())


def _work(viewers: int, publishes: float, tapping: float, paying: float, gateways: int = 2) -> Work:
    return Work(
        viewers=viewers,
        gateways=gateways,
        seconds=15.0 + viewers / 250,
        joins=viewers,
        deliveries=viewers * (publishes + 1 + tapping),
        commands=viewers * tapping,
        orders=viewers * paying,
        publishes=publishes,
    )
