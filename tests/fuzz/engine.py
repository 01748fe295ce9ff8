"""The fuzzer: makes inputs, lets a target look at each, keeps those of which something new came.

What came of an input is a short text; the first input of each is changed further, as a coverage-guided fuzzer keeps
what reaches new lines. The same seed makes the same inputs. An input may take so much CPU and memory and no more.
"""

from __future__ import annotations

import signal
import traceback
import tracemalloc
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

CPU_SECONDS = 5.0  # of this process, for one input: a thousand times what the slowest ordinary one takes
WEIGHED = 16  # every so many-th input's memory is measured, which makes it several times as slow
KEPT = 2_000  # inputs with something new; later ones take the places of earlier ones
SHRINKS = 2_000  # looks to make a finding shorter
SHOWN = 4_000  # characters of an input


class Target(Protocol):
    """What is fuzzed."""

    def first(self) -> list[Any]:
        """Return the inputs to begin with: ordinary ones."""

    def make(self, chance: Random, kept: list[Any]) -> Any:
        """Return a new input, mostly one of the kept ones changed."""

    def look(self, given: Any) -> str:
        """Return what came of an input, in few words without its numbers; whatever is raised is a finding."""

    def most_memory(self, given: Any) -> int:
        """Return how many bytes of Python's memory an input may take at most while it is looked at."""


class TooSlowError(Exception):
    """An input took more CPU than any may."""


class TooLargeError(Exception):
    """An input took more memory than it may."""


@dataclass(slots=True)
class Finding:
    """An input that must not be so, and what it led to."""

    number: int  # of the inputs of its seed
    given: Any
    error: BaseException

    def __str__(self) -> str:
        """Return the input, and where it led."""
        told = "".join(traceback.format_exception(self.error))
        return f"input {self.number}: {self.given!r}"[:SHOWN] + f"\n{told}"


@dataclass(slots=True)
class Session:
    """What came of fuzzing: how often what, and the first finding."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    finding: Finding | None = None


def fuzz(target: Target, seed: int, goes_on: Callable[[int], bool]) -> Session:
    """Look at inputs until one is a finding or `goes_on`, asked with their number so far, says no."""
    chance = Random(seed)  # noqa: S311  chance that can be had again
    session, kept = Session(), list(target.first())
    ready = list(kept)
    while goes_on(session.inputs):
        given = ready.pop() if ready else target.make(chance, kept)
        session.inputs += 1
        try:
            outcome = watched(target, given, weigh=session.inputs % WEIGHED == 0)
        except Exception as error:  # noqa: BLE001  whatever it is, it is what we look for
            session.finding = Finding(session.inputs, given, error)
            return session
        if outcome not in session.outcomes:
            if len(kept) < KEPT:
                kept.append(given)
            else:
                kept[chance.randrange(KEPT)] = given
        session.outcomes[outcome] += 1
    return session


def watched(target: Target, given: Any, *, weigh: bool) -> str:
    """Look at one input within its bounds. Raises TooSlowError, TooLargeError and whatever the target does."""
    with limited(CPU_SECONDS):
        if not weigh:
            return target.look(given)
        most = target.most_memory(given)
        outcome, peak = _weighed(target, given)
        if peak > most:
            # Once more: of millions one meets the moment in which Python makes one of its own tables anew.
            outcome, peak = _weighed(target, given)
    if peak > most:
        raise TooLargeError(f"{peak} bytes were taken, {most} may be")
    return outcome


def _weighed(target: Target, given: Any) -> tuple[str, int]:
    """Return what came of an input, and the bytes of Python's memory that it took at its most."""
    tracemalloc.start()
    try:
        outcome = target.look(given)
        return outcome, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooSlowError in the block once this process has worked so long on it; waiting does not count."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {seconds:g} s of CPU")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def shortened(target: Target, found: Finding) -> Finding:
    """Return the finding with a shorter input that leads to an error of the same kind, where the input is bytes."""
    best = found.given
    if not isinstance(best, bytes):
        return found
    looks = 0
    size = len(best) // 2
    while size:
        at = 0
        while at < len(best) and looks < SHRINKS:
            looks += 1
            shorter = best[:at] + best[at + size :]
            if _fails_alike(target, shorter, found.error):
                best = shorter
            else:
                at += size
        size //= 2
    return replace(found, given=best)


def _fails_alike(target: Target, given: Any, error: BaseException) -> bool:
    try:
        watched(target, given, weigh=isinstance(error, TooLargeError))
    except Exception as other:  # noqa: BLE001  whatever it is, its kind is compared
        return type(other) is type(error)
    return False
