"""What a crowd leaves behind, made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from loadtests.distribution import Distribution
from loadtests.family import this_machine
from loadtests.plan import Plan
from loadtests.run import Run
from loadtests.seen import Account, Arrived, Failure, Seen, Take

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BEGAN = 1_800_000_000.0  # Unix seconds of this machine's clock


def times(*seconds: float) -> Distribution:
    """Return a distribution of these."""
    made = Distribution()
    for each in seconds:
        made.add(each)
    return made


def seen(pid: int, ahead_ms: float = 0.0) -> Seen:
    """Return what a process measured: a few of everything. `ahead_ms`: this machine's clock, of the server's."""
    at = BEGAN - ahead_ms / 1000 + 4
    return Seen(
        pid=pid,
        viewers=20,
        cpu_seconds=1.5,
        messages=100,
        latencies={"reserve": times(0.010, 0.030), "hello": times(0.005)},
        per_second={"reserve": {4: times(0.010), 6: times(0.030)}},
        refusals={"reserve": {"out-of-stock": pid, "limit-reached": 1}},
        openings=[Arrived("dr_x_1", at, times(0.001 * pid, 0.002 * pid))],
        failures=[Failure("reserve", "500", 1), Failure(f"only {pid}", "odd", 5)],
        clock_offset_ms=ahead_ms,
        clock_error_ms=0.1 * pid,
    )


def take(number: int, held_at: float, *, quantity: int = 1, order: str = "") -> Take:
    """Return a take; `held_at` in seconds of the run on a clock that agrees, 0.0: it was never held."""
    return Take(
        reservation=f"rs_{number}",
        drop="dr_x_1",
        operation=f"op-{number}",
        quantity=quantity,
        unit_price=100,
        asked_at=BEGAN + held_at,
        held_at=BEGAN + held_at if held_at else 0.0,
        expires_at=BEGAN + held_at + 5,
        end="paid" if order else "held",
        order=order,
        orders=[order] if order else [],
    )


def leave(folder: Path, each: Iterable[Seen], accounts: Iterable[Account]) -> None:
    """Write it down as processes do; the accounts go into two files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "began").write_text(str(BEGAN))
    for one in each:
        (folder / f"seen-{one.pid}.json").write_bytes(msgspec.json.encode(one))
        (folder / f"live-{one.pid}.json").write_bytes(msgspec.json.encode(one))
    lines = [msgspec.json.encode(account) + b"\n" for account in accounts]
    (folder / "accounts-1.ndjson").write_bytes(b"".join(lines[::2]))
    (folder / "accounts-2.ndjson").write_bytes(b"".join(lines[1::2]))


def blank(plan: Plan | None = None) -> Run:
    """Return a run of which nothing is known yet."""
    usual = Plan(shape="flash", seed=1, viewers=40, seconds=20.0, arrival_seconds=2.0)
    return Run(plan=plan or usual, began_at="", machine=this_machine(), server="", seconds=20.0)
