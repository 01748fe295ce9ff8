"""The pure parts of the viewer's page under Node's test runner: one test here for each there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.web.node import CLAIM, node

HERE = Path(__file__).parent
REPORTER = HERE.parent / "web" / "reporter.js"
SECONDS = 100.0

Claim = tuple[str, str]


def claims() -> list[Claim]:
    """Return each file's claims as they stand there."""
    return [
        (path.name, json.loads(f'"{text}"'))
        for path in sorted(HERE.glob("*.test.js"))
        for text in CLAIM.findall(path.read_text(encoding="utf-8"))
    ]


@pytest.fixture(scope="module")
def told() -> dict[Claim, str | None]:
    """Run all of them once; return what was wrong with each."""
    paths = [str(path) for path in sorted(HERE.glob("*.test.js"))]
    done = subprocess.run(
        [node(), "--test", f"--test-reporter={REPORTER.as_uri()}", *paths],
        env=os.environ | {"NODE_OPTIONS": ""},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, f"no test has run: {done.stdout}{done.stderr}"
    return {(Path(each["file"]).name, each["claim"]): each["wrong"] for each in lines}


@pytest.mark.parametrize("claim", claims(), ids=" ".join)
def test_the_page_keeps_its_word(told: dict[Claim, str | None], claim: Claim) -> None:
    """Each claim holds."""
    assert claim in told, f"this test has not run; these have: {sorted(told)}"
    assert told[claim] is None, told[claim]


def test_no_claim_is_overlooked(told: dict[Claim, str | None]) -> None:
    """What Node's runner has run is what is asked for one by one above."""
    assert set(told) == set(claims())
