"""What the papers tell a reader to type exists, and what they point at is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.main import add_commands_of_others, cli
from tests.house.papers import Command, commands, commands_of, links, papers
from tests.house.tree import ROOT

README = ROOT / "README.md"
LIVEDROP = Path(sys.executable).with_name("livedrop")
TASKS = [
    "demo",
    "test",
    "lint",
    "load",
    "bench",
    "bench-gateway",
    "bench-inventory",
    "bench-checkout",
    "soak",
    "rolling",
    "stories",
    "fuzz",
    "attack",
    "fault-table",
    "sbom",
    "multitude",
    "conformance",
    "contract",
    "test-outside",
    "lock",
    "clean",
]


def dry_run(*words: str) -> subprocess.CompletedProcess[str]:
    """Let make tell what it would do, without doing it."""
    command = ["make", "--dry-run", "--no-print-directory", *words]
    env = {"PATH": os.environ["PATH"]}  # without what a make around the tests hands down
    return subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("command", commands_of("make"), ids=str)
def test_a_make_command_exists(command: Command) -> None:
    """Each `make …` of the papers is a target of the Makefile."""
    result = dry_run(*command.words[1:])
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("task", TASKS)
def test_a_task_ends_with_a_line_that_says_what_it_did(task: str) -> None:
    """The last thing that each task does is to print a sentence."""
    last = dry_run(task).stdout.rstrip().splitlines()[-1]
    assert re.fullmatch(r"""printf '%s\\n' ".+\." ?""", last), last


def test_a_missing_target_is_found() -> None:
    """A target that does not exist makes the dry run fail: the check can fail."""
    assert dry_run("no-such-task").returncode == 2


@pytest.mark.parametrize("command", commands_of("livedrop"), ids=str)
def test_a_livedrop_command_exists(command: Command) -> None:
    """Each `livedrop …` of the papers is a command, and each of its options is one that its help names."""
    plain = [word for word in command.words[1:] if re.fullmatch(r"[a-z]+(-[a-z]+)*", word)]
    told = livedrop_help(*plain[: 2 if plain[:1] == ["catalog"] else 1])
    for option in (word.split("=")[0] for word in command.words if word.startswith("--")):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", told), f"{option} is not in the help:\n{told}"


@cache
def livedrop_help(*names: str) -> str:
    """Return the help of a command, rendered wide enough that no option is cut."""
    if not any(each.name == "load" for each in cli.registered_commands):
        add_commands_of_others()
    shown = CliRunner().invoke(
        cli, [*names, "--help"], env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
    )
    assert shown.exit_code == 0, f"livedrop {' '.join(names)} --help\n{shown.output}"
    return shown.output


def test_the_installed_command_has_them() -> None:
    """`livedrop` on the path is that very program, with the commands of the load tests among its own."""
    told = subprocess.run([LIVEDROP, "--help"], check=True, capture_output=True, text=True, timeout=60).stdout
    assert {"serve", "load"} <= set(told.split())


def test_the_readme_has_the_two_commands() -> None:
    """The README tells how to see it and how to test it."""
    found = {command.words for command in commands(README)}
    assert {("make", "demo"), ("make", "test")} <= found


def test_continuous_integration_runs_what_the_readme_says() -> None:
    """`.ci/run` goes to the project's folder and runs the README's test command, nothing else."""
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    steps = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert steps == ["exec make test </dev/null"]


@pytest.mark.parametrize("paper", papers(), ids=lambda paper: paper.name)
def test_links_lead_somewhere(paper: Path) -> None:
    """Every link of a paper to a file of the project leads to a file that is there."""
    missing = [
        link for link in links(paper.read_text(encoding="utf-8")) if not (paper.parent / link).exists()
    ]
    assert missing == []
