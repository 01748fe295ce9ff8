"""`python -m tests.fuzz [TARGET …] --seconds 600 --seed S`: fuzz one target after the other; exit 1 at a finding."""

from __future__ import annotations

import argparse
import resource
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.fuzz.engine import fuzz, shortened
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from tests.fuzz.engine import Session, Target

SECONDS = 600.0
SEEDS = 2**32
ROOM = 2 * 2**30  # bytes of address space that fuzzing may take beside what there is at its beginning
SHOWN = 30  # outcomes of a target
LEFT = Path("results") / "fuzz"  # where a finding's bytes are written


def main() -> int:
    """Fuzz what the command line says."""
    words = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    words.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; none: all")
    words.add_argument("--seconds", type=float, default=SECONDS, help="for each target")
    words.add_argument("--seed", type=int, help="none: another each time")
    words.add_argument("--input", type=Path, help="look at the bytes of this file, and at nothing else")
    chosen = words.parse_args()
    names = chosen.targets or list(TARGETS)
    if unknown := set(names) - TARGETS.keys():
        words.error(f"no such target: {', '.join(sorted(unknown))}")
    seed = secrets.randbelow(SEEDS) if chosen.seed is None else chosen.seed
    console = Console(width=None if sys.stdout.isatty() else 120)
    _bound_memory()
    found = 0
    for name in names:
        with (
            tempfile.TemporaryDirectory(prefix="livedrop-fuzz-") as folder,
            TARGETS[name](Path(folder)) as target,
        ):
            if chosen.input:
                console.print(target.look(chosen.input.read_bytes()), markup=False)
                continue
            until = time.monotonic() + chosen.seconds
            session = fuzz(target, seed, lambda _inputs, until=until: time.monotonic() < until)  # type: ignore[misc]
            _report(console, name, seed, target, session)
            found += session.finding is not None
    return int(bool(found))


def _bound_memory() -> None:
    """Let what takes far more memory than it should fail, and not the machine."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)


def _report(console: Console, name: str, seed: int, target: Target, session: Session) -> None:
    table = Table(f"{name}: what came of {session.inputs} inputs", "times")
    for outcome, times in session.outcomes.most_common(SHOWN):
        table.add_row(outcome[:100], str(times))
    console.print(table, markup=False)
    console.print(
        f"{len(session.outcomes)} different outcomes; again: python -m tests.fuzz {name} --seed {seed}"
    )
    if session.finding is None:
        return
    short = shortened(target, session.finding)
    console.print(str(short), style="red", markup=False, highlight=False)
    if isinstance(short.given, bytes):
        LEFT.mkdir(parents=True, exist_ok=True)
        path = LEFT / f"{name}-{seed}-{short.number}.bin"
        path.write_bytes(short.given)
        console.print(f"The input alone: python -m tests.fuzz {name} --input {path}")


if __name__ == "__main__":
    sys.exit(main())
