"""Migrations: the same tables as the code's, once, whoever asks."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from server.ledger import migrate as module
from server.ledger.engines import address, open_engine
from server.ledger.migrate import MIGRATIONS, is_current, is_empty, is_newer, migrate, revise
from server.ledger.tables import metadata
from tests.ledger.older import BUYER, FIRST, first_tables, has, later_tables

if TYPE_CHECKING:
    from pathlib import Path

MIGRATE = "import sys; from server.ledger.migrate import migrate; print(len(migrate(sys.argv[1])))"


def test_the_migrations_build_the_tables_of_the_code(migrated_url: str) -> None:
    """After all migrations, nothing is left that would have to change to reach `tables.py`."""
    engine = open_engine(address(migrated_url), connections=1, writes=False)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_server_default": True})
            assert compare_metadata(context, metadata) == []
            assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
    finally:
        engine.dispose()


def test_migrating_twice_does_it_once(database_url: str) -> None:
    """The first call applies every migration, the second none; only then is the database current."""
    assert not is_current(database_url)
    assert is_empty(database_url)
    applied = migrate(database_url)
    assert applied == sorted(applied)
    assert applied[0] == "0001"
    assert is_current(database_url)
    assert not is_empty(database_url)
    assert migrate(database_url) == []


def test_processes_that_migrate_at_once_do_it_once(database_url: str) -> None:
    """Of four processes that start together one migrates, the others wait, and all succeed."""
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", MIGRATE, database_url], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    migrations = len(list((MIGRATIONS / "versions").glob("0*.py")))
    assert sorted(int(output) for output in outputs) == [0, 0, 0, migrations]


def test_asking_makes_no_file(tmp_path: Path) -> None:
    """Asking about a missing SQLite file leaves it missing: it is empty and not current."""
    assert not is_current(tmp_path / "books.sqlite3")
    assert is_empty(tmp_path / "books.sqlite3")
    assert list(tmp_path.iterdir()) == []


def test_migrating_makes_the_folder(tmp_path: Path) -> None:
    """A SQLite file in a folder that does not exist yet is made with its folder."""
    migrate(tmp_path / "new" / "books.sqlite3")
    assert is_current(tmp_path / "new" / "books.sqlite3")


def test_every_migration_can_be_taken_back(migrated_url: str) -> None:
    """Downgrading to the start leaves no table of ours."""
    engine = open_engine(address(migrated_url), connections=1, writes=True)
    try:
        with engine.begin() as connection:
            command.downgrade(
                module._config(connection), "base"
            )  # the command line offers no way back on purpose
            assert inspect(connection).get_table_names() == ["alembic_version"]
    finally:
        engine.dispose()


def test_a_new_migration_starts_where_the_tables_are(tmp_path: Path) -> None:
    """`revise` without a change of the tables writes the next number with nothing to do."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    count = len(list((folder / "versions").glob("0*.py")))
    written = revise("nothing new", folder)
    assert written.name == f"{count + 1:04d}_nothing_new.py"
    assert 'def upgrade() -> None:\n    """Go forward."""\n    # ###' in written.read_text()
    assert "op." not in written.read_text().split("def upgrade")[1]


def test_a_newer_ledger_is_known_as_such(tmp_path: Path) -> None:
    """Only a migration that this version does not know is newer: not a missing file, an older ledger or today's."""
    first_tables(tmp_path / "older")
    migrate(tmp_path / "today")
    later_tables(tmp_path / "later")
    folders = ("none", "older", "today", "later")
    assert [is_newer(tmp_path / folder) for folder in folders] == [False, False, False, True]


def test_an_older_ledger_is_kept_as_it_was(tmp_path: Path) -> None:
    """The copy has the old tables with all that was committed, its owner alone reads it; nothing is copied twice."""
    file = first_tables(tmp_path)
    with closing(sqlite3.connect(file)) as another:  # holds what was committed in the write-ahead log
        another.execute("UPDATE orders SET viewer = ?", (f"{BUYER} and friend",))
        another.commit()
        migrate(tmp_path, copy=tmp_path / "copy")
    assert has(tmp_path / "copy") == (FIRST, [f"{BUYER} and friend"])
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    assert is_current(tmp_path)
    for folder in (tmp_path, tmp_path / "new"):
        migrate(folder, copy=tmp_path / "again")
    assert not (tmp_path / "again").exists()
