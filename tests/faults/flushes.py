"""A disk that cannot flush: in the kernel's place strace answers a process' fsync and fdatasync with an I/O error."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

FLUSHES = "fsync,fdatasync"
FORBIDDEN = (
    "not permitted",
    "not implemented",
)  # what the kernel says where nobody may look into another process


class HinderedError(Exception):
    """Here no process of ours can be traced; the sentence says why."""


@contextmanager
def failing(pid: int) -> Iterator[None]:
    """Let the flushes of a process, of all its threads, fail until the block ends. Raises HinderedError."""
    if shutil.which("strace") is None:
        raise HinderedError("there is no strace. On Debian: apt install strace")
    command = ["strace", "-qq", "-f", "-p", str(pid), "-o", "/dev/null"]
    command += ["-e", f"trace={FLUSHES}", "-e", f"inject={FLUSHES}:error=EIO"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as strace:
        try:
            wait_until(lambda: strace.poll() is not None or _traced(pid), "every thread is traced")
            if strace.poll() is not None:
                _judge(strace)
            yield
        finally:
            strace.terminate()  # it lets go of the process, which runs on


@cache
def hindrance() -> str:
    """Return why flushes cannot fail here, tried on a process of ours; empty where they can."""
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        try:
            with failing(sleeper.pid):
                return ""
        except HinderedError as error:
            return str(error)
        finally:
            sleeper.kill()


def _judge(strace: subprocess.Popen[str]) -> None:
    """Raise HinderedError where it may not trace; that it ended with its process, at the first flush, is fine."""
    assert strace.stderr is not None
    said = strace.stderr.read().strip()
    if any(word in said for word in FORBIDDEN):
        raise HinderedError(said.splitlines()[-1])
    assert not said, said


def _traced(pid: int) -> bool:
    """Whether somebody traces every thread of a process; also where it has ended."""
    return not any(_untraced(thread) for thread in Path(f"/proc/{pid}/task").glob("*"))


def _untraced(thread: Path) -> bool:
    try:
        return "TracerPid:\t0\n" in (thread / "status").read_text()
    except OSError:  # it has ended
        return False
