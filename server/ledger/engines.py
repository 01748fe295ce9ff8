"""Connections to the two databases that the ledger knows, each set up so that a commit is a commit.

SQLite: write-ahead log, every commit flushed, foreign keys on, and a writer that takes the write lock at
BEGIN, so that it waits there instead of failing half-way. PostgreSQL: through psycopg 3, READ COMMITTED,
bounded waits.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

FILE_NAME = "livedrop.sqlite3"  # the default database, inside the data directory
FILE_SUFFIXES = (".sqlite3", ".sqlite", ".db")  # any other path is a directory, there or yet to be made
POSTGRESQL = "postgresql+psycopg"
CONNECT_SECONDS = 5
WAIT_MS = 5_000  # for a lock that somebody else holds
STATEMENT_MS = 15_000  # for one statement, PostgreSQL only
IDLE_MS = 30_000  # for a transaction whose client went silent, PostgreSQL only


def address(url_or_path: str | Path) -> URL:
    """Return the URL for `sqlite:///…`, `postgresql://…`, a file's path, or the data directory's.

    Raises ValueError for any other kind of URL.
    """
    text = str(url_or_path)
    if "://" not in text:
        path = Path(text).expanduser()
        is_file = path.is_file() or (path.suffix in FILE_SUFFIXES and not path.is_dir())
        return URL.create("sqlite", database=str(path if is_file else path / FILE_NAME))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ValueError("the database URL cannot be read: expected postgresql://user@host/name") from error
    if url.drivername in {"postgresql", "postgres", POSTGRESQL}:
        return url.set(drivername=POSTGRESQL)
    if url.drivername in {"sqlite", "sqlite+pysqlite"} and url.database not in {None, "", ":memory:"}:
        return url.set(drivername="sqlite")
    raise ValueError(
        f"the database URL begins with '{url.drivername}': the ledger takes postgresql://… or sqlite:///file"
    )


def is_sqlite(url: URL) -> bool:
    """Whether the URL names a SQLite file."""
    return url.get_backend_name() == "sqlite"


def open_engine(url: URL, *, connections: int, writes: bool, wait_ms: int = WAIT_MS) -> Engine:
    """Return an engine with at most `connections`; with `writes=False` the database refuses every change.

    No connection is made yet. A SQLite file's directory is made if it is missing, for its owner only.
    """
    if is_sqlite(url):
        Path(str(url.database)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = create_engine(url, pool_size=connections, max_overflow=0, hide_parameters=True)
        _set_up_sqlite(engine, writes=writes, wait_ms=wait_ms)
        return engine
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "application_name": "livedrop"}
    if writes:
        arguments["target_session_attrs"] = "read-write"  # never a replica that is catching up
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        connect_args={**arguments, **url.query},
    )
    _set_up_postgresql(engine, writes=writes, wait_ms=wait_ms)
    return engine


def _set_up_sqlite(engine: Engine, *, writes: bool, wait_ms: int) -> None:
    @event.listens_for(engine, "connect")
    def prepare(raw: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # The driver's own BEGIN comes too late (not before SELECT or SAVEPOINT): ours comes from the event.
        raw.isolation_level = None
        cursor = raw.cursor()
        cursor.execute(f"PRAGMA busy_timeout={wait_ms:d}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _set_up_postgresql(engine: Engine, *, writes: bool, wait_ms: int) -> None:
    @event.listens_for(engine, "connect")
    def prepare(raw: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = raw.cursor()
        cursor.execute(f"SET lock_timeout = {wait_ms:d}")
        cursor.execute(f"SET statement_timeout = {max(STATEMENT_MS, wait_ms):d}")
        cursor.execute(f"SET idle_in_transaction_session_timeout = {IDLE_MS:d}")
        cursor.execute(f"SET default_transaction_read_only = {'off' if writes else 'on'}")
        # A server set to answer before its disk did would lose acknowledged orders; stronger settings stay.
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
        cursor.close()
        raw.commit()
