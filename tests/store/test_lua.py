"""Headers are the contract, includes stand once, and every broken rule is named with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.store.keys import KEYS
from server.store.lua import FREEING, INCLUDE_LINES, SCRIPT_LINES, STRICT, ScriptError, load, lua_folder
from tests.store.lua_folder import HEADER, write

if TYPE_CHECKING:
    from pathlib import Path

SLOTS = """\
local show_key = KEYS[1]  -- hash  the show
local stock_key = KEYS[2]  -- hash  drop -> numbers
local viewer = ARGV[1]  -- string  who asks
local quantity = tonumber(ARGV[2])  -- int  units
local drops = cmsgpack.unpack(ARGV[3])  -- list  of drop ids
"""


def function(name: str, before: str = "") -> str:
    """Return the text of an include that holds one function, below `before`."""
    return f"{before}local function {name}()\n  return '{name}'\nend\n"


def test_the_real_scripts_load() -> None:
    """Every script of the project keeps the rules, has a purpose, and asks for keys of the dictionary."""
    scripts = load(lua_folder())
    assert scripts
    for script in scripts.values():
        assert script.purpose
        assert set(script.keys) <= KEYS.keys()


def test_a_header_is_read(tmp_path: Path) -> None:
    """Keys come as names of the dictionary, arguments by their locals, packed ones marked, all in order."""
    script = load(write(tmp_path, {"hold_reserve": SLOTS}))["hold_reserve"]
    assert script.keys == ("show", "stock")
    assert [(slot.name, slot.packed) for slot in script.args] == [
        ("viewer", False),
        ("quantity", False),
        ("drops", True),
    ]
    assert script.args[0].comment == "string  who asks"
    assert script.purpose == "a test"


def test_a_script_may_say_what_a_full_memory_does(tmp_path: Path) -> None:
    """With a first line that says so it runs on a full store; with the other, or none, only if it is asked to."""
    for name, first in (("freeing", f"{FREEING}\n"), ("strict", f"{STRICT}\n"), ("plain", "")):
        (tmp_path / f"{name}.lua").write_text(f"{first}{HEADER}return 1\n")
    scripts = load(tmp_path)
    assert scripts["freeing"].freeing() is scripts["freeing"]
    assert not scripts["strict"].source.startswith(FREEING)
    freed = {scripts[name].freeing() for name in ("strict", "plain")}
    assert {script.source for script in freed} == {scripts["freeing"].source}
    assert {script.sha for script in freed} == {scripts["freeing"].sha}


def test_no_other_flag_is_taken(tmp_path: Path) -> None:
    """A first line of another kind is refused: nobody has thought about what it does."""
    (tmp_path / "a.lua").write_text(f"#!lua flags=no-writes\n{HEADER}return 1\n")
    with pytest.raises(ScriptError, match=r"a\.lua may open with '#!lua' or '#!lua flags=allow-oom'"):
        load(tmp_path)


def test_what_ends_something_is_never_stopped_by_a_full_memory() -> None:
    """The project's own: whoever gives back, lapses, closes or finishes has the flag, and who takes has it not."""
    flagged = {name for name, script in load(lua_folder()).items() if script.source.startswith(FREEING)}
    assert {
        "hold_sweep",
        "hold_return",
        "hold_unclaim",
        "hold_finalize",
        "order_settle",
        "show_end",
    } <= flagged
    assert flagged.isdisjoint({"hold_batch", "hold_checkout", "drop_create", "drop_restock", "show_create"})


def test_sections_may_run_over_lines(tmp_path: Path) -> None:
    """A line of the opening block that names no section continues the one above."""
    (tmp_path / "a.lua").write_text(
        "-- purpose: one\n--   and two\n-- returns: x\n-- events: none\nreturn 1\n"
    )
    assert load(tmp_path)["a"].purpose == "one and two"


@pytest.mark.parametrize("section", ["purpose", "returns", "events"])
def test_each_section_is_required(tmp_path: Path, section: str) -> None:
    """A script without one of the three sections is refused with the line that is missing."""
    (tmp_path / "a.lua").write_text(HEADER.replace(f"-- {section}:", "-- note:") + "return 1\n")
    with pytest.raises(ScriptError, match=f"a.lua must open with a comment block that has '-- {section}: …'"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("local show_key = KEYS[1]\n", r"a.lua:4 binds show_key without a comment"),
        ("local viewer = ARGV[1]\n", r"a.lua:4 binds viewer without a comment"),
        (
            "local a = ARGV[1]  -- int\nlocal b = ARGV[3]  -- int\n",
            r"binds 2 slots of ARGV but not ARGV\[2\]",
        ),
        (
            "local a = ARGV[1]  -- int\nlocal b = ARGV[1]  -- int\n",
            r"a.lua:5 binds ARGV\[1\] or b a second time",
        ),
        (
            "local a = ARGV[1]  -- int\nlocal a = ARGV[2]  -- int\n",
            r"a.lua:5 binds ARGV\[2\] or a a second time",
        ),
        ("local show_key = KEYS[0]  -- hash\n", r"binds 1 slots of KEYS but not KEYS\[1\]"),
        ("local unknown_key = KEYS[1]  -- hash\n", r"unknown_key is not '<name>_key' with a name of the key"),
        ("local show = KEYS[1]  -- hash\n", r"show is not '<name>_key'"),
        ("local show_key = KEYS[1]  -- list  no\n", r"show_key is a hash, but its comment is 'list  no'"),
        ("local show_key = tonumber(KEYS[1])  -- hash\n", r"a.lua:4 uses KEYS or ARGV but binds no slot"),
        ("local a = tonumber(ARGV[1]  -- int\n", r"a.lua:4 uses KEYS or ARGV but binds no slot"),
        ("local a = ARGV[1] .. 'x'  -- string\n", r"a.lua:4 uses KEYS or ARGV but binds no slot"),
        ("return #ARGV\n", r"a.lua:4 uses KEYS or ARGV but binds no slot: return #ARGV"),
        ("return redis.call('GET', KEYS[1])\n", r"a.lua:4 uses KEYS or ARGV but binds no slot"),
    ],
)
def test_broken_headers_are_refused(tmp_path: Path, body: str, complaint: str) -> None:
    """Each way to bind a slot wrongly is refused with the file, the line and the rule."""
    with pytest.raises(ScriptError, match=complaint):
        load(write(tmp_path, {"a": body}))


def test_comments_may_speak_of_slots(tmp_path: Path) -> None:
    """Only code is held to the binding rule; a comment may mention KEYS and ARGV."""
    assert load(write(tmp_path, {"a": "-- KEYS and ARGV are tables\nreturn 1\n"}))["a"].keys == ()


def test_includes_stand_once_where_first_asked_for(tmp_path: Path) -> None:
    """A nested include that two others ask for stands once, above the first that needs it."""
    includes = {
        "base": function("base"),
        "left": function("left", '--- @include "base"\n'),
        "right": function("right", '--- @include "base"\n'),
    }
    body = '--- @include "left"\n--- @include "right"\n--- @include "left"\nreturn 1\n'
    source = load(write(tmp_path, {"a": body}, includes))["a"].source
    order = [source.index(f"local function {name}()") for name in ("base", "left", "right")]
    assert order == sorted(order)
    assert source.count("local function") == 3
    assert "@include" not in source


@pytest.mark.parametrize(
    ("includes", "complaint"),
    [
        ({}, r"a.lua includes one, but there is no includes/one.lua"),
        (
            {"one": function("other")},
            r"includes/one.lua must hold one 'local function one\(' but holds \['other'\]",
        ),
        ({"one": function("one") + function("two")}, r"must hold one .* but holds \['one', 'two'\]"),
        ({"one": "local x = 1\n"}, r"must hold one .* but holds \[\]"),
        ({"one": function("one", "local x = ARGV[1]\n")}, r"includes/one.lua uses KEYS or ARGV"),
        ({"one": function("one", '--- @include "one"\n')}, r"one.lua includes in a circle: one > one"),
        (
            {"one": function("one", '--- @include "two"\n'), "two": function("two", '--- @include "one"\n')},
            r"two.lua includes in a circle: one > two > one",
        ),
        (
            {"one": function("one", '--- @include "two"\n')},
            r"one.lua includes two, but there is no includes/two.lua",
        ),
        ({"one": function("one", "--- @include two\n")}, r'one.lua:1 must be --- @include "name"'),
        ({"one": function("one") + "\n" * INCLUDE_LINES}, r"one.lua has 43 lines, 40 are allowed"),
    ],
)
def test_broken_includes_are_refused(tmp_path: Path, includes: dict[str, str], complaint: str) -> None:
    """Missing, circular, overlong, misnamed and misspelt includes are refused by name."""
    with pytest.raises(ScriptError, match=complaint):
        load(write(tmp_path, {"a": '--- @include "one"\n'}, includes))


SHARED = """-- What all of them need.
local show_key = KEYS[1]  -- hash  the show
local stock_key = KEYS[2]  -- hash  drop -> numbers
local both = {
  show = show_key, stock = stock_key,
}
"""


def test_keys_are_shared(tmp_path: Path) -> None:
    """A script has the keys of the file that it names, then its own; that file stands in the place of its name."""
    body = '--- @keys "both"\nlocal log_key = KEYS[3]  -- stream  the log\nreturn both.show .. log_key\n'
    script = load(write(tmp_path, {"a": body}, {"both": SHARED}))["a"]
    assert script.keys == ("show", "stock", "log")
    assert script.source == HEADER + SHARED + body.partition("\n")[2]


@pytest.mark.parametrize(
    ("shared", "body", "complaint"),
    [
        (None, "", r"a.lua takes the keys of both, but there is no includes/both.lua"),
        (
            SHARED.replace("local both", "local other"),
            "",
            r"both.lua must end with a table of its keys, 'local both",
        ),
        (SHARED + "return 1\n", "", r"includes/both.lua must end with a table of its keys"),
        (
            SHARED.replace("local stock_key", "print()\nlocal stock_key"),
            "",
            r"both.lua may bind KEYS and no more: pr",
        ),
        (SHARED.replace("KEYS[2]", "ARGV[1]"), "", r"includes/both.lua may bind KEYS and no more"),
        (
            SHARED.replace("  -- hash  the show", ""),
            "",
            r"includes/both.lua:2 binds show_key without a comment",
        ),
        (
            SHARED,
            "local log_key = KEYS[2]  -- stream  the log\n",
            r"a.lua:5 binds KEYS\[2\] or log_key a second time",
        ),
        (
            SHARED,
            "local show_key = KEYS[3]  -- hash  again\n",
            r"a.lua:5 binds KEYS\[3\] or show_key a second time",
        ),
        (SHARED, "local log_key = KEYS[4]  -- stream  the log\n", r"binds 3 slots of KEYS but not KEYS\[3\]"),
        (SHARED, '--- @keys "both"\n', r"includes/both.lua:2 binds KEYS\[1\] or show_key a second time"),
        (SHARED, "--- @keys both\n", r'a.lua:5 must be --- @keys "name", in a script'),
    ],
)
def test_broken_shared_keys_are_refused(
    tmp_path: Path, shared: str | None, body: str, complaint: str
) -> None:
    """A file of keys that is missing, misnamed or does more, and keys that do not fit it, are refused by name."""
    with pytest.raises(ScriptError, match=complaint):
        load(write(tmp_path, {"a": '--- @keys "both"\n' + body}, {"both": shared} if shared else {}))


def test_only_a_script_takes_shared_keys(tmp_path: Path) -> None:
    """An include is given what it needs; it names no keys."""
    includes = {"one": function("one", '--- @keys "both"\n'), "both": SHARED}
    with pytest.raises(ScriptError, match=r'one.lua:\d must be --- @keys "name", in a script'):
        load(write(tmp_path, {"a": '--- @include "one"\n'}, includes))


def test_a_script_is_short(tmp_path: Path) -> None:
    """A script of 120 lines loads, one of 121 does not."""
    load(write(tmp_path, {"a": "\n" * (SCRIPT_LINES - 3)}))
    with pytest.raises(ScriptError, match=r"a\.lua has 121 lines, 120 are allowed"):
        load(write(tmp_path, {"a": "\n" * (SCRIPT_LINES - 2)}))
