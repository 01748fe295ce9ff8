"""A run told: one HTML file for whoever asks what happened, and what has moved since an earlier run."""

from loadtests.report.comparison import Moved, OtherPlanError, compare, remarks, told
from loadtests.report.page import write

__all__ = ["Moved", "OtherPlanError", "compare", "remarks", "told", "write"]
