"""Nothing grows past what one reading takes in."""

from __future__ import annotations

import ast
from statistics import median
from typing import TYPE_CHECKING

import pytest

from tests.house.tree import LUA, ROOT, SERVER, files, line_count, server_modules

if TYPE_CHECKING:
    from pathlib import Path

INCLUDES = LUA / "includes"
# The browser's client is one file by promise: others copy it into their pages. Its own test bounds its bytes.
ONE_FILE = SERVER / "web" / "client" / "livedrop.js"


@pytest.mark.parametrize(
    ("folder", "pattern", "limit"),
    [
        (SERVER, "*.py", 400),
        (ROOT / "loadtests", "*.py", 400),
        (ROOT / "tests", "*.py", 400),
        (SERVER, "*.js", 400),
        (LUA, "*.lua", 120),
        (INCLUDES, "*.lua", 40),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_every_file_is_within_its_limit(folder: Path, pattern: str, limit: int) -> None:
    """No file of its kind is longer than the limit of its kind, in lines."""
    found = files(folder, pattern)
    assert found, f"no {pattern} in {folder}: the test looks at the wrong place"
    too_long = {
        path.relative_to(ROOT).as_posix(): line_count(path)
        for path in found
        if line_count(path) > limit and path != ONE_FILE
    }
    assert not too_long, f"longer than {limit} lines: {too_long}"


def test_half_of_the_modules_are_read_at_a_glance() -> None:
    """The median module of the server is under 250 lines."""
    lengths = [line_count(path) for path in files(SERVER, "*.py")]
    assert median(lengths) < 250


def test_functions_are_short() -> None:
    """The median function of the server is under 12 lines, its docstring apart."""
    lengths = [
        body_lines(node)
        for module in server_modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(lengths) > 50, "hardly any function was found: the test looks at the wrong place"
    assert median(lengths) < 12


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the function's lines from `def` to its last statement, less those of its docstring."""
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is None:
        return whole
    text = function.body[0]
    return whole - ((text.end_lineno or text.lineno) - text.lineno + 1)
