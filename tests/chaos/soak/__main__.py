"""`python -m tests.chaos.soak --seconds 1800`: run it, print what failed and how long that took; exit 1: complaints."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.chaos.plan import fresh
from tests.chaos.soak.faults import DEEDS
from tests.chaos.soak.rounds import soak

if TYPE_CHECKING:
    from tests.chaos.soak.rounds import Account

SHOWN = 40  # complaints


def main() -> int:
    """Run what the command line says."""
    words = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    words.add_argument("--seconds", type=float, default=1800.0, help="about, of sales under faults")
    words.add_argument("--seed", type=int, help="of what everybody does; none: another each time")
    words.add_argument("--only", action="append", choices=DEEDS, default=[], help="this fault, and no other")
    chosen = words.parse_args()
    seed, console = fresh(chosen.seed), Console()
    console.print(f"Again: python -m tests.chaos.soak --seconds {chosen.seconds:g} --seed {seed}")
    with tempfile.TemporaryDirectory(prefix="livedrop-soak-") as folder:
        account = asyncio.run(soak(seed, chosen.seconds, Path(folder), console.print, chosen.only))
    report(account, console)
    return int(bool(account.complaints))


def report(account: Account, console: Console) -> None:
    """Print what came of it."""
    table = Table(
        "fault", "times", "recovered after, median", "longest", title="From a fault's end to a sale"
    )
    for name, times in sorted(account.recoveries.items()):
        table.add_row(name, str(len(times)), f"{median(times):.1f} s", f"{max(times):.1f} s")
    console.print(table)
    answers = ", ".join(f"{name}: {count}" for name, count in account.answers.most_common())
    console.print(f"{account.rounds} rounds, {account.acknowledged} orders acknowledged. {answers}")
    for line in account.health.summary():
        console.print(line, markup=False)
    for complaint in account.complaints[:SHOWN]:
        console.print(complaint, style="red", markup=False)
    console.print(f"{len(account.complaints)} complaints.")


if __name__ == "__main__":
    sys.exit(main())
