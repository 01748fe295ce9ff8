"""Every script has its test, every outcome is claimed there, and its Python caller knows it."""

from __future__ import annotations

import ast
import re
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
OUTCOME = re.compile(r"\banswer\('([a-z-]+)'")

# Outcomes that no caller has to tell apart, and why.
UNREAD = {
    "early": "the clock comes again in the next round",
    "joined": "what is not not-found",
    "swept": "the only outcome",
    "leased": "the only outcome",
    "settled": "the only outcome",
    "unclaimed": "the only outcome",
    "counted": "the only outcome",
    "freed": "the caller asked for just this",
    "unfinished": "whatever is not done is tried again",
    "lost": "whatever is not finalized is voided",
    "elsewhere": "whatever has not moved is worked on by somebody else",
    "created": "the drop or show is there, whether now or before",
    "replayed": "likewise; where it matters the caller names it",
    "moved": "what was not refused has moved; where it matters the caller names it",
    "gone": "what is gone has nothing left to be done",
    "mismatch": "the one that is left when the others are named",
}


def outcomes(script: str) -> set[str]:
    """Return every outcome that a script answers, itself or through what it includes."""
    return set(OUTCOME.findall(LOADED[script].source))


def claims(text: str, script: str, outcome: str) -> bool:
    """Return whether a test file names an outcome; `scene.moved` asserts the one of its name."""
    return f'"{outcome}"' in text or (outcome == "moved" and f'moved("{script}"' in text)


def strings(module: Module) -> set[str]:
    """Return all string constants of a module; an f-string gives its constant parts."""
    nodes = (node for node in ast.walk(module.tree) if isinstance(node, ast.Constant))
    return {node.value for node in nodes if isinstance(node.value, str)}


def callers(script: str) -> list[Module]:
    """Return the modules that name a script, whole or as `<noun>_` with the verb put in."""
    noun = script.partition("_")[0] + "_"
    return [module for module in server_modules() if {script, noun} & strings(module)]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_has_a_test_that_claims_every_outcome(script: str) -> None:
    """The test file of a script is named after it and names each of its outcomes."""
    text = (HERE / f"test_{script}.py").read_text()
    found = outcomes(script)
    assert found, f"{script} answers nothing"
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
    names = {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")}
    assert names - set(SCRIPTS) == {"folder", "leaks"}
