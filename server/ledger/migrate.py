"""Bring a database to the newest tables, once, however many processes ask at the same time.

Alembic without an ini file: the migrations lie inside this package, so an installed server has them. All
steps run in one transaction under a lock; a failed migration leaves the database as it was. Alembic is imported where
something is missing: most processes find nothing to do, and it would take a fifth of their start.
To add one: change `tables.py`, run `python -m server.ledger.migrate "what it does"`, read what was written.
"""

from __future__ import annotations

import fcntl
import sqlite3
import sys
import tempfile
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import column, inspect, select, table, text

from server.ledger.engines import address, is_sqlite, open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from sqlalchemy import URL, Connection, Engine

MIGRATIONS = Path(__file__).parent / "migrations"
WAIT_MS = 120_000  # for another process that is migrating
VERSIONS = table("alembic_version", column("version_num"))  # where Alembic keeps the newest migration, alone
ADVISORY_LOCK = 0x6C64_6D69_6772  # "ldmigr": the number that PostgreSQL knows this lock by

# Alembic's context is one per process.
_one_at_a_time = threading.Lock()


def migrate(url_or_path: str | Path, *, copy: Path | None = None) -> list[str]:
    """Apply what is missing and return the names of the applied migrations, oldest first; empty if none were.

    Safe to call from several processes at once: one works, the others wait and find nothing to do. Creates a
    missing SQLite file. Where `copy` is given, an older SQLite file is kept there first, as nobody can write into it
    meanwhile; nothing is copied where nothing was missing. Database errors pass through.
    """
    url = address(url_or_path)
    with _one_at_a_time, _engine(url) as engine, _alone(url), engine.begin() as connection:
        _lock(connection)
        before, known = _revision(connection), _known()
        if before == known[-1]:
            return []
        if copy is not None and before is not None:
            _copy(Path(str(url.database)), copy)
        from alembic import command  # noqa: PLC0415  see above

        command.upgrade(_config(connection), "head")
        return [revision for revision in known if before is None or revision > before]


def is_current(url_or_path: str | Path) -> bool:
    """Whether the database has the newest tables. Changes nothing; a missing SQLite file is not current."""
    return _stored(url_or_path) == _known()[-1]


def is_empty(url_or_path: str | Path) -> bool:
    """Whether no migration was ever applied there. Changes nothing; a missing SQLite file is empty."""
    return _stored(url_or_path) is None


def is_newer(url_or_path: str | Path) -> bool:
    """Whether a migration was applied there that this version does not know. Changes nothing."""
    return _stored(url_or_path) not in {None, *_known()}


def revise(message: str, folder: Path = MIGRATIONS) -> Path:
    """Write the migration from the newest one to `tables.py` into `folder`/versions and return its path."""
    from alembic import command  # noqa: PLC0415  see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415  likewise

    with tempfile.TemporaryDirectory() as scratch, _one_at_a_time, _engine(address(scratch)) as engine:
        with engine.begin() as connection:
            command.upgrade(_config(connection, folder), "head")
        with engine.begin() as connection:
            config = _config(connection, folder)
            number = len(list(ScriptDirectory(str(folder)).walk_revisions())) + 1
            written = command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")
    if written is None or isinstance(written, list):
        raise RuntimeError(f"one migration was expected, got {written!r}")
    return Path(written.path)


def _config(connection: Connection, folder: Path = MIGRATIONS) -> Config:
    from alembic.config import Config  # noqa: PLC0415  see above

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _engine(url: URL) -> Iterator[Engine]:
    engine = open_engine(url, connections=1, writes=True, wait_ms=WAIT_MS)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _alone(url: URL) -> Iterator[None]:
    """Hold the lock file of a SQLite file: SQLite does not wait where two switch on its write-ahead log."""
    if not is_sqlite(url):
        yield
        return
    # Never removed: removing a lock file lets two processes hold two files of one name.
    with Path(f"{url.database}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _lock(connection: Connection) -> None:
    """Wait for any other migration, on PostgreSQL; SQLite waits at BEGIN. Ends with the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY_LOCK})


def _copy(file: Path, copy: Path) -> None:
    """Copy a SQLite file with what its write-ahead log has; for its owner alone, as it may name buyers."""
    copy.touch(mode=0o600)
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def _known() -> list[str]:
    """Return the migrations of this version, oldest first: a file's name opens with its own."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _stored(url_or_path: str | Path) -> str | None:
    """Return the newest migration of a database, None where it has none."""
    url = address(url_or_path)
    if is_sqlite(url) and not Path(str(url.database)).exists():
        return None
    engine = open_engine(url, connections=1, writes=False)
    try:
        with engine.connect() as connection:
            return _revision(connection)
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSIONS.name):
        return None
    revision: str | None = connection.execute(select(VERSIONS.c.version_num)).scalar_one_or_none()
    return revision


if __name__ == "__main__":
    sys.stdout.write(f"{revise(' '.join(sys.argv[1:]))}\n")
