"""The load test as a whole, on a server of its own: it passes, and with books made wrong on purpose it fails."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from typer.testing import CliRunner

from loadtests import __main__ as program
from loadtests.crowd import Crowd, perform
from loadtests.stagehand import ROOT, StageError, own_server
from server.store.answers import unpacked
from server.store.keys import key
from server.store.redis import connect

if TYPE_CHECKING:
    from loadtests.results import Results
    from loadtests.stagehand import Stage

SMALL = ("--viewers", "12", "--seconds", "8", "--drop-quantity", "6")


def test_a_sound_server_passes() -> None:
    """`python -m loadtests` ends by itself with 0, prints Locust's table, the books and the verdict."""
    done = subprocess.run(
        [sys.executable, "-m", "loadtests", *SMALL],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ("WS       reserve", "WS       drop seen", "POST     /v1/checkout", "Aggregated"):
        assert line in done.stdout, done.stdout
    assert "The books after the run" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("The books balance: 12 viewers for 8 s")


def test_wrong_books_fail_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: one unit that vanishes from a drop's record after the run is found, and the exit code is 1."""

    def perform_and_corrupt(stage: Stage, show: str, crowd: Crowd, folder: Path) -> Results:
        results = perform(stage, show, crowd, folder)
        asyncio.run(take_a_unit_away(stage, show))
        return results

    monkeypatch.setattr(program, "perform", perform_and_corrupt)
    done = CliRunner().invoke(program.app, SMALL)
    assert done.exit_code == 1, done.output
    assert "The books do not balance." in done.output
    assert "available + held + sold is" in done.output
    assert "The load test failed" in done.output


async def take_a_unit_away(stage: Stage, show: str) -> None:
    """Write a stock record with one available unit less than there is, as a bug could."""
    client = connect((stage.folder / "data" / "valkey" / "url").read_text())
    try:
        records: dict[Any, Any] = await client.hgetall(key("stock", show=show))
        drop, raw = next(iter(records.items()))
        available, *others = unpacked(raw)
        await client.hset(key("stock", show=show), drop, msgpack.packb([available - 1, *others]))
    finally:
        await client.aclose()


def test_a_server_of_our_own_leaves_nothing_behind() -> None:
    """The server runs on loopback with its own data; afterwards process and data are gone."""
    with own_server() as stage:
        assert stage.url.startswith("http://127.0.0.1:")
        assert (stage.folder / "data").is_dir()
        assert Path(f"/proc/{stage.pid}").is_dir()
    assert not stage.folder.exists()
    assert not Path(f"/proc/{stage.pid}").exists()


def test_a_server_that_cannot_start_says_why() -> None:
    """The reason why no server came up stands in the error, not in a log that is gone."""
    with pytest.raises(StageError, match="LIVEDROP_PROT is no setting"), own_server(LIVEDROP_PROT="8000"):
        pytest.fail("the server has started")
