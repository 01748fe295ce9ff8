"""A server of the load test's own, and a live show on it: started, made ready, and cleared away again."""

from __future__ import annotations

import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import httpx

from loadtests import family
from server.auth import EVERY_SHOW, Role, Tokens
from server.catalog.readers import SAMPLE_CURRENCY, SAMPLE_FEED
from server.store.leash import leashed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

START_SECONDS = 40.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.05
TOKEN_SECONDS = 24 * 3600
HTTP_SECONDS = 30.0
LOG_TAIL_LINES = 20
ANSWER_LENGTH = 300
SPARE_FILES = 200  # descriptors that a process needs beside its viewers
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

ROOT = Path(__file__).resolve().parents[1]


class StageError(Exception):
    """The stage cannot be set; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A server that runs: where it is, its host's token, and in which environment and folder its commands run.

    `pid` and `log` are those of the server's process where it is ours, else 0 and None; with several workers it is the
    one that keeps them.
    """

    url: str
    host_token: str
    environment: Mapping[str, str]
    folder: Path
    pid: int = 0
    log: Path | None = None

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def processes(self) -> list[int]:
        """The processes of the server that can be seen here, the first ones: what they have started is not listed."""
        if self.pid:
            return [self.pid]
        return family.holding(self.port) if urlsplit(self.url).hostname in LOOPBACK else []


def elsewhere(url: str, host_token: str) -> Stage:
    """Return the stage of a server that somebody else runs; its commands take our environment and folder."""
    return Stage(url.rstrip("/"), host_token, os.environ, Path.cwd())


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what it says about other servers of Livedrop.

    Programs started in it find the project's packages from every folder.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LIVEDROP_") and name not in {"REDIS_URL", "DATABASE_URL"}
    }
    return {**inherited, "PYTHONPATH": str(ROOT)}


@contextmanager
def own_server(workers: int = 1, program: str = "server", **settings: str) -> Iterator[Stage]:
    """Give a server on loopback with its own data, in so many processes, and remove both afterwards. Raises StageError.

    `settings` are names and values of its environment; `program` is the module that is run as the server.
    """
    with tempfile.TemporaryDirectory(prefix="livedrop-load-") as folder:
        port, secret = free_port(), secrets.token_urlsafe(32)
        own = {"LIVEDROP_DATA": f"{folder}/data", "LIVEDROP_SECRET": secret, "LIVEDROP_LOG_LEVEL": "warning"}
        environment = {**clean_environment(), **own, **settings}
        url, log = f"http://127.0.0.1:{port}", Path(folder) / "server.log"
        command = [sys.executable, "-m", program, "serve", "--port", str(port), "--workers", str(workers)]
        # In its own folder: a .env file here would speak of other servers.
        with running(command, environment, Path(folder), log) as process:
            await_ready(process, f"{url}/readyz", log)
            token, _ = Tokens(secret).mint("load-host", Role.HOST, [EVERY_SHOW], TOKEN_SECONDS)
            yield Stage(url, token, environment, Path(folder), process.pid, log)


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str], folder: Path, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a folder until the end of the block, its output in `log` (None: our stdout); then end it.

    It goes down with this process, whatever ends that (on Linux).
    """
    sys.stdout.flush()
    with log.open("ab") if log is not None else nullcontext() as output:
        process = subprocess.Popen(
            leashed(command),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask our own process to leave, and kill it if it does not; harmless when it has ended."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def await_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return when `url` answers with 200. Raises StageError with the end of the log."""
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(timeout=2, trust_env=False) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise StageError(f"The server ended with {process.returncode}:\n{log_tail(log)}")
            with suppress(httpx.TransportError):
                if client.get(url).status_code == httpx.codes.OK:
                    return
            time.sleep(POLL_SECONDS)
    raise StageError(f"The server was not ready within {START_SECONDS:.0f} s:\n{log_tail(log)}")


def log_tail(log: Path) -> str:
    """Return the end of a process's log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]) or "(nothing)"


def files_allow() -> int:
    """Return how many viewers the limit of open files leaves room for, one at least."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if most == resource.RLIM_INFINITY else max(1, most - SPARE_FILES)


def allow_files(sockets: int) -> None:
    """Let this process and those that it starts have as many open files as they may. Raises StageError if too few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files_allow() < sockets:
        raise StageError(
            f"{sockets:,} viewers need {sockets + SPARE_FILES:,} open files and this shell allows {most:,}. "
            f"Raise its limit (ulimit -Hn {sockets + SPARE_FILES}, as root) or ask for fewer viewers."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def door(url: str, host_token: str) -> httpx.Client:
    """Return the host's HTTP client."""
    return httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {host_token}"}, timeout=HTTP_SECONDS, trust_env=False
    )


def live_show(host: httpx.Client) -> str:
    """Import the sample feed where the catalog is empty, start a show and return its id. Raises StageError."""
    try:
        if not host.get("/v1/catalog/products?limit=1").raise_for_status().json()["items"]:
            path = f"/v1/catalog/import?format=shopify&currency={SAMPLE_CURRENCY}"
            host.post(path, content=SAMPLE_FEED.read_bytes()).raise_for_status()
        terms = {"title": "A load test", "currency": SAMPLE_CURRENCY}
        show: str = host.post("/v1/shows", json=terms).raise_for_status().json()["id"]
        host.post(f"/v1/shows/{show}/start").raise_for_status()
    except httpx.HTTPStatusError as error:
        raise StageError(_refused(error)) from None
    except httpx.TransportError as error:
        raise StageError(
            f"The server at {host.base_url} cannot be reached ({error}). Is it running, and is this its address?"
        ) from None
    except (ValueError, KeyError):
        raise StageError(f"What answers at {host.base_url} is no server of Livedrop.") from None
    return show


def _refused(error: httpx.HTTPStatusError) -> str:
    said = f"{error.request.url} answered {error.response.status_code}: {error.response.text[:ANSWER_LENGTH]}"
    if error.response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return f"{said}\nA host's token for every show there is needed: livedrop token --role host --sub load"
    return said


def leave_on_sigterm() -> None:
    """End this process by SIGTERM as by Ctrl-C: blocks are left in order, so what they started goes too."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def mug_terms(limit: int, hold_seconds: int) -> dict[str, Any]:
    """Return a drop's terms, for programs that make their drops past the HTTP door."""
    return {
        "sku": "MUG",
        "title": "Enamel Mug",
        "unit_price": 1250,
        "currency": "EUR",
        "limit_per_viewer": limit,
        "hold_seconds": hold_seconds,
        "mode": "fifo",
        "waitlist": False,
    }
