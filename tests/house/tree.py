"""The project's own files, as the tests of the house read them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "server"
LUA = ROOT / "lua"


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file: its path from the project's root with slashes, and its syntax tree."""

    path: str
    tree: ast.Module

    def inside(self, *places: str) -> bool:
        """Whether the file is one of `places`, or lies in one that ends with a slash."""
        return any(
            self.path.startswith(place) if place.endswith("/") else self.path == place for place in places
        )


def files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of `folder` and below that match `pattern`, in order, without caches."""
    return sorted(
        path for path in folder.rglob(pattern) if path.is_file() and "__pycache__" not in path.parts
    )


def line_count(path: Path) -> int:
    """Return how many lines the file has."""
    return len(path.read_text(encoding="utf-8").splitlines())


def module(path: str, source: str) -> Module:
    """Return `source` as the module at `path`."""
    return Module(path, ast.parse(source, path))


def server_modules() -> list[Module]:
    """Return every Python module of the server."""
    return [
        module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in files(SERVER, "*.py")
    ]


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of every absolute import, those for types alone included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def docstrings(tree: ast.Module) -> set[ast.Constant]:
    """Return the string nodes that are documentation: they may name anything."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = (node.body[0] for node in ast.walk(tree) if isinstance(node, owners) and node.body)
    return {
        statement.value
        for statement in first
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    }
