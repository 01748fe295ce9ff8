"""An owner of a private server as a process of its own: `python -m tests.store.owner FOLDER [thread]`.

Prints one line of JSON about the server it started or found, then waits until its input ends, and stops it.
With `thread` the server is started from a thread, so that nothing takes it down when this process is killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from server.store.embedded import Embedded

ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Owner:
    """Such a process, seen from a test: `url`, `owned` and `pid` are what it told."""

    process: subprocess.Popen[str]
    url: str = ""
    owned: bool = False
    pid: int | None = None

    @classmethod
    def launch(cls, folder: Path, *words: str) -> Self:
        """Start it without waiting for its line."""
        command = [sys.executable, "-m", "tests.store.owner", str(folder), *words]
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


def _main(folder: Path, *, in_thread: bool) -> None:
    started: list[Embedded] = []
    starting = threading.Thread(target=lambda: started.append(Embedded.start(folder)))
    (starting.start if in_thread else starting.run)()
    if in_thread:
        starting.join()
    (server,) = started
    sys.stdout.write(json.dumps({"url": server.url, "owned": server.owned, "pid": server.pid}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), in_thread="thread" in sys.argv[2:])
