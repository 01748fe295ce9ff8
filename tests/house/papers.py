"""The project's papers as its tests read them: the commands that they tell to type, and their links."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.house.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a paper: where it stands, and its words."""

    paper: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        """Return the command as it would be typed, with its paper."""
        return f"{self.paper}: {shlex.join(self.words)}"


def papers() -> list[Path]:
    """Return every paper of the project that is written for its users and contributors."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "lua").glob("*.md")])


def typed(text: str) -> Iterator[str]:
    """Yield what the text tells a reader to type: the lines of its `sh` blocks, and what it names inline."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        yield from re.sub(r"\\\n\s*", "", block).splitlines()
    yield from re.findall(r"`((?:livedrop|make) [^`]+)`", text)


def commands(paper: Path) -> Iterator[Command]:
    """Yield each command of the paper, without comments and NAME=value in front."""
    for line in typed(paper.read_text(encoding="utf-8")):
        for part in re.split(r"\s(?:&&|\|)\s", line):
            words = shlex.split(part, comments=True)
            while words and re.fullmatch(r"\w+=.*", words[0]):
                words.pop(0)
            if words:
                yield Command(paper.name, tuple(words))


def commands_of(program: str) -> list[Command]:
    """Return every command in the papers that calls `program`, by name or by its path in the venv."""
    return [
        command
        for paper in papers()
        for command in dict.fromkeys(commands(paper))
        if command.words[0] in {program, f".venv/bin/{program}"}
    ]


def links(text: str) -> list[str]:
    """Return the targets of the links that stay inside the project, without their fragments."""
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    inside = (link.split("#")[0] for link in found if "://" not in link and not link.startswith("mailto:"))
    return [link for link in inside if link]
