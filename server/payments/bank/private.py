"""The private sandbox of a data folder: one bank, shared by every process that works on the folder.

`owner.lock` says whose it is. The owner binds its port, the same one again after every start, and holds it for as long
as it lives; so while the bank itself is not there, whoever asks waits a moment and is not refused. It is started when
somebody asks for the first time, and again when it dies; it ends with its owner, whatever ends that. Then one of the
others becomes the owner.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import structlog

from server.clock import monotonic
from server.payments.bank.signature import key_of
from server.store.embedded import end
from server.store.leash import leashed
from server.store.place import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "sandbox"
HOST = "127.0.0.1"
BACKLOG = 512
LOOK_SECONDS = 0.2
AGAIN_SECONDS = 0.5  # before a bank that has died is started again: one that cannot start must not spin
SHARE_SECONDS = 10.0  # for an owner to say where it listens
PORT_SECONDS = 5.0  # for the last owner's bank to let go of the port
STOP_SECONDS = 5.0

log = structlog.get_logger(__name__)


class PrivateSandbox(threading.Thread):
    """Keeps the bank of a folder there, at `url`, until `leave`. Raises OSError where the folder is of no use."""

    def __init__(self, data: Path, secret: str) -> None:
        super().__init__(name="sandbox-keeper", daemon=True)
        self.place = place_in(data)
        self._key = key_of(secret)
        self._leaving = threading.Event()
        self._woken, self._waking = socket.socketpair()
        self._owner_lock = -1
        self._listening: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @classmethod
    def begin(cls, data: Path, secret: str) -> Self:
        """Return the sandbox of the data folder: ours from now on, or that of a living process."""
        one = cls(data, secret)
        try:
            one.place.prepare()
            one.url = one._own_or_share()
        except BaseException:
            one._close()
            raise
        one.start()
        return one

    @property
    def owned(self) -> bool:
        """Whether it ends with this process."""
        return self._listening is not None

    @property
    def pid(self) -> int | None:
        """The bank's process id, where it is ours and was started."""
        return self._process.pid if self._process else None

    def leave(self) -> None:
        """Let go of it, and end it if it is ours. May be called once."""
        self._leaving.set()
        self._waking.send(b"x")
        self.join()
        self._close()

    def run(self) -> None:
        """Watch until told to leave. This very thread starts the bank: it must outlive it, for the leash."""
        try:
            while not self._leaving.is_set():
                try:
                    self._look()
                except OSError as error:
                    log.exception("sandbox.not_kept", reason=str(error))
                    self._leaving.wait(AGAIN_SECONDS)
        finally:
            self._end()

    def _own_or_share(self) -> str:
        deadline = monotonic() + SHARE_SECONDS
        while True:
            if self._own():
                return self.place.url() or ""
            url = self.place.url()
            if url:
                return url
            if monotonic() > deadline:
                raise OSError(
                    f"another process owns the sandbox in {self.place.folder} and does not say where"
                )
            time.sleep(LOOK_SECONDS)

    def _own(self) -> bool:
        """Become the owner if there is none."""
        lock = self.place.lock("owner.lock")
        if lock is None:
            return False
        try:
            listening = _listen(self.place.url())
            self.place.publish(f"http://{HOST}:{listening.getsockname()[1]}")
        except BaseException:
            os.close(lock)
            raise
        self._owner_lock, self._listening = lock, listening
        return True

    def _look(self) -> None:
        if self._listening is None:
            self._look_after_the_owner()
        elif self._process is None:
            self._wait_for_the_first()
        elif self._process.poll() is None:
            self._leaving.wait(LOOK_SECONDS)
        else:
            log.warning("sandbox.gone", exit_code=self._process.returncode, log=str(self.place.log))
            if not self._leaving.wait(AGAIN_SECONDS):
                self._launch(self._listening)

    def _look_after_the_owner(self) -> None:
        if self._leaving.wait(LOOK_SECONDS):
            return
        if self._own():
            log.info("sandbox.taken_over")
        if self.place.url() != self.url:
            # Nobody here would ever find it: better to leave and be started anew than to be up and useless.
            log.error("sandbox.moved")
            os.kill(os.getpid(), signal.SIGTERM)
            self._leaving.wait()

    def _wait_for_the_first(self) -> None:
        assert self._listening is not None  # noqa: S101  the owner listens
        # `select` knows no descriptor from 1024 on, and who takes over may have thousands of sockets.
        waiting = select.poll()
        for each in (self._listening, self._woken):
            waiting.register(each, select.POLLIN)
        called = {descriptor for descriptor, _ in waiting.poll()}
        if self._listening.fileno() in called and not self._leaving.is_set():
            self._launch(self._listening)

    def _launch(self, listening: socket.socket) -> None:
        self.place.shorten_log()
        command = [
            sys.executable,
            "-m",
            "server.payments.bank",
            str(listening.fileno()),
            str(self.place.folder),
        ]
        with self.place.log.open("ab") as words:
            process = subprocess.Popen(
                leashed(command),
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=words,
                stderr=words,
                pass_fds=(listening.fileno(),),
                start_new_session=True,  # Ctrl-C is for us: checkouts may need the bank while we drain
            )
        self._process = process
        assert process.stdin is not None  # noqa: S101  it is a pipe
        try:
            process.stdin.write(self._key)
            process.stdin.close()
        except BrokenPipeError:
            log.warning("sandbox.not_started", log=str(self.place.log))

    def _close(self) -> None:
        self._woken.close()
        self._waking.close()
        if self._listening is not None:
            self._listening.close()
            os.close(self._owner_lock)

    def _end(self) -> None:
        if self._process is None:
            return
        end(self._process, STOP_SECONDS)
        self._process = None


def place_in(data: Path) -> Place:
    """Return where the private sandbox of a data folder keeps itself."""
    return Place(data.absolute() / FOLDER, FOLDER)


def _listen(known: str | None) -> socket.socket:
    """Return a socket that listens where the last one did, or, where somebody else does by now, on a free port."""
    port = urlsplit(known or "").port or 0
    deadline = monotonic() + PORT_SECONDS
    while True:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
            listening.listen(BACKLOG)
            return listening
        except OSError:
            listening.close()
            if port == 0:
                raise
            if monotonic() > deadline:
                port = 0
        time.sleep(LOOK_SECONDS / 4)


def _environment() -> Mapping[str, str]:
    """Return ours, in which the bank finds this very package."""
    root = str(Path(__file__).parents[3])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
