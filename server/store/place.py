"""The folder of a private server: its locks, its socket, its log, and the note that tells others its URL.

`owner.lock` is held by the Python process that owns the server, `server.lock` by the server process itself.
`valkey.sock` is where it listens, unless the path would be too long; `url` says so while it runs.
`valkey.pid` is its process id, `valkey.log` what it says, and `appendonlydir/` its data.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

SOCKET_PATH_BYTES = 100  # kernels take 104 to 108
LOG_BYTES = 1_000_000  # a longer log is put aside (one, `.old`) at the next start
LOG_TAIL_LINES = 8
ANSWER_SECONDS = 1.0
PREFIX = "livedrop-"


@dataclass(frozen=True, slots=True)
class Place:
    """One folder with at most one server. Methods raise OSError where the folder does not play along."""

    folder: Path
    name: str = "valkey"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.folder / f"{self.name}.log"

    @property
    def pidfile(self) -> Path:
        """The file in which the server notes its process id."""
        return self.folder / "valkey.pid"

    def prepare(self) -> None:
        """Make the folder, for this user alone."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def lock(self, name: str) -> int | None:
        """Return a descriptor that holds the lock until closed everywhere, or None if another has it."""
        descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def server_pid(self) -> int | None:
        """Return the process that holds `server.lock`, or None if that cannot be told for certain.

        A noted id may be another program's by now; where /proc exists, the open lock file proves who it is.
        """
        try:
            pid = int(self.pidfile.read_text())
        except (OSError, ValueError):
            return None
        if not Path("/proc/self/fd").is_dir():
            return pid
        with contextlib.suppress(OSError):
            if any(
                _same(opened, self.folder / "server.lock") for opened in Path(f"/proc/{pid}/fd").iterdir()
            ):
                return pid
        return None

    def choose_socket(self) -> str:
        """Return the unix:// URL to listen at: in the folder, or in a short private one if it must be."""
        path = self.folder / "valkey.sock"
        if not _can_listen(path):
            path = Path(tempfile.mkdtemp(prefix=PREFIX)) / "s"
            if not _can_listen(path):
                path.parent.rmdir()
                path = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp")) / "s"  # nosec B108  # mkdtemp: it is ours alone
        return f"unix://{quote(str(path))}?db=0"

    def publish(self, url: str) -> None:
        """Tell who comes later where the server listens."""
        fresh = self.folder / "url.new"
        fresh.write_text(url)
        fresh.replace(self.folder / "url")

    def url(self) -> str | None:
        """Return the published URL; whether anybody still answers there is another question."""
        try:
            return (self.folder / "url").read_text()
        except FileNotFoundError:
            return None

    def forget(self) -> None:
        """Remove what the last server left of its presence: its URL, its socket and that one's own folder."""
        url = self.url()
        if url is None:
            return
        path = socket_path(url)
        path.unlink(missing_ok=True)
        if path.parent.name.startswith(PREFIX):
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        (self.folder / "url").unlink(missing_ok=True)

    def shorten_log(self) -> None:
        """Put an overlong log aside, so that two starts keep what there is to know and no more."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))

    def last_words(self) -> str:
        """Return the end of the server's log, for an error's text."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        except OSError:
            return "(it has no log)"
        return "\n".join(lines)


def socket_path(url: str) -> Path:
    """Return the path of a unix:// URL."""
    return Path(unquote(urlsplit(url).path))


def answer(url: str) -> str:
    """Return what the server says to a PING: `PONG`, the first word of an error (`LOADING`), or nothing."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(ANSWER_SECONDS)
        try:
            asking.connect(str(socket_path(url)))
            asking.sendall(b"PING\r\n")
            words = asking.recv(200).decode(errors="replace")[1:].split()
        except OSError:
            return ""
    return words[0] if words else ""


def _can_listen(path: Path) -> bool:
    """Tell whether a unix socket can stand there: some file systems have none, and paths have a limit."""
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        return False
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(str(path))
        except OSError:
            return False
    path.unlink()
    return True


def _same(opened: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return opened.samefile(other)
    return False
