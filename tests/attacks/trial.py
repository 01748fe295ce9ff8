"""One attack carried out: what came back, what was counted, and what the server wrote down meanwhile."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tests.attacks import (
    bombs,
    expired_tokens,
    floods,
    forged_tokens,
    forwarded,
    heads,
    inner_addresses,
    large,
    log_lines,
    odd_messages,
    origins,
    others_things,
    pages,
    quantities,
    slow,
    tokens_in_urls,
)
from tests.attacks.answers import differences

if TYPE_CHECKING:
    from pathlib import Path

    from tests.attacks.answers import Answers
    from tests.stage import Stage

TOKEN = re.compile(r"eyJ[\w-]{6,}\.[\w-]{6,}|whsec_\w")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class Attack(Protocol):
    """A module of this folder."""

    __name__: str
    FIGURE: str  # which of /metrics must grow; empty where nothing has come about that could be counted
    EXPECTED: Answers

    async def attack(self, stage: Stage) -> Answers:
        """Carry it out."""


ATTACKS: tuple[Attack, ...] = (
    origins,
    tokens_in_urls,
    forged_tokens,
    expired_tokens,
    others_things,
    floods,
    large,
    bombs,
    odd_messages,
    quantities,
    slow,
    heads,
    forwarded,
    inner_addresses,
    log_lines,
    pages,
)

NOT_SET = frozenset({bombs.NOT_AGREED, forwarded.NO_LIMIT})  # nothing was there to be attacked


@dataclass(frozen=True, slots=True)
class Trial:
    """What an attack came to; `lines` are those of the log, None where it cannot be read."""

    name: str
    expected: Answers
    seen: Answers
    counted: bool
    lines: int | None
    unclean: list[str]

    @property
    def passed(self) -> bool:
        """Whether it was refused as it should be, was counted, and left a clean log."""
        return not differences(self.expected, self.seen) and self.counted and not self.unclean


def name_of(attack: Attack) -> str:
    """Return an attack's name in words."""
    return attack.__name__.rpartition(".")[2].replace("_", " ")


async def tried(stage: Stage, attack: Attack, log: Path | None) -> Trial:
    """Carry an attack out."""
    before = await figure(stage, attack.FIGURE)
    start = len(_read(log))
    seen = await attack.attack(stage)
    needless = not attack.FIGURE or NOT_SET.issuperset(seen.values())
    counted = needless or await figure(stage, attack.FIGURE) > before
    written = _read(log)[start:].decode()
    lines = len(written.splitlines()) if log is not None else None
    return Trial(name_of(attack), attack.EXPECTED, seen, counted, lines, unclean(written))


def _read(log: Path | None) -> bytes:
    return log.read_bytes() if log is not None else b""


async def figure(stage: Stage, name: str) -> float:
    """Return a figure of /metrics, 0 where there is none."""
    if not name:
        return 0.0
    text = (await stage.http.get("/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def unclean(written: str) -> list[str]:
    """Return the lines of a log that are not one JSON object each, or hold a token or a control character."""
    return [line for line in written.split("\n")[:-1] if not _is_clean(line)]


def _is_clean(line: str) -> bool:
    try:
        fields = json.loads(line)
    except ValueError:
        return False
    whole = isinstance(fields, dict) and {"event", "level", "timestamp"} <= fields.keys()
    return whole and not TOKEN.search(line) and not CONTROL.search(line)
