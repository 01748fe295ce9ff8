"""A Dockerfile as the tests need it: its stages and instructions, and its build done in a plain folder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction with its words, continued lines joined."""

    name: str
    words: str

    def listed(self) -> list[str]:
        """Return the words of an exec-form instruction, such as `CMD ["serve"]`."""
        found = re.search(r"\[.*\]", self.words)
        assert found, f"{self.name} {self.words} is not in the exec form"
        parts = json.loads(found[0])
        assert isinstance(parts, list)
        return [str(part) for part in parts]


def stages(text: str) -> list[list[Instruction]]:
    """Return the instructions of each stage, each beginning with its FROM."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    found: list[list[Instruction]] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, words = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append(Instruction(name, words.strip()))
    return found


def only(stage: list[Instruction], name: str) -> Instruction:
    """Return the one instruction `name` of the stage."""
    (found,) = [instruction for instruction in stage if instruction.name == name]
    return found


def environment(stage: list[Instruction]) -> dict[str, str]:
    """Return what the stage's ENV sets."""
    return dict(re.findall(r"(\w+)=(\S+)", only(stage, "ENV").words))


def carry_out(stage: list[Instruction], context: Path, root: Path, env: Mapping[str, str]) -> None:
    """Do a stage's COPY and RUN, in order, with `root` standing for `/` and `context` for the build's folder.

    Understood is what a plain folder can stand for: absolute paths below /src, /opt, /wheels and /vendor, and copies
    from the context, or from an earlier stage that was carried out in the same root, into the WORKDIR. Raises
    AssertionError with the command's output where one fails.
    """
    place = root
    for instruction in stage:
        if instruction.name == "WORKDIR":
            place = root / instruction.words.lstrip("/")
            place.mkdir(parents=True)
        elif instruction.name == "COPY":
            *sources, target = instruction.words.split()
            start = context
            if sources[0].startswith("--from="):
                del sources[0]
                start = root
            for source in sources:
                copy(start / source.lstrip("/"), place / target)
        elif instruction.name == "RUN":
            run(
                re.sub(r"(?<=\s)/(?=opt/|src\b|wheels\b|vendor\b)", f"{root}/", f" {instruction.words}"),
                place,
                env,
            )


def copy(source: Path, target: Path) -> None:
    """Copy a file into the folder `target`, or a folder's content onto it, as COPY does."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def run(command: str, place: Path, env: Mapping[str, str]) -> None:
    """Run one shell command in `place`."""
    result = subprocess.run(
        ["sh", "-ec", command], cwd=place, env=env, check=False, capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
