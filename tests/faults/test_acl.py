"""The store's user for Livedrop, as docs/production.md gives it: enough for everything, and for nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from redis.exceptions import NoPermissionError

from server import ids
from server.store.embedded import Embedded
from server.store.lua import load, lua_folder
from server.store.redis import connect, require_supported
from tests.eventlog.notes import Notes, listening
from tests.houses import house_at
from tests.store.cluster.lives import live_through
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from server.house import House
    from server.store.redis import Redis

PAGE = Path(__file__).parents[2] / "docs" / "production.md"
LINE = re.compile(r"^ACL SETUSER livedrop (?P<rules>.+)$", re.MULTILINE)
PASSWORD = "a-password"
CALL = re.compile(r"redis\.p?call\('(?P<command>[A-Z]+)'")

FORBIDDEN = (
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"),
    ("CONFIG", "GET", "*"),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("ACL", "LIST"),
    ("SHUTDOWN",),
    ("REPLICAOF", "NO", "ONE"),
    ("SCRIPT", "FLUSH"),
    ("MONITOR",),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("SET", "ld:anything", "x"),
    ("HSET", "another:key", "a", "b"),
    ("SPUBLISH", "another:channel", "x"),
    ("EVAL", "return redis.call('HGETALL', 'another:key')", "0"),
    ("EVAL", "return redis.call('FLUSHALL')", "0"),
)


def rules() -> list[str]:
    """Return the user's rules as the page has them, with a password."""
    found = LINE.search(PAGE.read_text())
    assert found is not None, "the page has no such line"
    return found["rules"].replace(">PASSWORD", f">{PASSWORD}").split()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded.start(tmp_path_factory.mktemp("acl")) as one:
        yield one


@pytest_asyncio.fixture
async def url(store: Embedded) -> AsyncIterator[str]:
    """Give the URL of Livedrop's user, in whose place nobody else can come."""
    admin = connect(store.url)
    await admin.execute_command("ACL", "SETUSER", "livedrop", *rules())  # type: ignore[no-untyped-call]  # the library's own gap
    yield store.url.replace("unix://", f"unix://livedrop:{PASSWORD}@")
    await admin.aclose()


@pytest_asyncio.fixture
async def house(url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house_at(url, tmp_path) as one:
        yield one


async def test_a_whole_sale_needs_no_more(house: House) -> None:
    """A show's whole life, by every script and every reader, under this user."""
    await require_supported(house.client)
    await live_through(house, ids.new_show())


async def test_events_are_heard(house: House) -> None:
    """The subscription, its echo and its signs of life are allowed too."""
    show, notes = ids.new_show(), Notes()
    await house.shows.create(show, "host", {"title": "A test", "currency": "EUR"})
    async with listening(house, notes, show) as ear:
        await wait_for(lambda: ear.hears, "its echo comes back")
        await house.shows.move(show, "start")
        await wait_for(lambda: notes.tops.get(show, 0) > 0, "the event is heard")


async def test_the_sweeper_and_the_recorder_need_no_more(house: House) -> None:
    """What looks after all shows is allowed to."""
    show = ids.new_show()
    await house.shows.create(show, "host", {"title": "A test", "currency": "EUR"})
    await house.recorder().catch_up()
    sweeper = house.sweeper()
    assert await sweeper._due() == []
    assert await sweeper._unfinished() == []


@pytest.mark.parametrize("command", FORBIDDEN, ids=" ".join)
async def test_nothing_else_is_allowed(url: str, command: tuple[str, ...]) -> None:
    """Commands that destroy, look around or reconfigure are refused, and keys and channels of others too."""
    client: Redis = connect(url)
    with pytest.raises(Exception, match=r"permission|ACL") as caught:
        await client.execute_command(*command)  # type: ignore[no-untyped-call]  # the library's own gap
    assert isinstance(caught.value, NoPermissionError) or "ACL failure in script" in str(caught.value)
    await client.aclose()


async def test_a_user_that_may_everything_is_the_control(store: Embedded) -> None:
    """Negative control: without the user the same command goes through."""
    client = connect(store.url)
    assert await client.execute_command("KEYS", "*") is not None  # type: ignore[no-untyped-call]  # the library's own gap
    await client.aclose()


def test_every_command_of_the_scripts_is_in_the_line() -> None:
    """A script that begins to use another command is found here, and not in somebody's shop."""
    granted = {rule.removeprefix("+").upper() for rule in rules() if rule.startswith("+")}
    used = {command for script in load(lua_folder()).values() for command in CALL.findall(script.source)}
    assert used - granted == set()
