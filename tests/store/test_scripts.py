"""Scripts run by name, once, with exactly their arguments, whatever Redis has forgotten."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from server.errors import Code, Problem
from server.store.keys import key
from server.store.scripts import ScriptError, Scripts
from tests.store.lua_folder import write

if TYPE_CHECKING:
    from pathlib import Path

    from redis.asyncio import Redis

    from tests.store.proxy import Proxy

SHOW = {"show": "sh_test"}
ADD = """\
local show_key = KEYS[1]  -- hash  the show
local quantity = tonumber(ARGV[1])  -- int  how many
return redis.call('HINCRBY', show_key, 'n', quantity)
"""
ECHO = """\
local name = ARGV[1]  -- string  any
local ids = cmsgpack.unpack(ARGV[2])  -- list  any
--- @include "shout"
return {shout(name), cmsgpack.pack(ids), type(ids)}
"""
SHOUT = "local function shout(text)\n  return string.upper(text)\nend\n"
BROKEN = "return nothing.here\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "lua", {"add": ADD, "echo": ECHO, "broken": BROKEN}, {"shout": SHOUT})


@pytest.fixture
def scripts(client: Redis, folder: Path) -> Scripts:
    return Scripts(client, folder)


async def test_keys_and_arguments_are_filled_by_name(client: Redis, scripts: Scripts) -> None:
    """A script gets its keys from the dictionary and its arguments by name; its answer comes back."""
    assert await scripts.run("add", SHOW, quantity=2) == 2
    assert await scripts.run("add", SHOW, quantity="3") == 5
    assert await client.hgetall(key("show", show="sh_test")) == {b"n": b"5"}


@pytest.mark.parametrize(
    ("ids", "packed", "kind"),
    [
        (["a", b"\xff", 7], b"\x93\xa1a\xa1\xff\x07", b"table"),
        ([None], b"\x90", b"table"),
        ({"a": 1}, b"\x81\xa1a\x01", b"table"),
        (b"\x92\x01\x02", b"\x92\x01\x02", b"table"),
        ("text", b"\xa4text", b"string"),
    ],
)
async def test_packed_arguments(scripts: Scripts, ids: Any, packed: bytes, kind: bytes) -> None:
    """A slot that unpacks takes lists, maps and bytes inside them; bytes alone count as packed already."""
    assert await scripts.run("echo", {}, name="loud", ids=ids) == [b"LOUD", packed, kind]


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ({}, r"add: missing arguments \['quantity'\], unknown arguments \[\]"),
        ({"quantity": 1, "name": "x"}, r"missing arguments \[\], unknown arguments \['name'\]"),
        ({"quantiy": 1}, r"missing arguments \['quantity'\], unknown arguments \['quantiy'\]"),
        ({"quantity": True}, "quantity must be int, str or bytes, not bool"),
        ({"quantity": None}, "quantity must be int, str or bytes, not NoneType"),
        ({"quantity": 1.5}, "quantity must be int, str or bytes, not float"),
        ({"quantity": [1]}, "quantity must be int, str or bytes, not list"),
    ],
)
async def test_wrong_arguments_are_named(scripts: Scripts, args: dict[str, Any], complaint: str) -> None:
    """Missing, unknown and ill-typed arguments raise TypeError before anything is sent."""
    with pytest.raises(TypeError, match=complaint):
        await scripts.run("add", SHOW, **args)


async def test_a_forgotten_script_is_sent_again(client: Redis, scripts: Scripts) -> None:
    """After SCRIPT FLUSH a run still succeeds, applied once, and the script is known again."""
    await scripts.run("add", SHOW, quantity=1)
    await client.script_flush()
    assert await scripts.run("add", SHOW, quantity=1) == 2
    assert await client.script_exists(scripts["add"].sha) == [True]


async def test_many_runs_meet_a_forgotten_script(client: Redis, scripts: Scripts) -> None:
    """Fifty runs at once after SCRIPT FLUSH are all applied, each once."""
    await client.script_flush()
    results = await asyncio.gather(*(scripts.run("add", SHOW, quantity=1) for _ in range(50)))
    assert sorted(results) == list(range(1, 51))


async def test_a_server_that_keeps_forgetting_is_unavailable(client: Redis, folder: Path) -> None:
    """A script that is lost again right after it was sent ends in `unavailable`, and nothing was applied."""
    scripts = Scripts(client, folder)
    object.__setattr__(scripts["add"], "sha", "0" * 40)  # a name that loading never makes known
    with pytest.raises(Problem, match="nothing was applied") as caught:
        await scripts.run("add", SHOW, quantity=1)
    assert caught.value.code is Code.UNAVAILABLE
    assert not await client.exists(key("show", show="sh_test"))


async def test_a_cut_answer_is_applied_once(
    client: Redis, proxied: Redis, proxy: Proxy, folder: Path
) -> None:
    """A run whose answer is cut off is applied exactly once and raises `unavailable` by its name."""
    scripts = Scripts(proxied, folder)
    assert await scripts.run("add", SHOW, quantity=1) == 1
    proxy.mode = "cut"
    with pytest.raises(Problem, match=r"^add: .*unknown") as caught:
        await scripts.run("add", SHOW, quantity=1)
    assert caught.value.code is Code.UNAVAILABLE
    assert await client.hget(key("show", show="sh_test"), "n") == b"2"
    assert await scripts.run("add", SHOW, quantity=1) == 3


async def test_a_broken_script_stays_visible(scripts: Scripts) -> None:
    """An error inside a script is our bug: it passes through and is not called `unavailable`."""
    with pytest.raises(ResponseError, match="nothing"):
        await scripts.run("broken", {})


async def test_names_are_listed(scripts: Scripts) -> None:
    """The scripts of the folder are known by name, sorted; others raise KeyError."""
    assert scripts.names() == ("add", "broken", "echo")
    with pytest.raises(KeyError):
        await scripts.run("absent", {})


async def test_a_bad_folder_fails_early(client: Redis, tmp_path: Path) -> None:
    """A folder with one bad script fails when the scripts are made, not at the first sale."""
    with pytest.raises(ScriptError, match=r"bad\.lua:4"):
        Scripts(client, write(tmp_path / "bad", {"bad": "return KEYS[1]\n"}))


async def test_every_real_script_compiles(client: Redis) -> None:
    """Redis compiles every script of the project and gives it the name that we reckoned."""
    scripts = Scripts(client)
    for name in scripts.names():
        assert await client.script_load(scripts[name].source) in {
            scripts[name].sha,
            scripts[name].sha.encode(),
        }
