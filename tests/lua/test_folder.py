"""Every script has its test, every outcome is claimed there, and its Python caller knows it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.errors import Code
from server.store.lua import load
from tests.house.tree import LUA, server_modules

if TYPE_CHECKING:
    from tests.house.tree import Module

HERE = Path(__file__).parent
LOADED = load(LUA)
SCRIPTS = sorted(LOADED)
MODULES = server_modules()
OUTCOME = re.compile(r"\banswer\('([a-z-]+)'")
ROW = re.compile(r"\{ '([a-z-]+)'")  # an operation's outcome in a step, by its place
STEP = "hold_batch"
STEP_PARTS = "\n".join(path.read_text() for path in sorted((LUA / "includes").glob("batch_*.lua")))
STEP_READER = "server/inventory/batch.py"  # takes the outcomes apart that the caller got
LISTING = "hold_known"  # answers no outcome but a list

# Outcomes that no caller has to tell apart, and why.
UNREAD = {
    "early": "the clock comes again in the next round",
    "joined": "what is not not-found",
    "looked": "what is not gone",
    "swept": "the only outcome",
    "flushed": "the only outcome",
    "leased": "the only outcome",
    "settled": "the only outcome",
    "told": "the only outcome",
    "unclaimed": "the only outcome",
    "counted": "the only outcome",
    "freed": "the caller asked for just this",
    "unfinished": "whatever is not done is tried again",
    "lost": "whatever is not finalized is voided",
    "elsewhere": "whatever has not moved is worked on by somebody else",
    "created": "the drop or show is there, whether now or before",
    "replayed": "likewise; where it matters the caller names it",
    "frozen": "whoever asks again later meets the show as it is then",
    "rebuilt": "what was not refused is rebuilt",
    "thawed": "what was not refused is thawed",
    "moved": "what was not refused has moved; where it matters the caller names it",
    "gone": "what is gone has nothing left to be done",
    "mismatch": "the one that is left when the others are named",
}


def outcomes(script: str) -> set[str]:
    """Return every outcome that a script answers, itself or through what it includes."""
    rows = ROW.findall(STEP_PARTS) if script == STEP else []
    return {*OUTCOME.findall(LOADED[script].source), *rows}


def claims(text: str, script: str, outcome: str) -> bool:
    """Return whether a test file names an outcome; `scene.moved` asserts the one of its name."""
    return f'"{outcome}"' in text or (outcome == "moved" and f'moved("{script}"' in text)


@cache
def strings(module: Module) -> set[str]:
    """Return all string constants of a module; an f-string gives its constant parts."""
    nodes = (node for node in ast.walk(module.tree) if isinstance(node, ast.Constant))
    return {node.value for node in nodes if isinstance(node.value, str)}


def callers(script: str) -> list[Module]:
    """Return the modules that name a script, whole or as `<noun>_` with the verb put in."""
    noun = script.partition("_")[0] + "_"
    return [
        module
        for module in MODULES
        if {script, noun} & strings(module) or (script == STEP and module.path == STEP_READER)
    ]


def files_of(script: str) -> list[Path]:
    """Return a script's test files: the one of its name, or several with what each is about behind it."""
    return [path for path in HERE.glob(f"test_{script}*.py") if script_of(path) == script]


def script_of(path: Path) -> str:
    """Return the script that a test file is of: the longest one that its name opens with."""
    name = path.stem.removeprefix("test_")
    return max((script for script in SCRIPTS if f"{name}_".startswith(f"{script}_")), key=len, default=name)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_has_a_test_that_claims_every_outcome(script: str) -> None:
    """The test files of a script are named after it and name each of its outcomes."""
    text = "".join(path.read_text() for path in files_of(script))
    found = outcomes(script)
    assert text, f"{script} has no test"
    assert found or script == LISTING, f"{script} answers nothing"
    assert {outcome for outcome in found if not claims(text, script, outcome)} == set()


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_outcome_is_known_to_the_caller(script: str) -> None:
    """What a script answers is named where it is called, is a code of the contract, or is listed with its reason."""
    known = set().union(*(strings(module) for module in callers(script)))
    assert known, f"nobody calls {script}"
    assert outcomes(script) - known - {code.value for code in Code} - UNREAD.keys() == set()


def test_the_list_has_nothing_that_is_not_answered() -> None:
    """Every listed outcome is one of a script."""
    assert UNREAD.keys() <= set().union(*map(outcomes, SCRIPTS))


def test_no_test_is_left_of_a_script_that_is_gone() -> None:
    """Every other test file here is one of these two."""
    names = {script_of(path) for path in HERE.glob("test_*.py")}
    assert names - set(SCRIPTS) == {"folder", "leaks"}


def test_the_outcomes_of_a_step_are_found() -> None:
    """What an operation in a step can come to is read off the scripts: these and no others."""
    assert outcomes(STEP) == {
        "held",
        "replayed",
        "released",
        "waiting",
        "not-found",
        "not-allowed",
        "in-progress",
        "wrong-state",
        "wrong-mode",
        "no-waitlist",
        "drop-closed",
        "drop-not-open",
        "show-not-live",
        "limit-reached",
        "out-of-stock",
        "idempotency-mismatch",
    }
