"""The suite on stores outside: parts of them that nobody else has, empty before and after, and never by accident."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis

from server.ledger.engines import is_sqlite
from server.store.embedded import Embedded
from tests.composed import valkey
from tests.houses import house_at, live_show
from tests.outside import stores
from tests.postgres import Databases, Postgres, start_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = "somebody's own"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="ld-pg-"))
    try:
        server = start_postgres(folder)
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def given(tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """Let the suite think that two stores were named, and give a client of the Redis, which has a key already."""
    with valkey(tmp_path) as address, redis.Redis.from_url(f"redis://{address}/0") as client:
        client.set(KEPT, 1)
        monkeypatch.setattr(stores, "GIVEN", True)
        monkeypatch.setattr(stores, "REDIS_URL", f"redis://{address}/0")
        monkeypatch.setattr(stores, "_databases", Databases(postgres.url))
        monkeypatch.setattr(stores, "_ledgers", {})
        monkeypatch.setattr(stores, "_taken", set())  # what a run outside has taken is of another Redis
        stores._template.cache_clear()
        yield client
        stores.drop_all()


def databases_of(postgres: Postgres) -> set[str]:
    """Return the names of the databases that were made there."""
    with psycopg.connect(postgres.url) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 't\\_%'")
        return {name for (name,) in rows}


async def test_a_house_outside_is_on_both_and_leaves_nothing(
    given: redis.Redis, postgres: Postgres, tmp_path: Path
) -> None:
    """A show is in a database of that Redis, its ledger in one of that PostgreSQL; then both are gone, and no more."""
    with stores.store(tmp_path / "data") as store:
        async with house_at(store.url, tmp_path / "data") as house:
            await live_show(house)
            assert house.ledger.url.get_backend_name() == "postgresql"
            assert len(databases_of(postgres)) == 2  # the ledger's, and the one that it was copied from
        assert set(given.info("keyspace")) == {"db0", f"db{store.url.rpartition('/')[2]}"}
        stores.drop({tmp_path / "data"})
        assert len(databases_of(postgres)) == 1
    assert set(given.info("keyspace")) == {"db0"}
    assert given.get(KEPT) == b"1"
    stores.drop_all()
    assert databases_of(postgres) == set()


@pytest.mark.usefixtures("given")
def test_nobody_gets_a_database_that_somebody_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two stores at once are two databases, workers share none, and one with keys in it is passed over."""
    monkeypatch.setattr(stores, "WORKERS", 2)
    numbers = []
    for worker in range(2):
        monkeypatch.setattr(stores, "WORKER", worker)
        with stores.store(tmp_path) as one, stores.store(tmp_path) as other:
            numbers += [int(each.url.rpartition("/")[2]) for each in (one, other)]
    assert numbers == [2, 4, 1, 3]  # in 0 is somebody's key


@pytest.mark.usefixtures("given")
def test_when_all_are_taken_the_suite_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis without an empty database is not emptied for the tests."""
    monkeypatch.setattr(stores, "DATABASES", 1)
    with pytest.raises(RuntimeError, match="taken or has something in it"), stores.database():
        pass


@pytest.mark.usefixtures("given")
async def test_who_starts_a_store_has_the_ledger_beside_it(tmp_path: Path) -> None:
    """A test with a private store, which it may kill, keeps its ledger in the same folder, whatever is outside."""
    with Embedded.start(tmp_path / "data") as own:
        assert stores.ledger_for(own.url, tmp_path / "data") == ""
        async with house_at(own.url, tmp_path / "data") as house:
            assert is_sqlite(house.ledger.url)


def test_one_of_the_two_is_not_enough() -> None:
    """With one URL alone the suite does not begin: half of it would be on stores that nobody meant."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEST_")}
    done = subprocess.run(
        [sys.executable, "-c", "import tests.outside.stores"],
        env={**environment, "TEST_REDIS_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "belong together" in done.stderr
