"""A run from plan to run.json, with a stand-in for Locust and a door without a server; and deploys on small servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from loadtests import crowd, deploy, family, perform
from loadtests.deploy import Deploys
from loadtests.merge import began_in
from loadtests.plan import Plan, Sale
from loadtests.run import Finding, Run
from loadtests.shapes import shape
from loadtests.stagehand import ROOT, Stage, StageError, allow_files, files_allow, free_port, live_show
from tests.loadtests.doorstep import SHOW, doorstep
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.progress import Progress

PLAN = Plan(
    shape="flash",
    seed=1,
    viewers=40,
    seconds=2.0,
    arrival_seconds=1.0,
    sales=(Sale(at=1, seconds=1, quantity=10, hold_seconds=0),),
)
DROP = {"id": "dr_x_1", "available": 8, "held": 0, "sold": 2, "quantity": 10}
FOUND = Finding(kind="oversell", sentence="11 of 10 units were held at once.", evidence=["rs_1", "rs_2"])


@pytest.fixture
def stage() -> Iterator[Stage]:
    with doorstep([DROP]) as door:
        yield Stage(door.url, "token", os.environ, ROOT)


def stood_in(monkeypatch: pytest.MonkeyPatch, how: str, found: list[Finding] | None = None) -> None:
    """Let a stand-in play the crowd, and a gate speak that has found this."""

    def command(_stage: Stage, _show: str, folder: Path, _processes: int) -> list[str]:
        return [sys.executable, "-m", "tests.loadtests.stand_in", str(folder), how]

    def inspect(_stage: Stage, _host: Any, show: str, accounts: Any, run: Run) -> list[Finding]:
        assert show == SHOW
        assert [account.viewer for account in accounts] == ["a"]
        assert run.orders == 1
        return found or []

    monkeypatch.setattr(crowd, "_command", command)
    monkeypatch.setattr(perform, "inspect", inspect)


def test_a_run_is_gathered_and_kept(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures, curves, costs and the gate's findings are in the run, and run.json says the same."""
    stood_in(monkeypatch, "whole", [FOUND])
    looks: list[Progress] = []
    run = perform.perform(stage, SHOW, PLAN, tmp_path / "new", lambda _: None, look=looks.append)
    assert run.findings == [FOUND]
    assert not run.passed
    assert run.server == f"{stage.url} (Livedrop 9.9)"
    assert (run.messages, run.orders, run.latencies["reserve"].count) == (200, 1, 4)
    assert 0.5 < run.seconds < 30
    assert {"available", "held", "sold", "taken/s", "reserve p99", "generator CPU"} <= {
        curve.name for curve in run.curves
    }
    assert "generator" in [part.name for part in run.processes]
    assert msgspec.json.decode((tmp_path / "new" / "run.json").read_bytes(), type=Run) == run
    assert msgspec.json.decode((tmp_path / "new" / "plan.json").read_bytes(), type=Plan) == PLAN


def test_the_begin_of_the_run_is_that_of_the_crowd(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`began_at` is the moment that curves and viewers count from, to the millisecond."""
    stood_in(monkeypatch, "whole")
    run = perform.perform(stage, SHOW, PLAN, tmp_path, lambda _: None)
    assert run.passed
    assert datetime.fromisoformat(run.began_at).timestamp() == pytest.approx(began_in(tmp_path), abs=0.001)
    assert time.time() - 30 < began_in(tmp_path) < time.time()


def test_a_crowd_that_is_killed_is_an_error_that_says_so(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose Locust was killed never passes, whatever was left; what it said last is told."""
    stood_in(monkeypatch, "lasting")

    def kill() -> None:
        wait_until(lambda: "still at it" in _read(tmp_path / "locust.log"), "the crowd has begun")
        here = family.descendants(os.getpid())
        (pid,) = [pid for pid in here if "tests.loadtests.stand_in" in _read(Path(f"/proc/{pid}/cmdline"))]
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(StageError, match=r"no whole record. Locust was killed by SIGKILL(?s:.*)still at it"):
        perform.perform(stage, SHOW, PLAN, tmp_path, lambda _: None)
    killer.join()
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("mute", r"The run never began. Locust ended with 1(?s:.*)no such show"),
        ("empty", r"The crowd left no whole record. Locust ended with 0"),
    ],
)
def test_a_crowd_that_leaves_nothing_is_an_error(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, sentence: str
) -> None:
    """A run that never began, or that left nothing, says so; an earlier run in the folder is not taken for it."""
    (tmp_path / "seen-1.json").write_text("of an earlier run")
    stood_in(monkeypatch, how)
    with pytest.raises(StageError, match=sentence):
        perform.perform(stage, SHOW, PLAN, tmp_path, lambda _: None)


def test_a_deploy_needs_a_server_of_its_own_in_two_processes(stage: Stage, tmp_path: Path) -> None:
    """Who cannot be replaced is told so before anybody arrives."""
    plan = shape("deploy", 10, 1, None, 1)
    with pytest.raises(StageError, match="leave --host away"):
        perform.perform(stage, SHOW, plan, tmp_path, lambda _: None)
    with small_server(1) as alone, pytest.raises(StageError, match="at least two processes: --workers 2"):
        deploy.refuse_unless_replaceable(alone)


def test_a_deploy_replaces_every_process_one_after_the_other() -> None:
    """All processes of before are gone, as many others take connections, and at no time was there nobody."""
    with small_server(2) as small:
        before, fewest = set(deploy.workers(small)), 2
        deploys = Deploys(small, [time.monotonic()], lambda _: None)
        deploys.start()
        while deploys.is_alive():
            fewest = min(fewest, len(deploy.workers(small)))
        deploys.end()
        after = set(deploy.workers(small))
    assert deploys.error is None
    assert deploys.replaced == len(before) == len(after) == 2
    assert not before & after
    assert fewest >= 1


def test_a_process_that_nobody_replaces_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: where nobody takes a process's place, the deploy says so and goes no further."""
    monkeypatch.setattr(deploy, "REPLACED_SECONDS", 0.5)
    with small_server(2, "once") as small:
        deploys = Deploys(small, [time.monotonic()], lambda _: None)
        deploys.start()
        deploys.join()
    assert "Nobody took the place of process" in str(deploys.error)
    assert deploys.replaced == 0


def test_too_few_files_are_an_error_that_says_what_to_do() -> None:
    """More viewers than files may be open are refused with the number that is needed."""
    with pytest.raises(StageError, match=r"1,000,000,000 viewers need .*ulimit -Hn 1000000200"):
        allow_files(10**9)
    allow_files(min(10, files_allow()))


def test_a_server_that_is_not_there_is_an_error_that_says_what_to_do() -> None:
    """An address where nobody listens is named, and so is a door that is another program's."""
    from loadtests.stagehand import door  # noqa: PLC0415

    with (
        door(f"http://127.0.0.1:{free_port()}", "t") as host,
        pytest.raises(StageError, match="Is it running"),
    ):
        live_show(host)
    with (
        doorstep([]) as other,
        door(other.url, "t") as host,
        pytest.raises(StageError, match="no server of Livedrop"),
    ):
        live_show(host)


SMALL = """
import os, select, signal, socket, sys
count, mode = int(sys.argv[2]), sys.argv[3]
shared = socket.socket()
shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
shared.bind(("127.0.0.1", int(sys.argv[1])))
shared.listen()
def start():
    if os.fork():
        return
    poll = select.epoll()
    poll.register(shared)
    while True:
        signal.pause()
for _ in range(count):
    start()
print("ready", flush=True)
while True:
    os.wait()
    if mode == "ever":
        start()
"""


@contextmanager
def small_server(count: int, mode: str = "ever") -> Iterator[Stage]:
    """Give a server in so many processes that does nothing but wait; `once`: those that end are not replaced."""
    port = free_port()
    program = [sys.executable, "-I", "-S", "-c", SMALL, str(port), str(count), mode]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        one = Stage(f"http://127.0.0.1:{port}", "", os.environ, ROOT, parent.pid)
        try:
            wait_until(lambda: len(deploy.workers(one)) == count, "all take connections")
            yield one
        finally:
            for pid in family.descendants(parent.pid):
                os.kill(pid, signal.SIGKILL)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
