"""What the judges judge: the viewers' accounts, the server's books and the curves of a run, on the server's clock.

A judge says only what must be so however the clocks are off within their bounds. For that every take has two spans.
The certain one lies within the time that its viewer truly had the units; the possible one covers all of it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from loadtests.gate.units import Span, Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.gate.books import Books, DropView
    from loadtests.run import Run
    from loadtests.seen import Account, Refused, Take

RETURN_SECONDS = 1.0  # the promise: what is let go can be taken again within this time
LATE_SECONDS = 3.0  # that, and the time that a payment which comes to nothing may keep units beyond their end
ANSWER_SECONDS = 15.0  # a command that was never answered has been carried out by then, or never is
LEFT_SECONDS = 3.0  # an event that came so shortly before the crowd left may not have reached everybody


class Own(NamedTuple):
    """A take and who took it."""

    viewer: str
    take: Take

    def __str__(self) -> str:
        """Return it as a line of evidence."""
        take = self.take
        name = take.reservation or f"operation {take.operation}"
        return f"{name}: {take.quantity} of {take.drop} for {self.viewer}, {take.end}"


@dataclass(frozen=True, slots=True)
class Samples:
    """A drop's numbers as they were read during the run, one look after the other.

    A look has the numbers of some moment between `since`, before which it was not asked for, and `at`, when it was
    there. Both rise.
    """

    since: Sequence[float]
    at: Sequence[float]
    available: Sequence[int]
    held: Sequence[int]
    sold: Sequence[int]


NO_LOOKS = Samples((), (), (), (), ())


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run. `error`: seconds that an estimate of the server's clock may be off, a viewer's or that of the looks.

    `samples` are by drop; under the empty name those of all drops together, where they are not told apart. `began_at`
    is the run's begin. `alone`: nobody else buys in this show, so what the crowd does not know should not be.
    """

    run: Run
    accounts: list[Account]
    books: Books
    samples: dict[str, Samples]
    began_at: float
    error: float = 0.0
    alone: bool = True

    @cached_property
    def takes(self) -> dict[str, list[Own]]:
        """Every take by its drop; a reservation that its viewer has noted twice counts once."""
        found: dict[str, list[Own]] = defaultdict(list)
        known: set[tuple[str, str]] = set()
        for account in self.accounts:
            for take in account.takes:
                name = account.viewer, take.reservation
                if not take.reservation or name not in known:
                    known.add(name)
                    found[take.drop].append(Own(account.viewer, take))
        return dict(found)

    @cached_property
    def refusals(self) -> dict[str, list[tuple[str, Refused]]]:
        """Every kept refusal by its drop, with its viewer."""
        found: dict[str, list[tuple[str, Refused]]] = defaultdict(list)
        for account in self.accounts:
            for refused in account.refused:
                found[refused.drop].append((account.viewer, refused))
        return dict(found)

    @cached_property
    def named_orders(self) -> set[str]:
        """Every order that any answer to any viewer has named."""
        named = {order for own in self.every_take for order in own.take.orders}
        return named | {own.take.order for own in self.every_take if own.take.order}

    @cached_property
    def sold_reservations(self) -> set[str]:
        """Every reservation that an order of the server has."""
        return {line.reservation for order in self.books.orders for line in order.lines}

    @cached_property
    def every_take(self) -> list[Own]:
        """Every take of every drop."""
        return [own for owns in self.takes.values() for own in owns]

    @cached_property
    def until(self) -> float:
        """Until when the crowd was there for certain."""
        return self.began_at + min(self.run.plan.seconds, self.run.seconds) - LEFT_SECONDS

    def certain(self, take: Take) -> Span | None:
        """Return when the viewer truly had the units: from the answer to their end, for ever where they are paid."""
        if not take.held_at or not take.reservation:
            return None
        start = take.held_at + self.error
        if take.end == "paid":
            return Span(start, inf, take.quantity)
        gone_at = take.gone_at - self.error if take.gone_at else inf
        end = min(gone_at, take.expires_at or gone_at)
        return Span(start, end, take.quantity) if start < end < inf else None

    def possible(self, take: Take) -> Span:
        """Return when the units may have been off the shelf, promises kept: from the asking to the last return."""
        start = take.asked_at - self.error
        if take.end == "paid" or take.orders or take.reservation in self.sold_reservations:
            return Span(start, inf, take.quantity)
        drop = self.books.drops.get(take.drop)
        kept_for = drop.hold_seconds if drop is not None else 0
        end = take.expires_at or take.asked_at + ANSWER_SECONDS + kept_for
        return Span(start, end + LATE_SECONDS + self.error, take.quantity)

    def offered(self, drop: DropView) -> Steps:
        """Return how many units of a drop were offered from when on; all at once where the log does not tell."""
        steps = [
            (event.at, event.quantity)
            for event in self.books.events
            if event.drop == drop.id and event.quantity is not None
        ]
        if not steps:
            return Steps([0.0], [drop.quantity])
        return Steps([at for at, _ in steps], [quantity for _, quantity in steps])
