"""The description of the scripts agrees with the code."""

from __future__ import annotations

from server.store.keys import KEYS
from tests.house.tree import ROOT


def test_the_table_of_keys_is_the_dictionary() -> None:
    """lua/README.md lists every key of the dictionary with its type and content, and no other."""
    ids = {"show": "show", "request": "request", "gateway": "gateway", "part": "part"}
    rows = [f"| `{key.pattern.format(**ids)}` | {key.type} | {key.holds} |" for key in KEYS.values()]
    text = (ROOT / "lua" / "README.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| `ld:")] == rows
