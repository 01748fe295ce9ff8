"""The invariant gate: after a run, what each viewer remembers is held against the server's books.

`inspect` asks the server and judges; `judge` is the judgement alone, without sockets.
"""

from loadtests.gate.case import Case, Samples
from loadtests.gate.inspection import inspect, judge

__all__ = ["Case", "Samples", "inspect", "judge"]
