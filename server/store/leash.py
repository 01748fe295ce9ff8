"""Start a program that ends when its parent does: run as a file of its own, between the fork and the program.

`python leash.py PARENT PROGRAM ARGUMENT…` asks Linux to send SIGTERM when the parent dies, by whatever death,
and becomes the program. A step of its own, because code between fork and exec in a process with threads may
hang. What counts is the death of the parent's *thread* that started us: it must live long enough.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def leash(parent: int) -> bool:
    """Ask for SIGTERM at the death of `parent`; return whether it still lives. Elsewhere than on Linux: no effect."""
    if not sys.platform.startswith("linux"):
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    return os.getppid() == parent  # else it died before we asked, and nobody would ever tell us


def leashed(command: list[str]) -> list[str]:
    """Return the command that runs so, bound to the thread that starts it; elsewhere than on Linux the bare one."""
    if not sys.platform.startswith("linux"):
        return command
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(parent: int, program: str, *arguments: str) -> None:
    """Become the program, bound to the life of `parent`; return at once if that is gone already."""
    if leash(parent):
        os.execv(program, [program, *arguments])  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
