"""Lua files read and checked: the header is the contract, and includes stand where they are first asked for.

A script file opens with its purpose, what it returns and which events it writes, then binds its slots:

    -- purpose: takes units of a drop for one viewer
    -- returns: outcome, the hold
    -- events: none
    local stock_key = KEYS[1]  -- hash  drop -> [available, held, …]
    local viewer = ARGV[1]  -- string  who asks
    local quantity = tonumber(ARGV[2])  -- int  units asked for
    local drops = cmsgpack.unpack(ARGV[3])  -- list  of drop ids
    --- @include "stock_read"

Those very lines are read, so the header cannot drift and nobody counts positions. `includes/<name>.lua` holds
one `local function <name>` and may include others. A comment of a KEYS slot opens with the key's type.

A script that gives back, or ends what was begun, has `#!lua flags=allow-oom` above that: it runs also where the store's
memory is full. One that may do either has `#!lua`: it is refused as a whole, and can be run as one that gives back.

Scripts that share their first keys name the file that binds them, `--- @keys "desk_keys"`: it binds KEYS alone, from
the first on, and ends with a table of them under its own name. What a script binds beside them goes on from there.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from server.store import keys as dictionary

SCRIPT_LINES = 120
INCLUDE_LINES = 40
SECTIONS = ("purpose", "returns", "events")
STRICT = "#!lua"  # the first line of a script that a full memory stops before it begins, and not at its first write
FREEING = "#!lua flags=allow-oom"  # of one that a full memory does not stop

_SECTION = re.compile(r"--\s*(?P<name>[a-z]+):\s*(?P<text>.*)")
_SLOT = re.compile(
    r"local (?P<name>[a-z][a-z0-9_]*) = "
    r"(?:(?P<wrapper>tonumber|cmsgpack\.unpack)\()?(?P<table>KEYS|ARGV)\[(?P<index>\d+)\](?P<close>\))?"
    r"(?:\s+--\s*(?P<comment>\S.*))?\s*"
)
_INCLUDE = re.compile(r'--- @include "(?P<name>[a-z][a-z0-9_]*)"\s*')
_KEYS = re.compile(r'--- @keys "(?P<name>[a-z][a-z0-9_]*)"\s*')
_TABLE = re.compile(r"\nlocal (?P<name>\w+) = \{\n[^{}]*\}\s*\Z")
_FUNCTION = re.compile(r"^local function (?P<name>\w+)\(", re.MULTILINE)
_COMMENT = re.compile(r"--.*")
_SLOT_TABLE = re.compile(r"\b(?:KEYS|ARGV)\b")


class ScriptError(Exception):
    """A Lua file that breaks a rule of this module; the sentence names the file, the place and the rule."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One bound position: the local's name, its comment, and whether the value is packed as msgpack."""

    name: str
    comment: str
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """One loaded script. `source` has its includes expanded, `sha` is what Redis calls it.

    `keys` are names in the key dictionary and `args` the ARGV slots, both in order.
    """

    name: str
    source: str
    sha: str
    keys: tuple[str, ...]
    args: tuple[Slot, ...]
    arg_names: frozenset[str]
    purpose: str

    def freeing(self) -> Script:
        """Return the script as one that a full memory does not stop."""
        if self.source.startswith(FREEING):
            return self
        source = f"{FREEING}\n" + self.source.removeprefix(f"{STRICT}\n")
        return replace(self, source=source, sha=_sha(source))


def lua_folder() -> Path:
    """Return the folder of the project's scripts: in the installed package, else at the checkout's root."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "lua", package.parent / "lua"):
        if folder.is_dir():
            return folder
    raise ScriptError(f"No Lua scripts in or beside {package}; the installation is not complete")


def load(folder: Path) -> dict[str, Script]:
    """Return every `*.lua` of the folder by its name; the project's own are read and checked once in a process.

    Raises ScriptError at the first broken rule.
    """
    return dict(_shipped()) if folder == lua_folder() else _loaded(folder)


@cache
def _shipped() -> dict[str, Script]:
    return _loaded(lua_folder())


def _loaded(folder: Path) -> dict[str, Script]:
    return {path.stem: _script(path) for path in sorted(folder.glob("*.lua"))}


def _script(path: Path) -> Script:
    lines = _read(path, SCRIPT_LINES)
    sections = _sections(path, lines)
    key_slots, arg_slots = _slots(path, _placed(path, lines))
    source = "\n".join(_expand(path, lines, chain=(), done=set())) + "\n"
    return Script(
        name=path.stem,
        source=source,
        sha=_sha(source),
        keys=tuple(_dictionary_name(path, slot) for slot in key_slots),
        args=tuple(arg_slots),
        arg_names=frozenset(slot.name for slot in arg_slots),
        purpose=sections["purpose"],
    )


def _sha(source: str) -> str:
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _read(path: Path, limit: int) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) > limit:
        raise ScriptError(f"{path.name} has {len(lines)} lines, {limit} are allowed")
    return lines


def _sections(path: Path, lines: list[str]) -> dict[str, str]:
    """Return the opening comment block by section; a line that names no section continues the one above."""
    found: dict[str, str] = {}
    current = ""
    flagged = bool(lines) and lines[0].startswith("#!")
    if flagged and lines[0] not in {STRICT, FREEING}:
        raise ScriptError(f"{path.name} may open with '{STRICT}' or '{FREEING}', and not with '{lines[0]}'")
    for line in lines[flagged:]:
        if not line.startswith("--") or line.startswith("---"):
            break
        match = _SECTION.fullmatch(line)
        if match and match["name"] in SECTIONS:
            current = match["name"]
            found[current] = match["text"].strip()
        elif current:
            found[current] = f"{found[current]} {line[2:].strip()}".strip()
    missing = [name for name in SECTIONS if not found.get(name)]
    if missing:
        raise ScriptError(f"{path.name} must open with a comment block that has '-- {missing[0]}: …'")
    return found


def _placed(path: Path, lines: list[str]) -> list[tuple[str, str]]:
    """Return each line behind where it stands, and for shared keys the lines of the file that is named."""
    placed: list[tuple[str, str]] = []
    for number, line in enumerate(lines, start=1):
        match = _KEYS.fullmatch(line)
        if match:
            shared = _shared_keys(path, match["name"])
            where = f"includes/{match['name']}.lua"
            placed += [(f"{where}:{at}", text) for at, text in enumerate(shared, start=1)]
        else:
            placed.append((f"{path.name}:{number}", line))
    return placed


def _shared_keys(path: Path, name: str) -> list[str]:
    """Return the lines of a file of keys."""
    target = path.parent / "includes" / f"{name}.lua"
    if not target.is_file():
        raise ScriptError(f"{path.name} takes the keys of {name}, but there is no includes/{name}.lua")
    lines = _read(target, INCLUDE_LINES)
    text = "\n".join(lines)
    table = _TABLE.search(text)
    if not table or table["name"] != name:
        raise ScriptError(f"includes/{name}.lua must end with a table of its keys, 'local {name} = {{'")
    for line in text[: table.start()].splitlines():
        match = _SLOT.fullmatch(line)
        if not line.startswith("--") and not (match and match["table"] == "KEYS"):
            raise ScriptError(f"includes/{name}.lua may bind KEYS and no more: {line}")
    return lines


def _slots(path: Path, placed: list[tuple[str, str]]) -> tuple[list[Slot], list[Slot]]:
    """Return the KEYS and the ARGV slots in order of their numbers; nothing else may touch either table."""
    bound: dict[str, dict[int, Slot]] = {"KEYS": {}, "ARGV": {}}
    names: set[str] = set()
    for where, line in placed:
        if not _touches_slots(line):
            continue
        match = _SLOT.fullmatch(line)
        if not match or not _balanced(match):
            raise ScriptError(f"{where} uses KEYS or ARGV but binds no slot: {line}")
        name, table, index = match["name"], match["table"], int(match["index"])
        if not match["comment"]:
            raise ScriptError(f"{where} binds {name} without a comment on type and meaning")
        if index in bound[table] or name in names:
            raise ScriptError(f"{where} binds {table}[{index}] or {name} a second time")
        names.add(name)
        bound[table][index] = Slot(
            name, match["comment"].strip(), packed=match["wrapper"] == "cmsgpack.unpack"
        )
    return _in_order(path, "KEYS", bound["KEYS"]), _in_order(path, "ARGV", bound["ARGV"])


def _touches_slots(line: str) -> bool:
    return _SLOT_TABLE.search(_COMMENT.sub("", line)) is not None


def _balanced(match: re.Match[str]) -> bool:
    wrapped = match["wrapper"] is not None
    return wrapped == (match["close"] is not None) and not (wrapped and match["table"] == "KEYS")


def _in_order(path: Path, table: str, slots: dict[int, Slot]) -> list[Slot]:
    for index in range(1, len(slots) + 1):
        if index not in slots:
            raise ScriptError(f"{path.name} binds {len(slots)} slots of {table} but not {table}[{index}]")
    return [slots[index] for index in sorted(slots)]


def _dictionary_name(path: Path, slot: Slot) -> str:
    name = slot.name.removesuffix("_key")
    if name == slot.name or name not in dictionary.KEYS:
        raise ScriptError(f"{path.name}: {slot.name} is not '<name>_key' with a name of the key dictionary")
    kind = dictionary.KEYS[name].type
    if not slot.comment.startswith(kind):
        raise ScriptError(f"{path.name}: {slot.name} is a {kind}, but its comment is '{slot.comment}'")
    return name


def _expand(path: Path, lines: list[str], chain: tuple[str, ...], done: set[str]) -> list[str]:
    """Return the lines with each include put in where it is first asked for; `chain` is who includes whom."""
    out: list[str] = []
    for number, line in enumerate(lines, start=1):
        match = _INCLUDE.fullmatch(line)
        keys = None if chain else _KEYS.fullmatch(line)
        if match:
            out += _include(path, match["name"], chain, done)
        elif keys:
            out += _shared_keys(path, keys["name"])
        elif "@include" in line:
            raise ScriptError(f'{path.name}:{number} must be --- @include "name" from the first column')
        elif "@keys" in line:
            raise ScriptError(f'{path.name}:{number} must be --- @keys "name", in a script')
        else:
            out.append(line)
    return out


def _include(path: Path, name: str, chain: tuple[str, ...], done: set[str]) -> list[str]:
    if name in chain:
        raise ScriptError(f"{path.name} includes in a circle: {' > '.join((*chain, name))}")
    if name in done:
        return []
    done.add(name)
    target = (path.parent if chain else path.parent / "includes") / f"{name}.lua"
    if not target.is_file():
        raise ScriptError(f"{path.name} includes {name}, but there is no includes/{name}.lua")
    lines = _read(target, INCLUDE_LINES)
    functions = _FUNCTION.findall("\n".join(lines))
    if functions != [name]:
        raise ScriptError(f"includes/{name}.lua must hold one 'local function {name}(' but holds {functions}")
    if any(_touches_slots(line) for line in lines):
        raise ScriptError(f"includes/{name}.lua uses KEYS or ARGV; the script binds them and passes them on")
    return _expand(target, lines, (*chain, name), done)
