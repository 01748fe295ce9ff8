"""A process of its own that owns or shares a private server of a folder, seen from a test."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

ROOT = Path(__file__).resolve().parents[1]


@dataclass(slots=True)
class Owner:
    """A process that runs `MODULE`: `url`, `owned` and `pid` (where it is theirs) are what it told."""

    MODULE: ClassVar[str]

    process: subprocess.Popen[str]
    url: str = ""
    owned: bool = False
    pid: int | None = None

    @classmethod
    def launch(cls, folder: Path, *words: str) -> Self:
        """Start it without waiting for its line."""
        command = [sys.executable, "-m", cls.MODULE, str(folder), *words]
        return cls(
            subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )

    def told(self) -> Self:
        """Wait for its line and return itself."""
        assert self.process.stdout is not None
        line: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.url, self.owned, self.pid = line["url"], line["owned"], line["pid"]
        return self

    def kill(self) -> None:
        """End it as the kernel would, without a chance to tidy up."""
        self.process.kill()
        self.process.communicate()

    def leave(self) -> None:
        """Let it end in good order."""
        self.process.communicate("")
        assert self.process.returncode == 0


def tell_and_stay(url: str, *, owned: bool, pid: int | None) -> None:
    """In such a process: tell the test about the server, and return when it is to leave."""
    sys.stdout.write(json.dumps({"url": url, "owned": owned, "pid": pid}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
