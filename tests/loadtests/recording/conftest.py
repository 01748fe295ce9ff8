"""One live show per module of these tests, audited when the module is done, and a stage on it per test."""

from tests.shared_show import show, stage

__all__ = ["show", "stage"]
