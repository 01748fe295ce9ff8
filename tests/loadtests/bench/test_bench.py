"""The benchmarks for real, as small as they can be: their parts run."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from loadtests.bench import postgres, record
from loadtests.bench.__main__ import app

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TINY = ("--quick", "--viewers", "10", "--crowd", "20", "--seconds", "0.1")
RUN = ["stock", "batches", "latency", "growth", "buying", "fanout", "returning", "paying", "hanging"]
GOALS = [
    "vs our script for one each",
    "vs a leaner script for one each",
    "vs plain unpipelined DECR",
    "with ten times the viewers",
    "with ten times the drops",
    "with ten times the holds",
    "memory of Redis per hold",
    "vs the naive server",
    "vs raw loop",
    "vs websockets.broadcast",
    "vs naive",
    "handshake and hello",
    "got twice",
    "checkouts/s on SQLite vs each write alone",
    "p99 of a reservation beside 20 hanging checkouts",
]


def test_the_benchmarks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest run goes through its parts, prints every goal, keeps every figure, and ends with 0."""
    monkeypatch.setattr(postgres, "UNITS_PER_SECOND", 10_000)  # of a short block
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    figures, picture = tmp_path / "figures.json", tmp_path / "latency.svg"
    asked = [word for part in RUN for word in ("--only", part)]
    words = [*asked, *TINY, "--json", str(figures), "--plot", str(picture), "--history", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    told = " ".join(done.output.split())
    for goal in GOALS:
        assert goal in told, done.output
    parts = {part.part: part for part in record.read(figures).parts}
    assert list(parts) == RUN
    assert all(part.figures for part in parts.values())
    assert picture.read_text().startswith("<svg")
    assert sorted(tmp_path.iterdir()) == [figures, picture]  # sizes of its own have no history
