"""Empty and migrated databases, each test with its own, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.ledger.database import Ledger, open_ledger
from server.ledger.engines import address
from tests.ledgers import give_ledger
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
    # In memory where the system has a place for that: a database is hundreds of files, and nothing here is to last.
    memory = Path("/dev/shm")  # noqa: S108  a folder of our own in it, made by mkdtemp
    folder = Path(tempfile.mkdtemp(prefix="ld-pg-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        server = start_postgres(folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give an empty database, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/books.sqlite3"
        return
    server: Databases = request.getfixturevalue("postgres")
    url = server.fresh()
    yield url
    server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give a database with the tables of today, once of each kind."""
    if request.param == "sqlite":
        give_ledger(tmp_path)
        yield address(tmp_path).render_as_string(hide_password=False)
        return
    server: Databases = request.getfixturevalue("postgres")
    url = server.fresh(server.migrated())
    yield url
    server.drop(url)


@pytest.fixture
async def ledger(migrated_url: str) -> AsyncIterator[Ledger]:
    """Give an open ledger, once on each kind of database."""
    async with opened(migrated_url) as one:
        yield one


@pytest.fixture
async def sqlite_ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """Give an open ledger on SQLite alone, for what only SQLite does."""
    give_ledger(tmp_path)
    async with opened(str(tmp_path)) as one:
        yield one


@pytest.fixture
async def postgresql_ledger(postgres: Databases) -> AsyncIterator[Ledger]:
    """Give an open ledger on PostgreSQL alone, for what only PostgreSQL does."""
    url = postgres.fresh(postgres.migrated())
    async with opened(url) as one:
        yield one
    postgres.drop(url)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Ledger]:
    """Open a ledger and close it in any case."""
    one = open_ledger(url)
    try:
        yield one
    finally:
        await one.close()
