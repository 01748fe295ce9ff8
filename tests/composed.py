"""What compose.yaml and docs/compose.demo.yaml say, and parts of theirs as plain processes with their options."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
import yaml  # type: ignore[import-untyped]  # PyYAML ships no types

from server.store import binary
from tests.house.tree import ROOT
from tests.server import SECRET, free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.server import ServerProcess

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
DEMO: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "compose.demo.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
PASSWORD = "letters1"  # of both stores, where compose asks for one
GIVEN = {"LIVEDROP_SECRET": SECRET, "POSTGRES_PASSWORD": PASSWORD, "VALKEY_PASSWORD": PASSWORD}


def usual(text: str) -> str:
    """Return a value as compose would set it where only what it asks for is given."""
    return re.sub(
        r"\$\{(?P<name>\w+):(?P<kind>[?-])(?P<rest>[^}]*)\}",
        lambda match: match["rest"] if match["kind"] == "-" else GIVEN[match["name"]],
        text,
    )


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """Run Valkey with the options that compose gives it, and give its password and address once it answers."""
    options = [usual(word) for word in SERVICES["valkey"]["command"][1:]]
    port = free_port()
    place = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(folder),
        "--logfile",
        str(folder / "log"),
    ]
    process = subprocess.Popen([binary.find(), *options, *place], stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(port), "Valkey answers")
        yield f":{PASSWORD}@127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def worker(server: ServerProcess) -> Iterator[subprocess.Popen[bytes]]:
    """Run compose's worker beside a server."""
    with server.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", *SERVICES["worker"]["command"]],
            env=server.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with redis.Redis(port=port, password=PASSWORD) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
