"""The private server: a real Valkey (or Redis) that this process starts, owns and ends, for who has none.

Promise: one data folder has at most one server and one owner at any time, also after kill -9 of either. Two
locks see to it, both freed by the kernel when their holder dies: `owner.lock` is held by the Python process
that started the server; `server.lock` is held by the server process itself, which inherits it. Who comes
second attaches to the first one's server and leaves it running; a server whose owner is dead is ended before
another opens its data. Every acknowledged write is in the append-only file within a second, or at once with
`appendfsync="always"`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from server.clock import monotonic
from server.store import binary
from server.store.leash import leashed
from server.store.place import Place, answer, socket_path

if TYPE_CHECKING:
    from pathlib import Path

START_SECONDS = 20.0  # until the first answer
LOADING_SECONDS = 60.0  # and from then on while it reads its data
STOP_SECONDS = 20.0  # to write what is unwritten and go
ORPHAN_SECONDS = 30.0  # likewise, for a server whose owner died
POLL_SECONDS = 0.02

AppendFsync = Literal["everysec", "always"]


class EmbeddedError(Exception):
    """The private server cannot run; the text says why, what its log said last, and what to do."""


def _failure(place: Place, reason: str) -> EmbeddedError:
    return EmbeddedError(
        f"{reason}. Look into {place.log}, or set REDIS_URL to a server of your own, "
        f"or LIVEDROP_DATA to another folder. Its last words:\n{place.last_words()}"
    )


@dataclass(slots=True)
class Embedded:
    """A running private server at `url`. `owned` says whether `stop()` ends it or another does."""

    url: str
    owned: bool
    _place: Place = field(repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _owner_lock: int = field(default=-1, repr=False)

    @classmethod
    def start(cls, data: Path, appendfsync: AppendFsync = "everysec") -> Self:
        """Return the server of the data folder: started now, or the one that a living process has there.

        Blocks until it answers (an append-only file takes its time to load). Call it from the main thread:
        then, on Linux, the server goes down with this process whatever kills it. Raises EmbeddedError.
        """
        place = Place(data.absolute() / "valkey")
        try:
            place.prepare()
            return cls._own_or_attach(place, appendfsync)
        except binary.NoBinaryError as error:
            raise EmbeddedError(str(error)) from error
        except OSError as error:
            raise _failure(place, f"The store cannot be kept in {place.folder}: {error}") from error

    @classmethod
    def _own_or_attach(cls, place: Place, appendfsync: AppendFsync) -> Self:
        deadline = monotonic() + START_SECONDS + LOADING_SECONDS
        while True:
            lock = place.lock("owner.lock")
            if lock is not None:
                return cls._own(place, lock, appendfsync)
            url = place.url()
            if url and answer(url) == "PONG":
                return cls(url, owned=False, _place=place)
            if monotonic() > deadline:
                raise _failure(
                    place, f"Another process owns the store in {place.folder} but it does not answer"
                )
            time.sleep(POLL_SECONDS)

    @classmethod
    def _own(cls, place: Place, owner_lock: int, appendfsync: AppendFsync) -> Self:
        process = None
        try:
            server_lock = _free_of_orphans(place)
            try:
                place.forget()
                url = place.choose_socket()
                # Before it answers: who attaches waits for the answer, who follows a crash can clean up.
                place.publish(url)
                process = _launch(place, url, server_lock, appendfsync)
            finally:
                os.close(server_lock)  # from here on the server's own copy holds it
            _await_ready(place, process, url)
        except BaseException:
            if process is not None:
                end(process)
            place.forget()
            os.close(owner_lock)
            raise
        return cls(url, owned=True, _place=place, _process=process, _owner_lock=owner_lock)

    @property
    def pid(self) -> int | None:
        """The server's process id, where it is ours and not stopped."""
        return self._process.pid if self._process else None

    def lives(self) -> bool:
        """Whether the server still runs: our own process, or, where another owns it, that owner."""
        if self._process is not None:
            return self._process.poll() is None
        lock = self._place.lock("owner.lock")
        if lock is None:
            return True
        os.close(lock)
        return False

    def stop(self) -> None:
        """End the server if it is ours, after it has written everything; harmless when repeated."""
        if self._process is None:
            return
        end(self._process)
        self._process = None
        self._place.forget()
        os.close(self._owner_lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _free_of_orphans(place: Place) -> int:
    """Return the server lock, after ending a server that outlived its owner."""
    deadline = monotonic() + ORPHAN_SECONDS
    told = None
    while (lock := place.lock("server.lock")) is None:
        pid = place.server_pid()
        if pid is not None and pid != told:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            told = pid
        if monotonic() > deadline:
            raise _failure(place, f"A server without an owner (process {pid}) does not leave {place.folder}")
        time.sleep(POLL_SECONDS)
    return lock


def _launch(place: Place, url: str, server_lock: int, appendfsync: AppendFsync) -> subprocess.Popen[bytes]:
    settings = {
        "port": "0",
        "unixsocket": str(socket_path(url)),
        "unixsocketperm": "700",
        "protected-mode": "yes",
        "daemonize": "no",
        "dir": str(place.folder),
        "pidfile": str(place.pidfile),
        "logfile": str(place.log),
        "loglevel": "notice",
        "appendonly": "yes",
        "appendfsync": appendfsync,
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    command = [
        str(binary.find()),
        *(word for name, value in settings.items() for word in (f"--{name}", value)),
    ]
    place.shorten_log()
    with place.log.open("ab") as log:  # for what it says before it has read its settings
        return subprocess.Popen(
            _leashed(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(server_lock,),
            start_new_session=True,  # Ctrl-C is for us: the store is still needed while we drain
        )


def _leashed(command: list[str]) -> list[str]:
    """Return the command tied to our life; only the main thread surely lives as long as we do."""
    return leashed(command) if threading.current_thread() is threading.main_thread() else command


def _await_ready(place: Place, process: subprocess.Popen[bytes], url: str) -> None:
    deadline = monotonic() + START_SECONDS
    loading = False
    while (told := answer(url)) != "PONG":
        if told == "LOADING" and not loading:
            loading, deadline = True, monotonic() + LOADING_SECONDS
        if process.poll() is not None:
            raise _failure(
                place, f"The store in {place.folder} ended at its start with code {process.returncode}"
            )
        if monotonic() > deadline:
            state = "is still loading its data" if loading else "does not answer"
            raise _failure(place, f"The store in {place.folder} was started but {state}")
        time.sleep(POLL_SECONDS)


def end(process: subprocess.Popen[bytes], seconds: float = STOP_SECONDS) -> None:
    """End a server of our own: asked first, so that its files are whole; by force if it does not go in time."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
