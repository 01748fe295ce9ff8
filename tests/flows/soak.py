"""`python -m tests.flows.soak --examples 10000`: let the machine loose; exit 1 where an example fails."""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import structlog
from hypothesis import settings
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tests.flows.breakage import BROKEN, broken_scripts
from tests.flows.profiles import BRIEFLY, UNTIL_THE_FIRST, WORLDS, play, world_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHARES = {"exact": 5, "absent": 2, "gate": 2, "cluster": 1}  # of the examples, in tenths
ROUND = 250  # examples that one seed makes
SEEDS = 2**32


def main() -> int:
    """Run what the command line says."""
    words = argparse.ArgumentParser(prog="python -m tests.flows.soak", description=__doc__)
    words.add_argument("--examples", type=int, default=10_000, help="in all worlds together")
    words.add_argument(
        "--only", choices=list(WORLDS), nargs="*", default=list(WORLDS), help="these worlds alone"
    )
    words.add_argument("--seed", type=int, help="of the first round; none: another each time")
    chosen = words.parse_args()
    console = Console()
    if not console.is_terminal:
        console.width = 120  # a log has no width of its own
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    first = secrets.randbelow(SEEDS) if chosen.seed is None else chosen.seed
    columns = (TextColumn("{task.description:8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    began = time.monotonic()
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        for name, examples in shared(chosen.examples, chosen.only).items():
            failure = soak(name, examples, first, bar(progress, name, examples))
            if failure:
                progress.stop()
                console.print(failure, markup=False, highlight=False)
                return 1
            console.print(
                f"{name}: {examples} examples, {time.monotonic() - began:.0f} s since the beginning."
            )
    for broken in BROKEN:
        if not found(broken):
            console.print(f"The machine did not find it: {broken}.")
            return 1
    console.print(f"Each of {len(BROKEN)} scripts with a broken line was found.")
    console.print(f"All {chosen.examples} examples came out as the model has it; the first seed was {first}.")
    return 0


def found(broken: str) -> bool:
    """Whether the machine finds a script with a line broken; the control of everything above."""
    with tempfile.TemporaryDirectory(prefix="livedrop-broken-") as folder:
        copied = broken_scripts(Path(folder), broken)
        with (
            patch("server.store.scripts.lua_folder", return_value=copied),
            world_of(BROKEN[broken][-1], Path(folder) / "data") as here,
        ):
            try:
                play(here, UNTIL_THE_FIRST)
            except AssertionError:
                return True
    return False


def bar(progress: Progress, name: str, examples: int) -> Callable[[int], None]:
    """Return what shows how many examples a world has had."""
    task = progress.add_task(name, total=examples)
    return lambda done: progress.update(task, completed=done)


def shared(examples: int, names: list[str]) -> dict[str, int]:
    """Return how many examples each world gets: one at least."""
    whole = sum(SHARES[name] for name in names)
    return {name: max(1, examples * SHARES[name] // whole) for name in names}


def soak(name: str, examples: int, first: int, done: Callable[[int], None]) -> str:
    """Let so many examples happen in a world; return what is to be said of one that fails, or nothing."""
    before = 0
    for chance, size in rounds(examples, first):
        with (
            tempfile.TemporaryDirectory(prefix="livedrop-soak-") as folder,
            world_of(name, Path(folder)) as here,
        ):
            played = Counted(before, before + size, done)
            try:
                play(here, settings(BRIEFLY, max_examples=size), played, chance)
            except Exception as error:  # noqa: BLE001  whatever it is, it is what the soak is for
                return told(error, name, chance, size)
        before += size
        done(before)
    return ""


def rounds(examples: int, first: int) -> Iterator[tuple[int, int]]:
    """Give the seed and the examples of each round."""
    for number, before in enumerate(range(0, examples, ROUND)):
        yield (first + number) % SEEDS, min(ROUND, examples - before)


class Counted:
    """Counts examples; those that are tried while a failure becomes short do not go on for ever."""

    def __init__(self, before: int, most: int, done: Callable[[int], None]) -> None:
        self._count = before
        self._most = most
        self._done = done

    def __call__(self) -> None:
        self._count += 1
        self._done(min(self._count, self._most))


def told(error: Exception, name: str, chance: int, size: int) -> str:
    """Return what differed, the steps to it, and how to see it again."""
    again = f"python -m tests.flows.soak --only {name} --seed {chance} --examples {size}"
    return "\n\n".join(
        [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ()), f"Again: {again}"]
    )


if __name__ == "__main__":
    sys.exit(main())
