"""URLs, and what a connection is set to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import text

from server.ledger.engines import FILE_NAME, address, open_engine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Databases


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://u:p@db:5433/shop", "postgresql+psycopg://u:p@db:5433/shop"),
        ("postgres://db/shop?sslmode=require", "postgresql+psycopg://db/shop?sslmode=require"),
        ("postgresql+psycopg://db/shop", "postgresql+psycopg://db/shop"),
        ("sqlite:////var/lib/shop.db", "sqlite:////var/lib/shop.db"),
        ("sqlite+pysqlite:///shop.db", "sqlite:///shop.db"),
        ("/var/lib/shop.db", "sqlite:////var/lib/shop.db"),
    ],
)
def test_an_address_names_its_driver(given: str, expected: str) -> None:
    """The usual ways to write a database's URL lead to the two drivers that the ledger is tested with."""
    assert address(given).render_as_string(hide_password=False) == expected


def test_a_directory_means_its_default_file(tmp_path: Path) -> None:
    """A data directory stands for the file inside it, also before it is made; a file stands for itself."""
    assert address(tmp_path).database == str(tmp_path / FILE_NAME)
    assert address(tmp_path / "new").database == str(tmp_path / "new" / FILE_NAME)
    (tmp_path / "books").touch()
    assert address(tmp_path / "books").database == str(tmp_path / "books")


def test_a_new_directory_is_its_owners(tmp_path: Path) -> None:
    """The folder of the books, with its buyers' addresses, is made closed to other users."""
    open_engine(address(tmp_path / "new"), connections=1, writes=True).dispose()
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "given", ["mysql://db/shop", "postgresql+asyncpg://db/shop", "sqlite://", "sqlite:///:memory:"]
)
def test_another_kind_of_database_is_refused(given: str) -> None:
    """What the ledger is not built for is named, with what it takes instead."""
    with pytest.raises(ValueError, match=r"the ledger takes postgresql://… or sqlite:///file"):
        address(given)


def test_a_refusal_does_not_repeat_the_password() -> None:
    """A URL that cannot be read is not quoted back: it may hold a password."""
    with pytest.raises(ValueError, match="cannot be read") as refused:
        address("postgresql://u:hunter2@db:port/shop")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("writes", [True, False])
def test_sqlite_flushes_every_commit(tmp_path: Path, *, writes: bool) -> None:
    """A connection has the write-ahead log, full flushes, foreign keys; only a writer may change things."""
    engine = open_engine(address(tmp_path), connections=1, writes=writes)
    try:
        with engine.connect() as connection:
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")
            found = {name: connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in names}
    finally:
        engine.dispose()
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5_000,
        "query_only": 0 if writes else 1,
    }


@pytest.mark.parametrize(
    ("server_has", "we_use"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")]
)
def test_postgresql_never_answers_before_its_disk(postgres: Databases, server_has: str, we_use: str) -> None:
    """Where the server's default gives up durability, our sessions take it back; a stronger default stays."""
    url = postgres.fresh()
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = {server_has}".encode())
    engine = open_engine(address(url), connections=1, writes=True)
    try:
        with engine.connect() as connection_of_ours:
            names = ("synchronous_commit", "transaction_isolation", "lock_timeout", "statement_timeout")
            found = [connection_of_ours.execute(text(f"SHOW {name}")).scalar_one() for name in names]
    finally:
        engine.dispose()
    assert found == [we_use, "read committed", "5s", "15s"]
