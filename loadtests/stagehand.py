"""A server of the load test's own, and a live show on it: started, made ready, and cleared away again."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import httpx

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

ROOT = Path(__file__).resolve().parents[1]


class StageError(Exception):
    """The stage cannot be set; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A server that runs: where it is, its host's token, and in which environment and folder its commands run.

    `pid` and `log` are those of the server's process where it is ours, else 0 and None.
    """

    url: str
    host_token: str
    environment: Mapping[str, str]
    folder: Path
    pid: int = 0
    log: Path | None = None


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
def own_server(**settings: str) -> Iterator[Stage]:
    """Give a server on loopback with its own data, and remove both afterwards. Raises StageError.

    `settings` are names and values of its environment.
    """
    with tempfile.TemporaryDirectory(prefix="livedrop-load-") as folder:
        port, secret = free_port(), secrets.token_urlsafe(32)
        own = {"LIVEDROP_DATA": f"{folder}/data", "LIVEDROP_SECRET": secret, "LIVEDROP_LOG_LEVEL": "warning"}
        environment = {**clean_environment(), **own, **settings}
        url, log = f"http://127.0.0.1:{port}", Path(folder) / "server.log"
        command = [sys.executable, "-m", "server", "serve", "--port", str(port)]
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
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StageError(f"The server ended with {process.returncode}:\n{log_tail(log)}")
        try:
            if httpx.get(url, timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(POLL_SECONDS)
    raise StageError(f"The server was not ready within {START_SECONDS:.0f} s:\n{log_tail(log)}")


def log_tail(log: Path) -> str:
    """Return the end of a process's log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]) or "(nothing)"


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
        raise StageError(f"{error.request.url} answered {error.response.text}") from None
    except httpx.TransportError as error:
        raise StageError(f"The server at {host.base_url} cannot be reached: {error}") from None
    return show


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
