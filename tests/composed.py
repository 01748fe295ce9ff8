"""What compose.yaml says, and its stores as plain processes with the options that it gives them."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
import yaml  # type: ignore[import-untyped]  # PyYAML ships no types

from server.store import binary
from tests.house.tree import ROOT
from tests.server import free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """Run Valkey with the options that compose gives it, and give its address once it answers."""
    options = SERVICES["valkey"]["command"][1:]
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
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    with redis.Redis(port=port) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
