"""A run as it came out: `run.json`, which reports, comparisons and the capacity model are made from."""

from __future__ import annotations

from msgspec import Struct, field

from loadtests.audience.measures import WAITED
from loadtests.distribution import Distribution
from loadtests.plan import Plan
from loadtests.seen import Failure


class Curve(Struct, kw_only=True):
    """A quantity over time: `at` in seconds since the run's begin."""

    name: str  # such as `available`, `held`, `sold`, `taken/s`, `reserve p99`, `server CPU`, `Redis memory`
    unit: str  # units, /s, ms, cores, MiB
    at: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


class Opening(Struct, kw_only=True):
    """How an opened drop reached the crowd: delays in seconds after the server's time of the event."""

    drop: str
    at: float  # seconds since the run's begin
    viewers: int  # reached
    delays: Distribution

    @property
    def skew(self) -> float:
        """Seconds between the first viewer who saw it and the last."""
        return self.delays.most - self.delays.least if self.delays.count else 0.0


class Process(Struct, kw_only=True):
    """What a part of the system used: `server`, `redis`, `ledger`, `generator`."""

    name: str
    processes: int
    cpu_seconds: float
    peak_memory: int  # bytes resident, all its processes together
    written: int = 0  # bytes that they gave to the system: to sockets and files


class Finding(Struct, kw_only=True):
    """A broken promise: its kind, a sentence with the numbers, and the evidence, a line each.

    Kinds: oversell, undersell, stranded, double-order, limit, lost-offset, repeated-offset, no-reply, books, failure,
    nothing-seen.
    """

    kind: str
    sentence: str
    evidence: list[str] = field(default_factory=list)


class Machine(Struct, kw_only=True):
    """Where it ran."""

    cpu: str
    cores: int
    memory: int  # bytes
    system: str
    python: str
    load_before: float  # 1 minute's load average when it began


class Run(Struct, kw_only=True):
    """One run, whole."""

    version: int = 1
    plan: Plan
    began_at: str  # ISO 8601, UTC
    machine: Machine
    server: str  # its URL, and its version where it says so
    seconds: float
    messages: int = 0
    reservations: int = 0
    orders: int = 0
    units_sold: int = 0
    latencies: dict[str, Distribution] = field(default_factory=dict)
    refusals: dict[str, dict[str, int]] = field(default_factory=dict)
    openings: list[Opening] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    clock_error_ms: float = 0.0

    @property
    def waited(self) -> str:
        """How many had to wait for a seat in the show, in a sentence; empty where nobody had to."""
        seen = self.latencies.get(WAITED)
        return f"Waited in the room: {seen.count:,}, longest {seen.most:.1f} s." if seen is not None else ""

    @property
    def passed(self) -> bool:
        """Whether no promise was found broken."""
        return not self.findings
