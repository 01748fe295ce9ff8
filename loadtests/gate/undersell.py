"""Undersell: nobody who asks may be told that there is nothing left while units stand on the shelf.

Both proofs look for a lower bound of what was available while somebody was refused. During the run: the least that was
read around the refusal, less all that may have been taken meanwhile. In the end: what is left over, where nothing that
was held has come back after the refusal began. Units that came back are given the second that is promised.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import inf
from typing import TYPE_CHECKING

from loadtests.gate.books import GIVEN_BACK
from loadtests.gate.case import ANSWER_SECONDS, LATE_SECONDS, NO_LOOKS, RETURN_SECONDS
from loadtests.gate.finding import clock, count, finding
from loadtests.gate.units import Running, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadtests.gate.books import DropView
    from loadtests.gate.case import Case
    from loadtests.run import Finding
    from loadtests.seen import Refused

OUT_OF_STOCK = "out-of-stock"
QUEUE_SECONDS = 2.0  # more for what came back where people may wait for it: they come first
OPENS = frozenset({"opened", "resumed", "started"})
HALTS = frozenset({"paused", "closed", "ended"})
RESTOCKED = "drop.restocked"

Named = tuple[str, "Refused"]


def judge(case: Case) -> Iterator[Finding]:
    """Yield a finding for each drop of which somebody was refused units that must have been there."""
    for drop in case.books.drops.values():
        if drop.mode == "fifo":
            asked = list(_asked(case, drop))
            yield from _during(case, drop, asked)
            yield from _in_the_end(case, drop, asked)


def _asked(case: Case, drop: DropView) -> Iterator[Named]:
    """Yield who was told that there is nothing left while the drop was open, from the asking to the answer."""
    spans = list(_open(case, drop))
    starts = [start for start, _ in spans]
    for viewer, refused in case.refusals.get(drop.id, ()):
        if refused.code == OUT_OF_STOCK:
            place = bisect_left(starts, refused.asked_at - case.error) - 1
            if place >= 0 and refused.answered_at + case.error < spans[place][1]:
                yield viewer, refused


def _open(case: Case, drop: DropView) -> Iterator[tuple[float, float]]:
    """Yield from when to when a drop was open in a show that went on: by the log, else by its own times."""
    moves = [event for event in case.books.events if event.drop in {"", drop.id}]
    if not moves:
        if drop.opened_at:
            yield drop.opened_at / 1000, drop.closed_at / 1000 if drop.closed_at else inf
        return
    going = {"drop": False, "show": True}
    since = inf
    for event in moves:
        of, _, verb = event.kind.partition(".")
        if verb in OPENS | HALTS and of in going:
            going[of] = verb in OPENS
            if all(going.values()):
                since = min(since, event.at)
            elif since < inf:
                yield since, event.at
                since = inf
    if since < inf:
        yield since, inf


def _during(case: Case, drop: DropView, asked: Sequence[Named]) -> Iterator[Finding]:
    samples, off = case.samples.get(drop.id, NO_LOOKS), 2 * case.error
    queues = drop.waitlist and (case.run.plan.recording or not case.alone)  # a plan's own crowd never waits
    back = RETURN_SECONDS + (QUEUE_SECONDS if queues else 0.0)
    taking = Running(
        Span(own.take.asked_at, own.take.held_at or own.take.asked_at + ANSWER_SECONDS, own.take.quantity)
        for own in case.takes.get(drop.id, ())
    )
    lower: dict[
        tuple[int, int], int
    ] = {}  # by the looks before and after: what was available between them at least
    refused_wrongly, most = [], 0
    for viewer, refused in asked:
        first = bisect_right(samples.at, refused.asked_at - back - off) - 1
        if first < 0 or samples.available[first] < _wanted(drop, refused):
            continue
        last = bisect_left(samples.since, refused.answered_at + off)
        if last == len(samples.at):
            continue
        if (first, last) not in lower:
            taken = taking.touching(samples.since[first] - off, samples.at[last] + off)
            lower[first, last] = min(samples.available[first : last + 1]) - taken
        if lower[first, last] >= _wanted(drop, refused):
            most = max(most, lower[first, last])
            refused_wrongly.append((viewer, refused))
    if refused_wrongly:
        yield finding(
            "undersell",
            f"{drop.id}: {count(len(refused_wrongly), 'time')} a viewer was told out-of-stock while units were "
            f"available, up to {count(most, 'unit')} for certain.",
            refused_wrongly,
            _told,
        )


def _in_the_end(case: Case, drop: DropView, asked: Sequence[Named]) -> Iterator[Finding]:
    given_back = any(
        line.drop == drop.id
        for order in case.books.orders
        if order.status in GIVEN_BACK
        for line in order.lines
    )
    if not drop.available or not asked or given_back:  # what came back of an order came at an unknown moment
        return
    back = [own.take.expires_at for own in case.takes.get(drop.id, ()) if own.take.end != "paid"]
    back += [event.at for event in case.books.events if (event.drop, event.kind) == (drop.id, RESTOCKED)]
    samples = case.samples.get(drop.id, NO_LOOKS)
    back += [at for at, held in zip(samples.at, samples.held, strict=True) if held]
    last = max(back, default=0.0) + LATE_SECONDS + 2 * case.error
    late = [
        (viewer, refused)
        for viewer, refused in asked
        if refused.asked_at > last and _wanted(drop, refused) <= drop.available
    ]
    if late:
        yield finding(
            "undersell",
            f"{drop.id} ended with {count(drop.available, 'unit')} available, and {count(len(late), 'time')} a viewer "
            f"was told out-of-stock after the last had come back, by {clock(last)}.",
            late,
            _told,
        )


def _wanted(drop: DropView, refused: Refused) -> int:
    return refused.quantity or drop.limit_per_viewer


def _told(named: Named) -> str:
    viewer, refused = named
    asked = count(refused.quantity, "unit") if refused.quantity else "units"
    return f"{viewer} asked for {asked} at {clock(refused.asked_at)} and had the answer at {clock(refused.answered_at)}"
