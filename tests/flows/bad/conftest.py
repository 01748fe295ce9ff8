"""One live show per module of these tests."""

from tests.shared_show import show, stage

__all__ = ["show", "stage"]
