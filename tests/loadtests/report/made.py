"""Runs that nobody made: small, whole, and the same for the same words."""

from __future__ import annotations

from typing import Any

from loadtests.distribution import Distribution
from loadtests.plan import Plan, Sale
from loadtests.run import Curve, Machine, Opening, Process, Run

MIB = 1 << 20
SECONDS = 20.0
AT = [number * 0.5 for number in range(40)]
PLAN = Plan(
    shape="flash",
    seed=7,
    viewers=50,
    seconds=SECONDS,
    arrival_seconds=2.0,
    sales=(Sale(at=4.0, seconds=8.0, quantity=40),),
)
MACHINE = Machine(
    cpu="a processor", cores=2, memory=4096 * MIB, system="Linux", python="3.11", load_before=0.2
)


def spread(*seconds: float) -> Distribution:
    """Return the distribution of these durations."""
    made = Distribution()
    for each in seconds:
        made.add(each)
    return made


def run(slow: float = 1.0, **fields: Any) -> Run:
    """Return a run whose viewers waited `slow` times as long; `fields` replace what it says."""
    sold = [float(min(40, max(0, 8 * (at - 5)))) for at in AT]
    held = [min(6.0, 40 - each) if at > 4 else 0.0 for at, each in zip(AT, sold, strict=True)]
    stock = {
        "available": [40 - each - on for each, on in zip(sold, held, strict=True)],
        "held": held,
        "sold": sold,
    }
    curves = [Curve(name=name, unit="units", at=AT, values=values) for name, values in stock.items()]
    curves += [
        Curve(name="taken/s", unit="/s", at=AT, values=[8.0 if 4 < at < 9 else 0.0 for at in AT]),
        Curve(name="reserve p50", unit="ms", at=[4.5, 5.5, 6.5], values=[4.0, 5.0, 4.0]),
        Curve(name="reserve p99", unit="ms", at=[4.5, 5.5, 6.5], values=[40.0, 50.0, 30.0]),
        Curve(name="server CPU", unit="cores", at=AT, values=[0.5] * len(AT)),
        Curve(name="busiest server process", unit="cores", at=AT, values=[0.3] * len(AT)),
        Curve(name="server memory", unit="MiB", at=AT, values=[100.0] * len(AT)),
    ]
    waits = (0.004, 0.005, 0.006, 0.012, 0.040)
    said: dict[str, Any] = {
        "plan": PLAN,
        "began_at": "2026-01-02T03:04:05Z",
        "machine": MACHINE,
        "server": "http://127.0.0.1:8000 (Livedrop 0.1.0)",
        "seconds": SECONDS,
        "messages": 1000,
        "reservations": 48,
        "orders": 40,
        "units_sold": 40,
        "latencies": {"reserve": spread(*(slow * wait for wait in waits))},
        "refusals": {"reserve": {"out-of-stock": 9, "limit-reached": 1}},
        "openings": [Opening(drop="dr_abc_1", at=4.0, viewers=50, delays=spread(0.010, 0.020, 0.110))],
        "curves": curves,
        "processes": [
            Process(name="server", processes=2, cpu_seconds=6.0 * slow, peak_memory=100 * MIB),
            Process(name="generator", processes=1, cpu_seconds=3.0, peak_memory=50 * MIB),
        ],
        "clock_error_ms": 0.8,
    }
    return Run(**{**said, **fields})
