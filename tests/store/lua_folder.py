"""A folder of Lua scripts, written by a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "-- purpose: a test\n-- returns: something\n-- events: none\n"


def write(folder: Path, scripts: dict[str, str], includes: dict[str, str] | None = None) -> Path:
    """Write scripts (each below a proper header) and includes by their names, and return the folder."""
    (folder / "includes").mkdir(parents=True, exist_ok=True)
    for name, body in scripts.items():
        (folder / f"{name}.lua").write_text(HEADER + body)
    for name, text in (includes or {}).items():
        (folder / "includes" / f"{name}.lua").write_text(text)
    return folder
