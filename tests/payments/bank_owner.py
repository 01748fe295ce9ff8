"""Who owns or shares a folder's private sandbox, as a process: `python -m tests.payments.bank_owner FOLDER`.

Prints one line of JSON about it, and lets go of it when its input ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from server.payments.bank.private import PrivateSandbox
from tests.server import SECRET

ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Owner:
    """Such a process, seen from a test: `url` and `owned` are what it told."""

    process: subprocess.Popen[str]
    url: str = ""
    owned: bool = False

    @classmethod
    def launch(cls, folder: Path) -> Self:
        """Start it without waiting for its line."""
        command = [sys.executable, "-m", "tests.payments.bank_owner", str(folder)]
        return cls(
            subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )

    def told(self) -> Self:
        """Wait for its line and return itself."""
        assert self.process.stdout is not None
        line: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.url, self.owned = line["url"], line["owned"]
        return self

    def kill(self) -> None:
        """End it as the kernel would, without a chance to tidy up."""
        self.process.kill()
        self.process.communicate()

    def leave(self) -> int:
        """Let it end in good order and return its exit code."""
        self.process.communicate("")
        return self.process.returncode


def _main(folder: Path) -> None:
    one = PrivateSandbox.begin(folder, SECRET)
    sys.stdout.write(json.dumps({"url": one.url, "owned": one.owned}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    one.leave()


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
