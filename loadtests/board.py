"""What a run looks like on a terminal while it goes: how far it is, a live table, and lines that scroll above it.

Where the output is no terminal, plain lines take its place.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, RenderableType

    from loadtests import progress

    Look = Callable[[progress.Progress], None]

NOTHING = "·"  # where there is no number yet
LEVELS = "▁▂▃▄▅▆▇█"
REMEMBERED = 60  # looks, for the small curve


class Board:
    """The live table, made anew at each look."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.fields[left]}")
        )
        self._task = self._bar.add_task("", total=1.0, left="")
        self._taken: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)

    def look(self, now: progress.Progress) -> None:
        """Show how it goes."""
        left = max(0.0, now.plan.seconds - now.seconds)
        self._bar.update(
            self._task,
            completed=min(1.0, now.seconds / now.plan.seconds),
            description=_phase(now),
            left=f"{left:.0f} s left" if left else "ending",
        )
        stock = now.stock
        self._taken.append((now.seconds, stock.held + stock.sold if stock else 0))
        self._live.update(self._picture(now))

    def _picture(self, now: progress.Progress) -> RenderableType:
        stock, rates = now.stock, _rates(self._taken)
        rows = [
            ("viewers", f"{now.viewers:,}"),
            ("taken/s", f"{rates[-1] if rates else 0:,.0f}"),
            ("reserve p50", _ms(now.reserve.quantile(0.5))),
            ("reserve p99", _ms(now.reserve.quantile(0.99))),
            ("sold", f"{stock.sold:,}" if stock else NOTHING),
            ("held", f"{stock.held:,}" if stock else NOTHING),
            ("available", f"{stock.available:,}" if stock else NOTHING),
            ("refused", f"{now.refusals:,}"),
            ("failed", f"[bold red]{now.failures:,}[/]" if now.failures else "0"),
        ]
        table = Table(expand=True, box=None, pad_edge=False)
        for name, _ in rows:
            table.add_column(name, justify="right", style="bold", header_style="dim")
        table.add_row(*(value for _, value in rows))
        curve = Text.assemble(("taken/s  ", "dim"), (sparkline(rates), "cyan"))
        title = f"{now.plan.shape} · {now.plan.viewers:,} viewers · seed {now.plan.seed}"
        return Panel(Group(self._bar, table, curve), title=title, border_style="cyan")


@contextmanager
def board(console: Console) -> Iterator[tuple[Callable[[str], None], Look | None]]:
    """Give `say`, and `look` where there is a terminal to look at."""

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    if not console.is_terminal:
        yield say, None
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield say, Board(live).look


def sparkline(values: list[float]) -> str:
    """Return numbers as a small curve; the greatest has the full height."""
    most = max(values, default=0.0)
    return "".join(LEVELS[round((len(LEVELS) - 1) * value / most)] if most else LEVELS[0] for value in values)


def _rates(taken: deque[tuple[float, int]]) -> list[float]:
    """Return how many units were taken per second between looks; units that came back do not count against it."""
    return [
        max(0, after - before) / (later - earlier)
        for (earlier, before), (later, after) in pairwise(taken)
        if later > earlier
    ]


def _phase(now: progress.Progress) -> str:
    if now.seconds < now.plan.arrival_seconds:
        return "arriving"
    return "selling" if now.seconds < now.plan.seconds else "leaving"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds else NOTHING
