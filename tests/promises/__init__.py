"""What is promised where something goes wrong, each line with the tests that prove it; docs/faults.md is made of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Promise:
    """One line: a name, what goes wrong, what must happen, the tests that prove it, and their negative controls.

    Tests are ids as pytest has them, below `tests/` and without parameters.
    """

    name: str
    wrong: str
    must: str
    tests: tuple[str, ...]
    controls: tuple[str, ...] = ()

    @property
    def all_tests(self) -> tuple[str, ...]:
        """The tests and the controls."""
        return self.tests + self.controls


def of(path: str, *names: str) -> tuple[str, ...]:
    """Return the ids of tests of one file below `tests/`; names are without `test_`."""
    return tuple(f"{path}::test_{name}" for name in names)
