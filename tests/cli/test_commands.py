"""The command line as its users type it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from server.auth import Role
from server.store.embedded import Embedded
from server.store.keys import key
from tests.house.tree import ROOT
from tests.houses import house_at, live_show, open_drop
from tests.server import ServerProcess, free_port

if TYPE_CHECKING:
    from pathlib import Path

FEED = """Handle,Title,Variant SKU,Variant Price
cup,Cup,CUP,3.50
bowl,Bowl,BOWL,cheap
"""


@pytest.fixture
def beside(tmp_path: Path) -> ServerProcess:
    """Give commands on a data folder of their own, without a server."""
    return ServerProcess(tmp_path / "data")


def test_a_token_stands_alone_on_stdout(beside: ServerProcess) -> None:
    """`livedrop token` prints the JWT and nothing else; it speaks for the named shows only."""
    words = ("--role", "viewer", "--sub", "ann", "--show", "sh_a", "--show", "sh_b", "--anonymous")
    done = beside.command("token", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    identity = beside.tokens.verify(done.stdout.strip())
    assert (identity.subject, identity.role, identity.shows) == (
        "ann",
        Role.VIEWER,
        frozenset({"sh_a", "sh_b"}),
    )
    assert identity.anonymous


def test_a_feed_is_imported_with_its_rejected_rows(beside: ServerProcess, tmp_path: Path) -> None:
    """`livedrop catalog import` counts SKUs and names the line and reason of a bad row; twice changes nothing."""
    feed = tmp_path / "feed.csv"
    feed.write_text(FEED)
    first = beside.command("catalog", "import", str(feed), "--currency", "EUR")
    assert first.returncode == 0, first.stderr
    assert "cheap" in first.stdout
    assert "3" in first.stdout
    second = beside.command("catalog", "import", str(feed), "--currency", "EUR")
    assert second.returncode == 0
    picture = tmp_path / "picture.csv"
    picture.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00")
    refused = beside.command("catalog", "import", str(picture))
    assert refused.returncode == 1
    assert "JPEG" in refused.stderr


def test_migrate_says_what_it_did(beside: ServerProcess) -> None:
    """`livedrop migrate` names what it applied; a second run finds nothing to do."""
    all_there_are = len(list((ROOT / "server" / "ledger" / "migrations" / "versions").glob("0*.py")))
    first = beside.command("migrate")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(f"Applied {all_there_are}: "), first.stdout
    assert "up to date" in beside.command("migrate").stdout


def test_settings_are_listed_and_misspelt_ones_refused(beside: ServerProcess) -> None:
    """`livedrop settings` lists them all; an unknown LIVEDROP_ name is an error that names the nearest."""
    listed = beside.command("settings")
    assert listed.returncode == 0
    assert "LIVEDROP_FLUSH_MS" in listed.stdout
    beside.settings = {"LIVEDROP_PROT": "1"}
    refused = beside.command("audit")
    assert refused.returncode == 1
    assert "LIVEDROP_PORT" in refused.stderr


def test_a_taken_port_is_said_with_what_to_do(server: ServerProcess, tmp_path: Path) -> None:
    """A second server on the same port ends with 1 and points at --port."""
    other = ServerProcess(tmp_path / "data", port=server.port)
    refused = other.command("serve", "--port", str(server.port))
    assert refused.returncode == 1
    assert "--port" in refused.stderr


def test_the_demo_says_its_links_in_one_line_of_json(tmp_path: Path) -> None:
    """`demo --json` prints the six fields once it serves; its audience buys; SIGTERM ends it with 0."""
    one = ServerProcess(tmp_path / "data")
    command = [
        sys.executable,
        "-m",
        "server",
        "demo",
        "--port",
        str(free_port()),
        "--audience",
        "6",
        "--json",
    ]
    demo = subprocess.Popen(command, env=one.environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout is not None
        links = json.loads(demo.stdout.readline())
        fields = {"show", "drop", "host_url", "viewer_url", "host_token", "viewer_token"}
        assert set(links) == fields
        url, _, token = links["host_url"].partition("/host/")
        assert token == f"{links['show']}#token={links['host_token']}"
        headers = {"Authorization": f"Bearer {links['viewer_token']}"}
        drop = httpx.get(f"{url}/v1/shows/{links['show']}/drops/{links['drop']}", headers=headers).json()
        assert (drop["quantity"], drop["available"]) == (100, 100)
        for page in (links["host_url"], links["viewer_url"]):
            assert httpx.get(page).headers["content-type"].startswith("text/html")
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.communicate(timeout=30)
    assert demo.returncode == 0


async def test_audit_ends_with_1_on_a_difference(beside: ServerProcess) -> None:
    """A stock record that does not match its holds is found, named and fails the command."""
    with Embedded.start(beside.data) as valkey:
        async with house_at(valkey.url, beside.data) as house:
            show = await live_show(house)
            drop = await open_drop(house, show, 3)
            await house.holds.reserve(show, "viewer", "op", drop, 1)
            assert beside.command("audit").returncode == 0
            await house.client.delete(key("holds", show=show))
            told = beside.command("audit", "--show", show, "--json")
    assert told.returncode == 1
    (row,) = json.loads(told.stdout)["drops"]
    assert row["held"] == 1
    assert row["holds_counted"] == 0
    assert any("held is 1" in difference for difference in row["differences"])
