"""Processes as Linux shows them: who belongs to a server, what they have used, who takes connections at a port.

Whoever ends while he is looked at is left out. Elsewhere than on Linux nothing can be seen, and nobody is found.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

from loadtests.bench.meter import TICKS, cpu_seconds, resident_bytes
from loadtests.run import Machine

PROC = Path("/proc")
LISTEN = "0A"  # the state of a socket in /proc/net/tcp
STORES = ("valkey-server", "redis-server", "keydb-server")
BANK = "server.payments.bank"
TREE_MOST = 512  # processes of one family: a bound for a walk among processes that come and go


def descendants(pid: int) -> list[int]:
    """Return a process and all below it, parents first."""
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < TREE_MOST:
        one = waiting.pop()
        if _alive(one):
            found.append(one)
            waiting += children(one)
    return found


def children(pid: int) -> list[int]:
    """Return the ids of a process's children, whichever of its threads has started them, oldest first."""
    found: list[int] = []
    for task in _entries(PROC / str(pid) / "task"):
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return sorted(found)


def part(pid: int) -> str:
    """Return which part of the system a process is: `redis`, `sandbox` (the payments') or `server`."""
    with suppress(OSError):
        if (
            PROC / str(pid) / "comm"
        ).read_text().strip() in STORES:  # its command line is what it likes to say
            return "redis"
        if BANK in (PROC / str(pid) / "cmdline").read_text(errors="replace").split("\0"):
            return "sandbox"
    return "server"


def used(pid: int) -> tuple[float, int] | None:
    """Return the CPU seconds that a process has used and its resident bytes; None where it is gone."""
    with suppress(OSError):
        return cpu_seconds(pid), resident_bytes(pid)
    return None


def written(pid: int) -> int:
    """Return the bytes that a process has written so far, to sockets, pipes and files; 0 where we may not see it."""
    with suppress(OSError, ValueError):
        lines = (PROC / str(pid) / "io").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("wchar:")).split()[1])
    return 0


def machine_seconds() -> float:
    """Return the CPU seconds that everything on this machine has used since it started, its host's share included."""
    with suppress(OSError, ValueError):
        name, *ticks = (PROC / "stat").read_text().partition("\n")[0].split()
        user, nice, system, _idle, _waiting, *others = map(int, ticks[:8])  # what follows is in them already
        return (user + nice + system + sum(others)) / TICKS if name == "cpu" else 0.0
    return 0.0


def holding(port: int) -> list[int]:
    """Return the processes of this machine that have a listening TCP socket at a port, as far as we may see."""
    wanted = {f"socket:[{inode}]" for inode in _listening(port)}
    if not wanted:
        return []
    pids = [int(entry.name) for entry in _entries(PROC) if entry.name.isdigit()]
    return [pid for pid in pids if _descriptors(pid, wanted)]


def accepts(pid: int, port: int) -> bool:
    """Return whether a process waits for connections at a port itself: its event loop watches the socket.

    Processes that share a socket answer for each other; this tells them apart.
    """
    wanted = {f"socket:[{inode}]" for inode in _listening(port)}
    own = _descriptors(pid, wanted)
    for polled in _descriptors(pid, {"anon_inode:[eventpoll]"}):
        with suppress(OSError):
            lines = (PROC / str(pid) / "fdinfo" / polled).read_text().splitlines()
            if own & {line.split()[1] for line in lines if line.startswith("tfd:")}:
                return True
    return False


def this_machine() -> Machine:
    """Describe this machine; `load_before` is the load at this moment."""
    cpu, memory = platform.processor() or platform.machine(), 0
    with suppress(OSError):
        lines = (PROC / "cpuinfo").read_text().splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        cpu=cpu,
        cores=os.cpu_count() or 1,
        memory=memory,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load_before=os.getloadavg()[0],
    )


def _alive(pid: int) -> bool:
    return (PROC / str(pid)).is_dir()


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _listening(port: int) -> set[str]:
    """Return the inodes of the sockets that listen at a port."""
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
    return inodes


def _descriptors(pid: int, targets: set[str]) -> set[str]:
    """Return the numbers of a process's descriptors that point at one of these."""
    found = set()
    for entry in _entries(PROC / str(pid) / "fd"):
        with suppress(OSError):
            if str(entry.readlink()) in targets:
                found.add(entry.name)
    return found
