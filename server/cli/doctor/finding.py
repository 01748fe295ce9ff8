"""What a look has found: a line of the doctor's table. No input or output here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verdict(StrEnum):
    """How bad it is; only what is wrong fails the command."""

    FINE = "fine"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found there, how bad that is, and what to do where it is not fine."""

    check: str
    found: str
    verdict: Verdict = Verdict.FINE
    advice: str = ""


def fine(check: str, found: str) -> Finding:
    """Return a finding with which nothing is to be done."""
    return Finding(check, found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Return a finding that can wait, or that may be meant."""
    return Finding(check, found, Verdict.WARNING, advice)


def wrong(check: str, found: str, advice: str) -> Finding:
    """Return a finding with which nobody should sell."""
    return Finding(check, found, Verdict.WRONG, advice)


def graver(check: str, found: str, advice: str, *, production: bool) -> Finding:
    """Return what is wrong in production and worth a warning elsewhere."""
    return (wrong if production else warning)(check, found, advice)


def worst(findings: Iterable[Finding]) -> Verdict:
    """Return the gravest verdict of all; fine where there is none."""
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.FINE)
