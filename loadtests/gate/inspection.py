"""The whole gate: ask the server, bring the run's curves onto its clock, let every judge speak."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import datetime
from typing import TYPE_CHECKING

from loadtests.gate import audited, limits, orders, oversell, proof, replies, stranded, stream, undersell
from loadtests.gate.asking import ask
from loadtests.gate.case import Case, Samples

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import httpx

    from loadtests.run import Curve, Finding, Run
    from loadtests.seen import Account
    from loadtests.stagehand import Stage

SERVER_CLOCK_SECONDS = 0.005  # by which a gateway may be wrong about the store's clock
NUMBERS = ("available", "held", "sold")
FIRST_LOOK_SECONDS = 1.0  # a look took no longer, where none before it says so
JUDGES = (
    oversell.judge,
    undersell.judge,
    stranded.judge,
    orders.judge,
    limits.judge,
    stream.judge,
    replies.judge,
    audited.judge,
    proof.judge,
)


def inspect(  # noqa: PLR0913  five that say what is looked at, two that say how
    stage: Stage,
    host: httpx.Client,
    show: str,
    accounts: Iterable[Account],
    run: Run,
    *,
    alone: bool = True,
    settle_seconds: float | None = None,
) -> list[Finding]:
    """Wait until the show has settled and return what is wrong with a run; none: it has passed.

    The show must still be there. `alone`: nobody but the crowd has bought in it. Waits at most `settle_seconds` (none
    given: the longest hold and 15 s). Raises StageError, and httpx.HTTPError where the server cannot be reached.
    """
    books, clock = ask(stage, host, show, settle_seconds)
    began_at = datetime.fromisoformat(run.began_at).timestamp() + clock.ahead
    case = Case(
        run=run,
        accounts=list(accounts),
        books=books,
        samples=samples_of(run.curves, books.drops, began_at),
        began_at=began_at,
        error=max(run.clock_error_ms / 1000, clock.error) + SERVER_CLOCK_SECONDS,
        alone=alone,
    )
    return judge(case)


def judge(case: Case) -> list[Finding]:
    """Return what is wrong with a run, family by family. Pure, and n log n in the takes."""
    return [finding for each in JUDGES for finding in each(case)]


def samples_of(curves: Sequence[Curve], drops: Iterable[str], began_at: float) -> dict[str, Samples]:
    """Return the looks at each drop, on the server's clock, from the curves `available`, `held` and `sold`.

    Curves of one drop have its id behind their name and leave out looks that saw nothing new; those without are of all
    drops together, have every look, and stand under the empty name, or under the only drop's.
    """
    by_name = {curve.name: curve for curve in curves}
    if any(name not in by_name or not by_name[name].at for name in NUMBERS):
        return {}
    looks = by_name[NUMBERS[0]].at
    only = list(drops)
    found = {
        only[0] if len(only) == 1 else "": _samples([by_name[name] for name in NUMBERS], looks, began_at)
    }
    for drop in only:
        of_drop = [by_name.get(f"{name} {drop}") for name in NUMBERS]
        known = [curve for curve in of_drop if curve is not None and curve.at]
        if len(known) == len(NUMBERS):
            found[drop] = _samples(known, looks, began_at)
    return found


def _samples(curves: Sequence[Curve], looks: Sequence[float], began_at: float) -> Samples:
    """Return three curves as they stood at each look, from the first that they know on."""
    first = bisect_left(looks, curves[0].at[0])
    at = looks[first:]
    numbers = [[_standing(curve, look) for look in at] for curve in curves]
    since = [looks[first - 1] if first else at[0] - FIRST_LOOK_SECONDS, *at[:-1]]
    return Samples([began_at + each for each in since], [began_at + each for each in at], *numbers)


def _standing(curve: Curve, at: float) -> int:
    return int(curve.values[bisect_right(curve.at, at) - 1])
