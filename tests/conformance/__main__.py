"""`python -m tests.conformance`: run every case of the suite, or the groups whose names contain the given words."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.conformance.cases import GROUPS, echo_server, play

if TYPE_CHECKING:
    from tests.conformance.cases import Verdict

GROUP_SECONDS = 1200

console = Console()
if not console.is_terminal:
    console.width = 120  # a log has no width of its own


async def run(groups: list[str]) -> list[Verdict]:
    """Run the groups one after the other, and print how each has ended."""
    found: list[Verdict] = []
    async with echo_server() as address:
        for group in groups:
            with console.status(f"{group} ({', '.join(GROUPS[group])})"):
                verdicts = await play(address, GROUPS[group], GROUP_SECONDS)
            console.print(summary(group, verdicts))
            found += verdicts
    return found


def summary(group: str, verdicts: list[Verdict]) -> str:
    """Return one line about a group."""
    counts = Counter(verdict.behavior for verdict in verdicts)
    kinds = ", ".join(f"{count} {behavior}" for behavior, count in counts.most_common())
    seconds = sum(verdict.milliseconds for verdict in verdicts) / 1000
    return f"{group:27} {len(verdicts):4} cases: {kinds}; {seconds:.0f} s together"


def failures(verdicts: list[Verdict]) -> Table:
    """Return a table of the cases that did not end as they must."""
    table = Table("case", "messages", "close", "reason")
    for verdict in verdicts:
        table.add_row(verdict.case, verdict.behavior, verdict.close, verdict.reason)
    return table


def main() -> None:
    """Run, report, and exit 1 if a case did not end as it must."""
    words = sys.argv[1:]
    groups = [group for group in GROUPS if not words or any(word in group for word in words)]
    if not groups:
        sys.exit(f"No group is named like that; there are: {', '.join(GROUPS)}.")
    verdicts = asyncio.run(run(groups))
    bad = [verdict for verdict in verdicts if not verdict.good]
    if bad:
        console.print(failures(bad))
        sys.exit(f"{len(bad)} of {len(verdicts)} cases did not end as they must.")
    console.print(f"{len(verdicts)} cases ended as they must.")


if __name__ == "__main__":
    main()
