"""docs/load-testing.md, followed to the letter, but for the port, the installation and the size of the crowd."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from loadtests.run import Run
from loadtests.shapes import SHAPES
from loadtests.stagehand import clean_environment
from tests.house.tree import ROOT
from tests.server import free_port

PAPER = ROOT / "docs" / "load-testing.md"
SECONDS = 240.0


def typed(port: int) -> str:
    """Return what the paper tells to type, block after block, with another port and a smaller crowd."""
    blocks = re.findall(
        r"^```sh\n(.*?)^```", PAPER.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return "set -euo pipefail\n" + "".join(blocks).replace("8123", str(port)).replace(
        "--viewers 200", "--viewers 50"
    )


@pytest.mark.timeout(SECONDS + 30)
def test_who_types_it_sees_what_it_says(tmp_path: Path) -> None:
    """Every command ends well, every run passes, and the files that it names are there."""
    (tmp_path / "loadtests").symlink_to(ROOT / "loadtests")
    (tmp_path / "results").mkdir()
    programs = Path(sys.executable).parent
    environment = {**clean_environment(), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(
        ["bash", "-c", typed(free_port())],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            said, _ = shell.communicate(timeout=SECONDS)
        finally:
            if shell.returncode != 0:
                os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, said
    for run in ("first", "second", "replay", "there"):
        folder = tmp_path / "results" / run
        assert msgspec.json.decode((folder / "run.json").read_bytes(), type=Run).passed
        assert (folder / "report.html").stat().st_size > 0
        rows = (folder / "figures_stats.csv").read_text().splitlines()
        assert {"reserve", "hello", "drop to viewer"} <= {row.split(",")[1] for row in rows}
    assert list((tmp_path / "results" / "locust").glob("accounts-*.ndjson"))


def test_the_shapes_are_those_that_there_are() -> None:
    """The table has each shape, and no other."""
    told = re.findall(r"^\| (\w+) \| [a-z]", PAPER.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [name for name in told if name != "shape"] == list(SHAPES)
