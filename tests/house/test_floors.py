"""Imports go down the floors, and what only one room may touch is touched nowhere else."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.house.tree import LUA, ROOT, SERVER, Module, docstrings, files, imports, module, server_modules

Rule = Callable[[Module], Iterator[str]]

WALL_CLOCKS = {
    "time.time",
    "time.time_ns",
    "time.localtime",
    "time.gmtime",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}
RANDOMNESS = {"random", "secrets", "uuid"}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the import contracts of the project at `root`."""
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--config",
        "pyproject.toml",
        "--no-cache",
    ]
    return subprocess.run(command, cwd=root, check=False, capture_output=True, text=True, timeout=60)


def test_imports_go_down() -> None:
    """Every contract of the floors is kept."""
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("importer", "imported"),
    [("clock.py", "server.store"), ("shows/__init__.py", "server.orders")],
    ids=["upward", "a stranger on the same floor"],
)
def test_a_broken_floor_is_found(tmp_path: Path, importer: str, imported: str) -> None:
    """An import that goes up, or across to a stranger, breaks the contract: the check can fail."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(SERVER, tmp_path / "server", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "server" / importer).open("a", encoding="utf-8") as file:
        file.write(f"\nimport {imported}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert f"is not allowed to import {imported}:" in " ".join(result.stdout.split())


def test_every_room_stands_on_a_floor() -> None:
    """Each package and module directly in `server` is named by the layers, so none escapes the contract."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    named = {
        name.strip(" ()").removeprefix("server.") for layer in layers for name in re.split(r"[|:]", layer)
    }
    rooms = {path.stem for path in SERVER.glob("*.py")} | {
        path.parent.name for path in SERVER.glob("*/__init__.py")
    }
    assert rooms - {"__init__", "__main__"} <= named


def redis_in_store(found: Module) -> Iterator[str]:
    """Redis is spoken only in the store: no other room imports its client, not even for a type."""
    if not found.inside("server/store/"):
        for line, name in imports(found.tree):
            if name.split(".")[0] in {"redis", "valkey", "hiredis"}:
                yield f"{found.path}:{line} imports {name}"


def key_names_in_keys(found: Module) -> Iterator[str]:
    """Key names are made only in the dictionary of keys."""
    if not found.inside("server/store/keys.py"):
        texts = docstrings(found.tree)
        for node in ast.walk(found.tree):
            if isinstance(node, ast.Constant) and node not in texts and spells_a_key(node.value):
                yield f"{found.path}:{node.lineno} spells the key {node.value!r}"


def spells_a_key(value: object) -> bool:
    """Whether `value` is a text or bytes with the prefix of Livedrop's keys."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return isinstance(text, str) and re.search(r"\bld:", text) is not None


def wall_clock_in_clock(found: Module) -> Iterator[str]:
    """Only the clock reads the host's time of day."""
    if not found.inside("server/clock.py"):
        known = {alias: name for name, alias in bindings(found.tree)}
        for node in ast.walk(found.tree):
            if isinstance(node, ast.Attribute | ast.Name) and (name := dotted(node, known)) in WALL_CLOCKS:
                yield f"{found.path}:{node.lineno} reads {name}"


def randomness_in_ids(found: Module) -> Iterator[str]:
    """Randomness comes only from the ids."""
    if not found.inside("server/ids.py"):
        for line, name in imports(found.tree):
            if name.split(".")[0] in RANDOMNESS:
                yield f"{found.path}:{line} imports {name}"


def printing_in_cli(found: Module) -> Iterator[str]:
    """Only the command line prints; everything else logs."""
    if not found.inside("server/cli/"):
        for node in ast.walk(found.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield f"{found.path}:{node.lineno} prints"


def bindings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each imported dotted name with the name that the file gives it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                yield (alias.name, alias.asname) if alias.asname else (first, first)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((f"{node.module}.{alias.name}", alias.asname or alias.name) for alias in node.names)


def dotted(node: ast.expr, known: dict[str, str]) -> str | None:
    """Return the full name of an expression such as `datetime.now`; None if it is nothing imported."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value, known)):
        return f"{owner}.{node.attr}"
    return None


RULES: list[Rule] = [
    redis_in_store,
    key_names_in_keys,
    wall_clock_in_clock,
    randomness_in_ids,
    printing_in_cli,
]

BREACHES: dict[Rule, tuple[str, ...]] = {
    redis_in_store: (
        "import redis",
        "from redis.asyncio import Redis",
        "if TYPE_CHECKING:\n    from redis.asyncio import Redis",
        "def late():\n    import redis.asyncio as r",
    ),
    key_names_in_keys: ('key = "ld:shows"', 'key = f"ld:{{{show}}}:stock"', 'key = b"ld:idem:"'),
    wall_clock_in_clock: (
        "import time\ntime.time()",
        "from time import time_ns as now\nnow()",
        "from datetime import datetime, UTC\ndatetime.now(UTC)",
        "import datetime as d\nstamp = d.datetime.now",
    ),
    randomness_in_ids: ("import random", "from secrets import token_hex", "from uuid import uuid4"),
    printing_in_cli: ('print("here")',),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_only_one_room_touches_it(rule: Rule) -> None:
    """No module of the server breaks the rule."""
    assert [finding for found in server_modules() for finding in rule(found)] == []


@pytest.mark.parametrize(
    ("rule", "source"), [(rule, source) for rule, sources in BREACHES.items() for source in sources]
)
def test_a_breach_is_found(rule: Rule, source: str) -> None:
    """Each way to break the rule is found: the check can fail."""
    assert len(list(rule(module("server/orders/breach.py", source)))) == 1


def test_scripts_build_no_keys() -> None:
    """No Lua script spells a key name: every key comes to it through KEYS."""
    breaches = [
        f"{path.relative_to(ROOT).as_posix()}:{number}"
        for path in files(LUA, "*.lua")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if spells_a_key(line.split("--")[0])
    ]
    assert breaches == []
