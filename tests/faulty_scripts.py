"""The project's scripts with lines put wrong on purpose: what the checks of other tests must find."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from server.store.lua import load, lua_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.store.lua import Script

Edit = tuple[str, str, str]  # file, what stands there once, what shall stand there instead


def faulty_folder(into: Path, edits: Iterable[Edit]) -> Path:
    """Make a copy of the scripts' folder below `into`, with edits; AssertionError where a right line is not there."""
    copied = Path(shutil.copytree(lua_folder(), into / "lua"))
    for file, line, instead in edits:
        text = (copied / file).read_text()
        assert text.count(line) == 1, f"{file} has {text.count(line)} times what is to be put wrong: {line!r}"
        (copied / file).write_text(text.replace(line, instead))
    return copied


def faulty_scripts(edits: Iterable[Edit]) -> dict[str, Script]:
    """Return the scripts with edits, loaded."""
    with tempfile.TemporaryDirectory() as scratch:
        return load(faulty_folder(Path(scratch), edits))
