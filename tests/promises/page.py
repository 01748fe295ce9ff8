"""docs/faults.md: every promise with its tests and how they came out the last time that somebody wrote it down."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.house.tree import ROOT
from tests.promises.faults import FAULTS
from tests.promises.sales import SALES
from tests.promises.strangers import STRANGERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.promises import Promise

PAGE = ROOT / "docs" / "faults.md"
SECTIONS: dict[str, tuple[Promise, ...]] = {
    "Sales that go wrong": SALES,
    "Machines and networks that fail": FAULTS,
    "What strangers send": STRANGERS,
}
NOT_RUN = "not run"
HEAD = """\
# What goes wrong, what must happen, and the tests that prove it

Each line is a promise. Its tests run with the suite; where chance or time could let a broken product pass, a negative
control takes the product apart and must be found. The page is made of `tests/promises`:
`python -m tests.promises` writes it anew, and `pytest --fault-table` also writes into the last column how the tests
came out. What strangers send can be tried on a server of yours, whose secret is in `LIVEDROP_SECRET`:
`python -m tests.attacks --host URL`.
"""
COLUMNS = "| promise | what goes wrong | what must happen | tests | last run |\n|---|---|---|---|---|\n"
_ROW = re.compile(r"^\| `(?P<name>\w+)` \|.*\| (?P<outcome>[^|]*) \|$", re.MULTILINE)


def promises() -> list[Promise]:
    """Return all of them."""
    return [promise for section in SECTIONS.values() for promise in section]


def outcomes(page: str) -> dict[str, str]:
    """Return what a page says of the last run, by promise."""
    return {row["name"]: row["outcome"] for row in _ROW.finditer(page)}


def written(came_out: Mapping[str, str]) -> str:
    """Return the page, with these words in the last column."""
    parts = [HEAD]
    for title, section in SECTIONS.items():
        rows = "".join(_row(promise, came_out.get(promise.name, NOT_RUN)) for promise in section)
        parts.append(f"## {title}\n\n{COLUMNS}{rows}")
    return "\n".join(parts)


def _row(promise: Promise, outcome: str) -> str:
    tests = "<br>".join(map(_shown, promise.tests))
    controls = "".join(f"<br>control: {_shown(each)}" for each in promise.controls)
    return f"| `{promise.name}` | {promise.wrong} | {promise.must} | {tests}{controls} | {outcome} |\n"


def _shown(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[{name}](../tests/{path})"
