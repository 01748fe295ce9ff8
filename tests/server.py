"""A real `livedrop serve` in a process of its own, on a free port, with its own data folder and private Valkey."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Self

from server.auth import EVERY_SHOW, Role, Tokens
from server.store.place import Place
from tests.ledgers import give_ledger
from tests.outside import stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

SECRET = "a-secret-of-the-tests-that-is-long-enough"
START_SECONDS = 40.0
STOP_SECONDS = 20.0


def free_port() -> int:
    """Return a TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_ready(port: int) -> bool:
    """Whether the server at a port of loopback says that it can sell; without httpx, whose start costs 30 ms each."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


@dataclass(slots=True)
class ServerProcess:
    """One server process; `start` it, `stop` it in good order, or `kill` it."""

    data: Path
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    module: str = "server"  # a negative control starts another one
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def tokens(self) -> Tokens:
        """The server's own tokens."""
        return Tokens(SECRET)

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.data.parent / f"{self.data.name}.log"

    @property
    def store_url(self) -> str:
        """The URL of its store, which must run."""
        url = self.settings.get("REDIS_URL") or Place(self.data.absolute() / "valkey").url()
        assert url is not None
        return url

    def environment(self) -> dict[str, str]:
        """Return the environment of this server's processes, free of what the shell has set for others."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("LIVEDROP_") and name not in {"REDIS_URL", "DATABASE_URL"}
        }
        own = {"LIVEDROP_DATA": str(self.data), "LIVEDROP_SECRET": SECRET, "LIVEDROP_LOG_LEVEL": "info"}
        return {**inherited, **own, **self.settings}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `livedrop` command beside the server, on its data."""
        return subprocess.run(
            [sys.executable, "-m", "server", *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self) -> Self:
        """Start the process and return when it can sell; it finds its tables made, which would take it a while."""
        if "DATABASE_URL" not in self.settings:
            give_ledger(self.data)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, "serve", "--port", str(self.port), *self.options],
                env=self.environment(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"the server ended with {self.process.returncode}:\n{self.log.read_text()}"
                )
            if is_ready(self.port):
                return self
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the server was not ready in {START_SECONDS} s:\n{self.log.read_text()}")

    def stop(self) -> int:
        """Ask it to leave and return its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Kill it at once."""
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def token(self, role: Role, subject: str, *shows: str, ttl: int = 3600) -> str:
        """Mint a token as the operator would; no shows named: every show."""
        return self.tokens.mint(subject, role, list(shows) or [EVERY_SHOW], ttl)[0]


@contextmanager
def outside(data: Path) -> Iterator[dict[str, str]]:
    """Give the settings of a server whose stores are outside of the suite, where there are such; else none."""
    if not stores.GIVEN:
        yield {}
        return
    with stores.database() as url:
        yield {"REDIS_URL": url, "DATABASE_URL": stores.ledger_for(url, data)}


@contextmanager
def own_server(
    folder: Path, settings: dict[str, str] | None = None, *, private: bool = False, **more: Any
) -> Iterator[ServerProcess]:
    """Run a server on a fresh data folder in `folder`; it must end in good order, with 0.

    A `private` one has its stores in that folder even where there are others outside.
    """
    place: AbstractContextManager[dict[str, str]] = nullcontext({}) if private else outside(folder / "data")
    with place as there:
        process = ServerProcess(folder / "data", settings={**there, **(settings or {})}, **more).start()
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        assert process.stop() == 0, process.log.read_text()
