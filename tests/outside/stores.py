"""Where a test's store is: one that the test starts, or a part of one that runs already.

With TEST_REDIS_URL and TEST_DATABASE_URL set, every test works on these two that neither ends, restarts nor disturbs
its store, nor looks into its files. Each store of a test is then an empty logical database of that Redis, and the
ledger beside it a database of its own in that PostgreSQL; both are emptied and removed again. What is in the Redis
already is left alone. REDIS_URL and DATABASE_URL are not looked at: in somebody's shell they may name the real ones.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import redis
from sqlalchemy import make_url

from server.ledger.migrate import migrate
from server.store.embedded import Embedded
from server.store.place import Place
from tests.postgres import Databases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REDIS_URL = os.environ.get("TEST_REDIS_URL", "")
DATABASE_URL = os.environ.get("TEST_DATABASE_URL", "")
GIVEN = bool(REDIS_URL and DATABASE_URL)
DATABASES = 16  # that a Redis has where nobody said otherwise
# Workers of one run share the Redis: each has every so many-th database.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

if bool(REDIS_URL) != bool(DATABASE_URL):
    raise RuntimeError("TEST_REDIS_URL and TEST_DATABASE_URL belong together: one of the two is not set.")

_taken: set[int] = set()  # databases of the Redis that a test has now
_databases = Databases(DATABASE_URL)
_ledgers: dict[Path, str] = {}  # data folder -> the URL of the ledger that stands for it


@contextmanager
def store(folder: Path) -> Iterator[Embedded]:
    """Give a store that nobody else has: a private one with its data in the folder, or a part of the one outside."""
    if not GIVEN:
        with Embedded.start(folder) as private:
            yield private
        return
    with database() as url:
        yield Embedded(url, owned=False, _place=Place(folder))


@contextmanager
def database() -> Iterator[str]:
    """Give the URL of an empty database of the Redis outside; afterwards it is empty again."""
    for number in range(WORKER, DATABASES, WORKERS):
        if number in _taken:
            continue
        url = redis_url(number)
        with redis.Redis.from_url(url) as client:
            if client.dbsize():
                continue  # somebody keeps something there
            _taken.add(number)
            try:
                yield url
            finally:
                client.flushdb()
                _taken.discard(number)
            return
    raise RuntimeError("Every database of the Redis at TEST_REDIS_URL is taken or has something in it.")


@contextmanager
def beside(url: str) -> Iterator[str]:
    """Give the URL of another database of the server that a store is on."""
    if is_outside(url):
        with database() as other:
            yield other
    else:
        yield f"{url.removesuffix('db=0')}db=1"


def redis_url(number: int) -> str:
    """Return the URL of one database of the Redis outside."""
    return make_url(REDIS_URL).set(database=str(number)).render_as_string(hide_password=False)


def is_outside(url: str) -> bool:
    """Whether a Redis URL was given out here."""
    return GIVEN and url in {redis_url(number) for number in _taken}


def ledger_for(store_url: str, data: Path) -> str:
    """Return the URL of the ledger of whoever keeps their data in a folder; empty: SQLite, in that folder.

    Beside a store outside the ledger is outside too: a database of its own for each folder, with its tables made.
    """
    if not is_outside(store_url):
        return ""
    if data not in _ledgers:
        _ledgers[data] = _databases.fresh(_template())
    return _ledgers[data]


def ledgers() -> set[Path]:
    """Return the folders that have a ledger outside now."""
    return set(_ledgers)


def drop(folders: set[Path]) -> None:
    """Remove the ledgers of these folders."""
    for folder in folders:
        _databases.drop(_ledgers.pop(folder))


def drop_all() -> None:
    """Remove every ledger, and what they were copied from."""
    _ledgers.clear()
    _template.cache_clear()
    _databases.drop_all()


@cache
def _template() -> str:
    url = _databases.fresh()
    migrate(url)
    return url
