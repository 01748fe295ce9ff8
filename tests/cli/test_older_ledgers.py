"""Ledgers of other versions, as the commands find them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from server.ledger.migrate import MIGRATIONS
from tests.ledger.older import BUYER, FIRST, LATER, first_tables, has, later_tables
from tests.server import ServerProcess, free_port

if TYPE_CHECKING:
    from pathlib import Path


def demo(one: ServerProcess) -> tuple[str, str]:
    """Let a demo serve, then leave; return what it said on stdout and stderr."""
    command = [sys.executable, "-m", "server", "demo", "--port", str(free_port()), "--json"]
    process = subprocess.Popen(
        command, env=one.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    links = process.stdout.readline()  # it serves; or it has ended, and this is empty
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=30)
    return links, told


def test_a_demo_brings_its_own_ledger_up_to_date(tmp_path: Path) -> None:
    """The demo serves on a ledger of an older version, keeps the file as it was beside it and says so, once."""
    one = ServerProcess(tmp_path / "data")
    file = first_tables(one.data)
    links, told = demo(one)
    assert json.loads(links)["show"].startswith("sh_"), told
    (copy,) = (path for path in one.data.glob(f"{file.name}.2*"))
    assert str(copy) in told
    assert has(copy) == (FIRST, [BUYER])
    assert BUYER in has(file)[1]
    _, told = demo(one)
    assert (told, list(one.data.glob(f"{file.name}.2*"))) == ("", [copy])


def test_serving_waits_for_whoever_runs_it(tmp_path: Path) -> None:
    """Neither `serve` nor `demo` on a database that was named migrates anything: that is for `livedrop migrate`."""
    one = ServerProcess(tmp_path / "data")
    file = first_tables(one.data)
    named = ServerProcess(one.data, settings={"DATABASE_URL": f"sqlite:///{file}"})
    for refused in (one.command("serve", "--port", "0"), named.command("demo", "--port", "0", "--json")):
        assert refused.returncode == 1
        assert "run: livedrop migrate" in refused.stderr
    assert has(file) == (FIRST, [BUYER])
    missing = [path.name for path in (MIGRATIONS / "versions").glob("0*.py") if path.name[:4] > FIRST]
    assert one.command("migrate").stdout.startswith(f"Applied {len(missing)}: ")


@pytest.mark.parametrize("command", ["demo", "serve", "migrate"])
def test_a_newer_ledger_is_left_alone(tmp_path: Path, command: str) -> None:
    """What a newer version has written is said in one sentence, without the advice to migrate, and not touched."""
    one = ServerProcess(tmp_path / "data")
    file = later_tables(one.data)
    refused = one.command(command, *(() if command == "migrate" else ("--port", "0")))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("livedrop: The ledger has the tables of a newer version")
    assert (refused.stderr.count("\n"), "migrate" in refused.stderr) == (1, False)
    assert has(file) == (LATER, [])
