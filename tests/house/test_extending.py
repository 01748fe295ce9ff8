"""The examples of docs/extending.md are real: the script loads and runs, the Python parses."""

from __future__ import annotations

import ast
import re
import shutil
from typing import TYPE_CHECKING

from server.store.answers import ask
from server.store.embedded import Embedded
from server.store.redis import connect
from server.store.scripts import Scripts
from tests.house.tree import LUA, ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAPER = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def examples(language: str) -> list[str]:
    """Return the paper's fenced blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAPER, flags=re.MULTILINE | re.DOTALL)


async def test_the_script_runs(tmp_path: Path) -> None:
    """The example script keeps the loader's contract, and gives its first refusal on a real store."""
    (script,) = examples("lua")
    shutil.copytree(LUA / "includes", tmp_path / "lua" / "includes")
    (tmp_path / "lua" / "drop_reprice.lua").write_text(script, encoding="utf-8")
    with Embedded.start(tmp_path / "data") as store:
        client = connect(store.url)
        scripts = Scripts(client, tmp_path / "lua")
        answer = await ask(scripts, "drop_reprice", {"show": "sh_a"}, drop="dr_a_b", unit_price=1)
        await client.aclose()
    assert answer == {"outcome": "not-found"}


def test_the_python_parses() -> None:
    """Every Python example is Python."""
    found = examples("python")
    assert found
    for source in found:
        compile(source, "docs/extending.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
