"""The records of earlier runs: a folder of them, the last fifty, and the page that is drawn from them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from loadtests.bench import record
from loadtests.bench.history_page import page
from loadtests.report.document import keep as keep_page
from loadtests.report.noise import Noise

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.bench.record import Record

MOST = 50  # records that are kept; of more, the oldest go
PAGE = "history.html"
PREFIX = "bench-"


def records_in(folder: Path) -> list[Record]:
    """Return the records in a folder, the oldest first; what cannot be read is left out and left there."""
    found = []
    for path in sorted(folder.glob(f"{PREFIX}*.json")):
        with suppress(record.RecordError):
            found.append(record.read(path))
    return sorted(found, key=lambda one: one.at)


def keep(one: Record, folder: Path) -> Path:
    """Add a record to a folder, draw its history anew, and return where that is."""
    name = one.at.replace(":", "").replace("-", "")
    record.write(one, folder / f"{PREFIX}{name}.json")
    for path in sorted(folder.glob(f"{PREFIX}*.json"))[:-MOST]:
        path.unlink(missing_ok=True)
    keep_page(page(records_in(folder)), folder / PAGE)
    return folder / PAGE


def before(one: Record, earlier: list[Record]) -> dict[str, Noise]:
    """Return what earlier runs of the same sizes on the same machine measured, by the goal's name."""
    values: dict[str, list[float]] = {}
    for other in comparable(one, earlier):
        for (_, name), goal in other.goals.items():
            if goal.measured is not None:
                values.setdefault(name, []).append(goal.measured.middle)
    return {name: Noise.of(each) for name, each in values.items()}


def comparable(one: Record, others: list[Record]) -> list[Record]:
    """Return those that were made on the same machine with the same sizes."""
    return [
        other for other in others if record.place(other) == record.place(one) and other.sizes == one.sizes
    ]
