"""What a run does to the machine and to the stock, looked at twice a second.

CPU and memory are Linux's own figures of the processes of this machine: of a server elsewhere only the stock can be
seen, through its host's door, and `unseen` says so. Moments are Unix seconds of this machine until they are asked for
as seconds of the run.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Self

import httpx

from loadtests import family
from loadtests.bursts import Bursts
from loadtests.run import Curve, Process
from loadtests.stagehand import door

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

EVERY_SECONDS = 0.5
MIB = 2**20
GENERATOR = "generator"
SPOKEN = {"redis": "Redis"}  # of the other parts the name is what people read
OTHERS = "other programs' CPU"  # the curve of all that has nothing to do with the run
NUMBERS = ("available", "held", "sold")


class Usage(NamedTuple):
    """What a part of the system has used until a moment: CPU seconds and written bytes, and its resident bytes then.

    `busiest` are the cores that the busiest one of its processes took since the look before, `fullest` those in its
    fullest tenth of a second.
    """

    at: float
    processes: int
    cpu: float
    memory: int
    busiest: float = 0.0
    written: int = 0
    fullest: float = 0.0


class Stock(NamedTuple):
    """The numbers of a drop, or of all of them, at a moment."""

    at: float
    available: int
    held: int
    sold: int


class Usages:
    """What each part of the system used, over time. Processes may come and go: what the gone have used counts."""

    def __init__(self) -> None:
        self._spent: dict[int, tuple[str, float]] = {}
        self._written: dict[int, int] = {}
        self.parts: dict[str, list[Usage]] = {}
        self.others: list[tuple[float, float]] = []  # moment, CPU seconds of the machine without our parts

    def note(
        self,
        at: float,
        found: dict[int, tuple[str, float, int]],
        written: dict[int, int] | None = None,
        machine: float = 0.0,
        fullest: Mapping[str, float] | None = None,
    ) -> None:
        """Add a look: the part, CPU seconds and resident bytes of every process there is, and what each has written.

        `machine` are the CPU seconds of all that runs on it, `fullest` the peaks of each part since the look before.
        """
        before = self._spent.copy()
        self._written |= written or {}
        self._spent |= {pid: (name, cpu) for pid, (name, cpu, _) in found.items()}
        for name in {name for name, _ in self._spent.values()}:
            here = [memory for part, _, memory in found.values() if part == name]
            cpu = sum(cpu for part, cpu in self._spent.values() if part == name)
            usages = self.parts.setdefault(name, [])
            since = at - usages[-1].at if usages else 0.0
            risen = [
                cpu - before[pid][1]
                for pid, (part, cpu, _) in found.items()
                if part == name and pid in before
            ]
            busiest = max(risen, default=0.0) / since if since > 0 else 0.0
            sent = sum(self._written.get(pid, 0) for pid, (part, _) in self._spent.items() if part == name)
            peak = (fullest or {}).get(name, busiest)
            usages.append(Usage(at, len(here), cpu, sum(here), busiest, sent, peak))
        self.others.append((at, machine - sum(cpu for _, cpu in self._spent.values())))

    def curves(self, began: float) -> list[Curve]:
        """Return CPU (in cores, between two looks) and memory of each part from the run's begin on."""
        curves = [
            curve for name, usages in sorted(self.parts.items()) for curve in _usage(name, usages, began)
        ]
        others = _cores(OTHERS, [look for look in self.others if look[0] >= began], began)
        return [*curves, others]

    def processes(self, began: float, ended: float) -> list[Process]:
        """Return what each part used between two moments, the nearest looks taken for them."""
        return [
            Process(
                name=name,
                processes=max(usage.processes for usage in usages),
                cpu_seconds=_nearest(usages, ended).cpu - _nearest(usages, began).cpu,
                peak_memory=max((usage.memory for usage in usages if usage.at <= ended), default=0),
                written=_nearest(usages, ended).written - _nearest(usages, began).written,
            )
            for name, usages in sorted(self.parts.items())
        ]


class Stocks:
    """The stock of every drop over time; of a drop, only what changed is kept."""

    def __init__(self) -> None:
        self.all: list[Stock] = []
        self.drops: dict[str, list[Stock]] = {}

    def note(self, at: float, drops: Sequence[dict[str, int | str]]) -> None:
        """Add a look: the drops as the server's list has them. Before there is one there is nothing to see."""
        if not drops:
            return
        total: Counter[str] = Counter()
        for drop in drops:
            numbers = {name: int(drop[name]) for name in NUMBERS}
            total.update(numbers)
            kept = self.drops.setdefault(str(drop["id"]), [])
            if not kept or kept[-1][1:] != tuple(numbers.values()):
                kept.append(Stock(at, **numbers))
        self.all.append(Stock(at, *(total[name] for name in NUMBERS)))

    def curves(self, began: float) -> list[Curve]:
        """Return available, held and sold of all drops together, and of each where there are several."""
        if not self.all:
            return []
        curves = _numbers("", self.all, began)
        if len(self.drops) > 1:
            end = self.all[-1].at
            for drop, kept in self.drops.items():
                curves += _numbers(f" {drop}", [*kept, kept[-1]._replace(at=end)], began)
        return curves


class Sampler:
    """Looks at a server, its show and the generator until the end of the block.

    `servers` and `generators` are the first of their processes: what descends from them belongs to them. This very
    process counts to the generator, without its descendants.
    """

    def __init__(self, url: str, host_token: str, show: str, servers: Sequence[int]) -> None:
        self.generators: list[int] = []
        self.usages = Usages()
        self.stocks = Stocks()
        self.asked_in_vain = 0  # looks at the stock that came to nothing
        self._servers = servers
        self._door = door(url, host_token)
        self._path = f"/v1/shows/{show}/drops"
        self._bursts = Bursts()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(look,), daemon=True, name=name)
            for name, look in (("usage", self._look_at_usage), ("stock", self._look_at_stock))
        ]

    def __enter__(self) -> Self:
        self._bursts.__enter__()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._bursts.__exit__(kind, error, trace)
        self._door.close()

    @property
    def stock(self) -> Stock | None:
        """The newest numbers of all drops together."""
        return self.stocks.all[-1] if self.stocks.all else None

    @property
    def unseen(self) -> list[str]:
        """Say, in sentences, what has no figures."""
        if not self._servers:
            return [
                "The server does not run on this machine, or as somebody else: CPU and memory are the generator's."
            ]
        if "redis" not in self.usages.parts:
            return ["Redis was not started by the server: its CPU and memory are not in the figures."]
        return []

    def _repeat(self, look: Callable[[], None]) -> None:
        """Look at fixed times, so that a slow look does not shift those after it."""
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            look()
            due = max(due + EVERY_SECONDS, time.monotonic())

    def _look_at_usage(self) -> None:
        belongs = {pid: family.part(pid) for root in self._servers for pid in family.descendants(root)}
        belongs |= {pid: GENERATOR for root in self.generators for pid in family.descendants(root)}
        belongs[os.getpid()] = GENERATOR
        found = {pid: (name, *used) for pid, name in belongs.items() if (used := family.used(pid))}
        written = {pid: bytes_ for pid in found if (bytes_ := family.written(pid))}
        self._bursts.follow({pid: name for pid, (name, _cpu, _memory) in found.items()})
        self.usages.note(time.time(), found, written, family.machine_seconds(), self._bursts.fullest())

    def _look_at_stock(self) -> None:
        try:
            answer = self._door.get(self._path).raise_for_status()
        except httpx.HTTPError:
            self.asked_in_vain += 1
        else:
            self.stocks.note(time.time(), answer.json()["items"])


def _usage(name: str, usages: Sequence[Usage], began: float) -> tuple[Curve, Curve, Curve, Curve]:
    spoken, seen = SPOKEN.get(name, name), [usage for usage in usages if usage.at >= began]
    cpu = _cores(f"{spoken} CPU", [(usage.at, usage.cpu) for usage in seen], began)
    alone, peaks = [usage.busiest for usage in seen[1:]], [usage.fullest for usage in seen[1:]]
    busiest = Curve(name=f"busiest {spoken} process", unit="cores", at=list(cpu.at), values=alone)
    fullest = Curve(name=f"fullest {spoken} moment", unit="cores", at=list(cpu.at), values=peaks)
    at = [usage.at - began for usage in seen]
    memory = Curve(name=f"{spoken} memory", unit="MiB", at=at, values=[usage.memory / MIB for usage in seen])
    return cpu, busiest, fullest, memory


def _cores(name: str, spent: Sequence[tuple[float, float]], began: float) -> Curve:
    """Return the cores that were used between two looks, from moments and the CPU seconds until then."""
    curve = Curve(name=name, unit="cores")
    for (earlier, before), (later, after) in pairwise(spent):
        curve.at.append((earlier + later) / 2 - began)
        curve.values.append(max(0.0, (after - before) / (later - earlier)))
    return curve


def _numbers(suffix: str, stocks: Sequence[Stock], began: float) -> list[Curve]:
    seen = [stock for stock in stocks if stock.at >= began]
    at = [stock.at - began for stock in seen]
    return [
        Curve(
            name=f"{name}{suffix}",
            unit="units",
            at=list(at),
            values=[float(getattr(each, name)) for each in seen],
        )
        for name in NUMBERS
    ]


def _nearest(usages: Sequence[Usage], moment: float) -> Usage:
    return min(usages, key=lambda usage: abs(usage.at - moment))
