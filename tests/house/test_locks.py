"""The locks pin everything that the project declares, and nothing tells where packages come from."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tests.house.tree import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIN = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9][^ ;]*)( ; [^\\]+?)?(?P<hashes>( --hash=sha256:[0-9a-f]{64})*)"
)


def pins(name: str) -> dict[str, str]:
    """Return package -> version of a lock; every line must be a pin."""
    return {match["name"]: match["version"] for match in matches(name)}


def matches(name: str) -> list[re.Match[str]]:
    """Return the pins of a lock, each with its hashes; every line must be one, or go on with one."""
    lines = re.sub(r" \\\n +", " ", (ROOT / name).read_text(encoding="utf-8")).splitlines()
    found = [PIN.fullmatch(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if match is None]
    return [match for match in found if match]


def declared(requirements: list[str]) -> set[str]:
    """Return the package names of requirements such as `redis[hiredis]>=8.0`."""
    return {re.split(r"[\[><=;~! ]", requirement)[0].lower() for requirement in requirements}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "requirements-bench.lock"])
def test_every_line_is_a_pin(lock: str) -> None:
    """A lock holds pins and their hashes alone: no address, no other option, no range."""
    assert len(pins(lock)) > 20


def test_what_is_declared_is_pinned() -> None:
    """Every declared dependency is in its lock."""
    runtime = declared(PROJECT["project"]["dependencies"])
    tools = declared(PROJECT["dependency-groups"]["dev"])
    assert runtime <= set(pins("requirements.lock"))
    peers = declared(PROJECT["dependency-groups"]["bench"])
    assert runtime | tools <= set(pins("requirements-dev.lock"))
    assert runtime | peers <= set(pins("requirements-bench.lock"))


def test_the_locks_agree() -> None:
    """What runs is what is tested and measured: each pin to run with stands in the other locks too."""
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()
    assert pins("requirements.lock").items() <= pins("requirements-bench.lock").items()


def test_the_peers_change_no_tool() -> None:
    """What the benchmarks add is added: no package has another version for them than for the tests."""
    tools, peers = pins("requirements-dev.lock"), pins("requirements-bench.lock")
    assert {name: peers[name] for name in tools.keys() & peers} == {
        name: tools[name] for name in tools.keys() & peers
    }


@pytest.mark.parametrize("group", ["dev", "bench"])
def test_what_does_not_run_stays_out_of_what_runs(group: str) -> None:
    """The lock to run with holds none of the tools for tests and checks, and none of the benchmarks' peers."""
    assert not declared(PROJECT["dependency-groups"][group]) & set(pins("requirements.lock"))
