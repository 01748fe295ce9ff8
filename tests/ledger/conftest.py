"""Empty and migrated databases, each test with its own, on SQLite and on PostgreSQL."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.ledger.database import Ledger, open_ledger
from server.ledger.migrate import migrate
from tests.outside import stores
from tests.postgres import Databases, start_postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """Give a PostgreSQL server for the whole run: the one outside of the suite, where there is one."""
    if stores.GIVEN:
        outside = Databases(stores.DATABASE_URL)
        yield outside
        outside.drop_all()
        return
    folder = Path(tempfile.mkdtemp(prefix="ld-pg-"))
    try:
        server = start_postgres(folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/books.sqlite3"
    server: Databases = request.getfixturevalue("postgres")
    return server.fresh()


@pytest.fixture
def migrated_url(database_url: str) -> str:
    """Give a database with the tables of today."""
    migrate(database_url)
    return database_url


@pytest.fixture
async def ledger(migrated_url: str) -> AsyncIterator[Ledger]:
    """Give an open ledger, once on each kind of database."""
    async with opened(migrated_url) as one:
        yield one


@pytest.fixture
async def sqlite_ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """Give an open ledger on SQLite alone, for what only SQLite does."""
    migrate(tmp_path)
    async with opened(str(tmp_path)) as one:
        yield one


@pytest.fixture
async def postgresql_ledger(postgres: Databases) -> AsyncIterator[Ledger]:
    """Give an open ledger on PostgreSQL alone, for what only PostgreSQL does."""
    url = postgres.fresh()
    migrate(url)
    async with opened(url) as one:
        yield one


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Ledger]:
    """Open a ledger and close it in any case."""
    one = open_ledger(url)
    try:
        yield one
    finally:
        await one.close()
