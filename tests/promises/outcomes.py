"""`pytest --fault-table`: write into docs/faults.md how the tests of each promise came out in this run."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.promises.page import PAGE, outcomes, promises, written

if TYPE_CHECKING:
    import pytest

OPTION = "--fault-table"
PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"


class Outcomes:
    """Gathers the reports of a run, of its workers too. What did not run keeps the word of the run before."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = defaultdict(set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test's outcome; that of its making and its end only where they went wrong."""
        if report.when == "call" or not report.passed:
            self._seen[report.nodeid.partition("[")[0].removeprefix("tests/")].add(report.outcome)

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        before = outcomes(PAGE.read_text(encoding="utf-8"))
        PAGE.write_text(written(self.came_out(before)), encoding="utf-8")

    def came_out(self, before: dict[str, str]) -> dict[str, str]:
        """Return a word on each promise: the worst outcome of its tests, and the day."""
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        words = dict(before)
        for promise in promises():
            seen = set().union(*(self._seen.get(test, set()) for test in promise.all_tests))
            whole = all(test in self._seen for test in promise.all_tests)
            worst = next((word for word in (FAILED, SKIPPED, PASSED) if word in seen), "")
            if worst == FAILED or whole:
                words[promise.name] = f"{worst} {today}"
        return words


def add_option(parser: pytest.Parser) -> None:
    """Know the option."""
    parser.addoption(
        OPTION, action="store_true", help="write docs/faults.md anew, with the outcomes of this run"
    )


def gather(config: pytest.Config) -> None:
    """Gather outcomes where the option is given, in the process that hears of all of them."""
    if config.getoption(OPTION) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcomes())
