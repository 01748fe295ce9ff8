"""The commands as people type them: what they print, what they leave, how they end. The crowd is a stand-in."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from loadtests import cli, crowd, evening, family, perform
from loadtests.__main__ import app
from loadtests.run import Finding, Run
from loadtests.shapes import SHAPES
from loadtests.stagehand import ROOT, Stage
from tests.loadtests.doorstep import SHOW, doorstep
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typer.testing import Result

livedrop: Any = importlib.import_module("server.cli.main")  # its package has a function of that name
FOUND = Finding(kind="oversell", sentence="11 of 10 units were held at once.", evidence=["rs_1 [a]", "rs_2"])
FLASH = ("load", "flash", "--viewers", "40", "--drop", "10")


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Leave the signals of this process as they were."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no line of the output be broken."""
    monkeypatch.setattr(cli.console, "width", 400)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, list[Finding]], None]]:
    """Give what says how the crowd ends and what the gate finds; the server of our own is a door alone."""

    @contextmanager
    def own_server(_workers: int) -> Iterator[Stage]:
        yield Stage(door.url, "token", os.environ, ROOT, pid=os.getpid())

    def play(how: str, found: list[Finding]) -> None:
        def command(_stage: Stage, _show: str, folder: Path, _processes: int) -> list[str]:
            return [sys.executable, "-m", "tests.loadtests.stand_in", str(folder), how]

        def inspect(*_: Any) -> list[Finding]:
            return found

        monkeypatch.setattr(crowd, "_command", command)
        monkeypatch.setattr(perform, "inspect", inspect)

    monkeypatch.setattr(evening, "own_server", own_server)
    monkeypatch.setattr(evening, "live_show", lambda _host: SHOW)
    drop = {"id": "dr_x_1", "available": 8, "held": 0, "sold": 2, "quantity": 10}
    with doorstep([drop]) as door:
        yield play


def typed(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_a_run_that_passes(played: Callable[[str, list[Finding]], None], tmp_path: Path) -> None:
    """Exit 0; the tables stand on the terminal, run and report in the folder; a second one compares with the first."""
    played("whole", [])
    done = typed(*FLASH, "--out", str(tmp_path / "a"))
    assert done.exit_code == 0, done.output
    for words in (
        SHAPES["flash"].sentence,
        "40 viewers come to",
        "reserve",
        "skew",
        "What it cost",
        "Passed",
    ):
        assert words in done.output, done.output
    run = msgspec.json.decode((tmp_path / "a" / "run.json").read_bytes(), type=Run)
    assert run.plan.shape == "flash"
    assert "<html" in (tmp_path / "a" / "report.html").read_text()
    page = tmp_path / "other.html"
    kept = ("--out", str(tmp_path / "b"), "--report", str(page), "--against", str(tmp_path / "a/run.json"))
    again = typed(*FLASH, *kept)
    assert again.exit_code == 0, again.output
    assert "Against earlier runs" in again.output
    assert page.exists()


def test_a_broken_promise_fails_the_run(played: Callable[[str, list[Finding]], None], tmp_path: Path) -> None:
    """Exit 1, with the sentence and every line of its evidence, as they are: brackets are no markup."""
    played("whole", [FOUND])
    done = typed(*FLASH, "--out", str(tmp_path))
    assert done.exit_code == 1, done.output
    assert f"✗ oversell: {FOUND.sentence}\n    rs_1 [a]\n    rs_2\n" in done.output
    assert "Failed: 1 findings (oversell)." in done.output
    assert (tmp_path / "run.json").exists()


def test_a_crowd_that_is_killed_is_no_result(
    played: Callable[[str, list[Finding]], None], tmp_path: Path
) -> None:
    """Exit 2: who killed Locust learns that, and not that the server has passed or failed."""
    played("lasting", [])

    def kill() -> None:
        wait_until((tmp_path / "began").exists, "the crowd has begun")
        commands = {pid: Path(f"/proc/{pid}/cmdline") for pid in family.descendants(os.getpid())}
        (pid,) = [pid for pid, command in commands.items() if b"stand_in" in command.read_bytes()]
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    done = typed(*FLASH, "--out", str(tmp_path))
    killer.join()
    assert done.exit_code == 2, done.output
    assert "The load test could not run" in done.output
    assert "Locust was killed by SIGKILL" in done.output
    assert "Passed" not in done.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("load", "flush"), "There is no shape 'flush'"),
        (("load", "flash", "--seconds", "3"), "takes at least 11 s"),
        (("load", "flash", "--host", "http://127.0.0.1:1"), "livedrop token --role host"),
        (("load", "flash", "--against", "/nowhere/run.json"), "/nowhere/run.json is no run of a load test"),
        (("load", "flash", "--viewers", "5000000"), "ulimit -Hn"),
        (("replay", __file__), "is no recording of a show"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    words: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2 before anything is started, with what to do about it."""
    monkeypatch.delenv("LOADTEST_HOST_TOKEN", raising=False)
    done = typed(*words)
    assert done.exit_code == 2, done.output
    assert sentence in re.sub(r"[\s│]+", " ", done.output), done.output


def test_a_server_that_cannot_be_reached_says_so() -> None:
    """Exit 2 with the address and what to look at."""
    done = typed("load", "flash", "--host", "http://127.0.0.1:1", "--host-token", "t")
    assert done.exit_code == 2, done.output
    assert "http://127.0.0.1:1 cannot be reached" in done.output
    assert "Is it running" in done.output


def test_the_shapes_are_listed_with_what_happens() -> None:
    """`load --list` shows each name beside its sentence, and nothing is started."""
    done = typed("load", "--list")
    assert done.exit_code == 0
    for name, shape in SHAPES.items():
        assert re.search(rf"{name} +│ {re.escape(shape.sentence)}", done.output)


def test_the_commands_are_light() -> None:
    """Neither Locust nor what one command needs is imported to list them all."""
    program = (
        "import sys, loadtests.cli; "
        "print(*{'locust', 'gevent', 'httpx', 'loadtests.gate', 'loadtests.report'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


class Offered:
    """An entry point of another package."""

    name = "load"

    def __init__(self, missing: str = "") -> None:
        self.missing = missing
        self.loaded = 0

    def load(self) -> Callable[..., None]:
        self.loaded += 1
        if self.missing:
            raise ModuleNotFoundError(f"No module named {self.missing!r}", name=self.missing)
        return lambda: typer.echo("played")


def livedrop_typed(monkeypatch: pytest.MonkeyPatch, offered: Offered, *words: str) -> int:
    """Run `livedrop`, which has `serve` alone, where another package offers a command; return the exit code."""
    own = typer.Typer(add_completion=False)
    own.command("serve")(lambda: typer.echo("served"))
    own.callback()(lambda: None)
    monkeypatch.setattr(livedrop, "cli", own)
    monkeypatch.setattr(livedrop, "entry_points", lambda **_: [offered])
    monkeypatch.setattr(sys, "argv", ["livedrop", *words])
    with pytest.raises(SystemExit) as ended:
        livedrop.main()
    return int(ended.value.code or 0)


def test_commands_of_other_packages_are_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an entry point offers is a command like any other; for a command of our own nobody looks for others."""
    offered = Offered()
    assert livedrop_typed(monkeypatch, offered, "load") == 0
    assert livedrop_typed(monkeypatch, offered, "serve") == 0
    assert capsys.readouterr().out == "played\nserved\n"
    assert offered.loaded == 1


def test_a_command_whose_packages_are_missing_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command is there, and says in a sentence what to install."""
    assert livedrop_typed(monkeypatch, Offered("locust"), "load") == 1
    assert capsys.readouterr().err == (
        'livedrop: `livedrop load` needs locust, which is not installed: pip install "livedrop[load]"\n'
    )
