"""`python -m tests.chaos --seconds 60`: run it, then look at fairness; exit 1 where anybody complains."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.chaos.plan import Plan, fresh
from tests.chaos.run import run
from tests.flows.fairness import measured
from tests.flows.named.broken import SCRIPTED

if TYPE_CHECKING:
    from tests.chaos.plan import Outcome

SHOWN = 40  # complaints
VIEWERS = 1000  # of the look at fairness


def main() -> int:
    """Run what the command line says."""
    words = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    words.add_argument("--seconds", type=float, default=60.0, help="of traffic")
    words.add_argument("--seed", type=int, help="of what everybody does; none: another each time")
    words.add_argument("--gateways", type=int, default=4, help="processes")
    words.add_argument("--buyers", type=int, default=32)
    words.add_argument("--fault", default="", choices=["", *SCRIPTED], help="to be found: a negative control")
    words.add_argument("--drops", type=int, default=100, help="of the look at fairness afterwards; 0: none")
    chosen = words.parse_args()
    plan = Plan(fresh(chosen.seed), chosen.seconds, chosen.gateways, chosen.buyers, fault=chosen.fault)
    console = Console()
    console.print(f"{plan}\nAgain: python -m tests.chaos --seconds {plan.seconds:g} --seed {plan.seed}")
    with tempfile.TemporaryDirectory(prefix="livedrop-chaos-") as folder:
        outcome = asyncio.run(run(plan, Path(folder), console.print))
    report(outcome, console)
    if chosen.drops:
        outcome.complain("fairness", fairness(plan.seed, chosen.drops, console))
    console.print(f"{len(outcome.complaints)} complaints.")
    return int(bool(outcome.complaints))


def report(outcome: Outcome, console: Console) -> None:
    """Print what came of the chaos."""
    table = Table("deed and answer", "times")
    for deed, times in sorted(outcome.deeds.items()):
        table.add_row(deed, str(times))
    console.print(table)
    console.print(f"{outcome.kills} gateways killed, {outcome.looks} looks at the books.")
    for complaint in outcome.complaints[:SHOWN]:
        console.print(complaint, style="red", markup=False)


def fairness(seed: int, drops: int, console: Console) -> list[str]:
    """Measure whether old connections are preferred; return a sentence where they are."""
    with tempfile.TemporaryDirectory(prefix="livedrop-fairness-") as folder:
        found = asyncio.run(measured(Path(folder), VIEWERS, drops, seed))
    console.print(str(found))
    return [] if found.fair else [str(found)]


if __name__ == "__main__":
    sys.exit(main())
