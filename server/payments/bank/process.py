"""The bank as a process: its folder, its lock, its server, its webhooks."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from server.clock import monotonic
from server.payments.bank.api import Bank, create_app
from server.payments.bank.books import Books
from server.payments.bank.post import Post

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path

BOOKS = "payments.sqlite3"
LOCK = "bank.lock"
WEBHOOK = "webhook"  # a file in the folder: the address that hears of changes, if none was given
LOCK_SECONDS = 20.0  # for one that is leaving
POLL_SECONDS = 0.02
GRACE_SECONDS = 1
KEEP_ALIVE_SECONDS = 60
CONNECTIONS = 2000  # beyond, callers are answered 503


class TakenError(Exception):
    """Another bank keeps its books in this folder."""


def run(
    listening: socket.socket, folder: Path, key: bytes, webhook_url: str = "", page_url: str = ""
) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT. Raises TakenError.

    `page_url` is where buyers find it, `webhook_url` who hears of changes; empty: where servers do, whom the folder
    names.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(folder / LOCK)
    books = Books(folder / BOOKS)
    books.tells = True
    os.chmod(folder / BOOKS, 0o600)  # noqa: PTH101  it is one call either way
    post = Post(books, key, lambda: webhook_url or _noted(folder))

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        async with post.running():
            yield

    try:
        uvicorn.Server(
            uvicorn.Config(
                create_app(Bank(books, key, page_url), lifespan),
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
                limit_concurrency=CONNECTIONS,
            )
        ).run([listening])
    finally:
        books.close()
        os.close(lock)


def note(folder: Path, address: str) -> None:
    """Tell the bank of this folder, running or not, where changes are heard from now on."""
    fresh = folder / f"{WEBHOOK}.{os.getpid()}"
    fresh.write_text(address)
    fresh.replace(folder / WEBHOOK)


def _noted(folder: Path) -> str:
    try:
        return (folder / WEBHOOK).read_text()
    except FileNotFoundError:
        return ""


def _lock(file: Path) -> int:
    """Return the folder's lock; one whose owner died is about to go, and is waited for."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if monotonic() > deadline:
                os.close(descriptor)
                raise TakenError(f"Another sandbox keeps its books in {file.parent}.") from None
            time.sleep(POLL_SECONDS)
