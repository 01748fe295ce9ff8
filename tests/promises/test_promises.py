"""Every promise has tests that there are, and docs/faults.md says so."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.house.tree import ROOT
from tests.promises import Promise, of
from tests.promises.outcomes import Outcomes
from tests.promises.page import NOT_RUN, PAGE, SECTIONS, outcomes, promises, written

if TYPE_CHECKING:
    from collections.abc import Iterator

SKIPS = {"skip", "skipif", "xfail"}


@cache
def collected(path: str) -> frozenset[str]:
    """Return the names of the tests that pytest finds in a file below `tests/` and does not skip."""
    file = ROOT / "tests" / path
    if not file.name.startswith("test_") or not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(each.name for each in functions if not _skipped(each)) | {
        target.id for target in _assigned(tree) if target.id.startswith("test_")
    }


def _skipped(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    marks = [ast.unparse(each).partition("(")[0].rpartition(".")[2] for each in function.decorator_list]
    return bool(SKIPS.intersection(marks))


def _assigned(tree: ast.Module) -> Iterator[ast.Name]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from (target for target in node.targets if isinstance(target, ast.Name))


def missing(promise: Promise) -> list[str]:
    """Return a promise's tests that there are not."""
    parted = [test.partition("::") for test in promise.all_tests]
    return [f"{path}::{name}" for path, _, name in parted if name not in collected(path)]


@pytest.mark.parametrize("promise", promises(), ids=lambda promise: promise.name)
def test_a_promise_has_its_tests(promise: Promise) -> None:
    """Each test that a line names is collected and not skipped; each line has one at least."""
    assert promise.tests
    assert missing(promise) == []
    assert not {"|", "\n"}.intersection(promise.wrong + promise.must)


def test_a_missing_test_is_found() -> None:
    """Negative control: a name, or a file, that is not there."""
    there = of("flows/test_races.py", "last_unit_two_buyers_one_wins")
    assert missing(Promise("a", "b", "c", there)) == []
    assert missing(Promise("a", "b", "c", there, of("flows/test_races.py", "nothing"))) != []
    assert missing(Promise("a", "b", "c", of("flows/test_nothing.py", "nothing"))) != []


def test_names_are_given_once() -> None:
    """A promise is found by its name."""
    assert [name for name, times in Counter(each.name for each in promises()).items() if times > 1] == []


def test_the_page_is_current() -> None:
    """docs/faults.md has these lines; if not: python -m tests.promises. No line of it failed the last time."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(outcomes(page))
    assert {word.partition(" ")[0] for word in outcomes(page).values()} <= {
        "passed",
        NOT_RUN.partition(" ")[0],
    }


def test_a_changed_page_is_found() -> None:
    """Negative control: a line that says something else, or is gone, is not what would be written."""
    page = written({})
    for other in (page.replace("one wins", "both win"), page.replace(page.splitlines()[12] + "\n", "")):
        assert other != page
        assert written(outcomes(other)) != other


class Report:
    """A report as pytest gives it."""

    def __init__(self, test: str, outcome: str, when: str = "call") -> None:
        self.nodeid, self.outcome, self.when = f"tests/{test}", outcome, when
        self.passed = outcome == "passed"


def test_the_worst_outcome_counts() -> None:
    """All passed: passed. One failed, also at its end: failed. Some did not run: as it was before."""
    first, second = SECTIONS["Sales that go wrong"][:2]
    run = Outcomes()
    for test in first.all_tests:
        run.pytest_runtest_logreport(Report(f"{test}[a]", "passed"))  # type: ignore[arg-type]  # stands in
        run.pytest_runtest_logreport(Report(test, "passed", "setup"))  # type: ignore[arg-type]  # likewise
    came = run.came_out({second.name: "as it was"})
    assert came[first.name].startswith("passed ")
    assert came[second.name] == "as it was"
    run.pytest_runtest_logreport(Report(first.tests[0], "failed", "teardown"))  # type: ignore[arg-type]  # likewise
    assert run.came_out({})[first.name].startswith("failed ")
