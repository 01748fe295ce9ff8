"""Several server processes on one socket: started, kept alive, and ended together.

A process that dies is replaced, after a pause, so that one that cannot start does not spin. The kernel spreads new
connections over the processes. If this parent dies by whatever death, the processes end too.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING

import structlog

from server import app, logs
from server.cli.running import Server, config, leaving_quietly, traced
from server.store.leash import leash

if TYPE_CHECKING:
    import socket
    from multiprocessing.context import SpawnProcess

    from server.settings import Settings

POLL_SECONDS = 0.2
REPLACE_SECONDS = 1.0
TO_LEAVE = frozenset({signal.SIGTERM, signal.SIGINT})
GRACE_SECONDS = 5.0  # beyond the drain, before a process that does not leave is killed

log = structlog.get_logger(__name__)


def supervise(settings: Settings, bound: socket.socket, workers: int, *, work: bool) -> None:
    """Run `workers` processes until told to leave."""
    running: list[SpawnProcess] = []
    try:
        with leaving_quietly():
            for _ in range(workers):
                _start(running, settings, bound, work=work)
            while True:
                time.sleep(POLL_SECONDS)
                for process in [each for each in running if not each.is_alive()]:
                    told = log.error if process.exitcode else log.info  # 0: somebody told it to leave
                    told("process.ended", pid=process.pid, exit_code=process.exitcode)
                    running.remove(process)
                    time.sleep(REPLACE_SECONDS)
                    _start(running, settings, bound, work=work)
    finally:
        _end(running, settings.drain_seconds + GRACE_SECONDS)


def _start(running: list[SpawnProcess], settings: Settings, bound: socket.socket, *, work: bool) -> None:
    """Start a process and note it. No signal comes in between, or it would run on with nobody who knows of it."""
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(settings, bound, os.getpid()), kwargs={"work": work}, daemon=True
    )
    signal.pthread_sigmask(signal.SIG_BLOCK, TO_LEAVE)
    try:
        process.start()
        running.append(process)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_LEAVE)


def _serve(settings: Settings, bound: socket.socket, parent: int, *, work: bool) -> None:
    with leaving_quietly():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_LEAVE)  # it was inherited blocked
        if not leash(parent):
            return
        logs.configure(settings.log_level)
        with traced(settings):
            Server(config(settings, app.create_app(settings, work=work))).run([bound])


def _end(running: list[SpawnProcess], seconds: float) -> None:
    """Tell all to leave, wait, and kill by its own id who does not."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for process in running:
        process.terminate()
    deadline = time.monotonic() + seconds
    for process in running:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
