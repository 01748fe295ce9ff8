"""The goals of a capacity search, and what a run says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from loadtests.capacity.shares import GATEWAY, SUSTAINED_SECONDS, shares

if TYPE_CHECKING:
    from loadtests.run import Run

TAIL = 0.99
# What the gate may find under no load at all; a reply that never came is what too much load looks like.
PROMISES = frozenset(
    {"oversell", "stranded", "double-order", "limit", "lost-offset", "repeated-offset", "books"}
)


class Goals(Struct, frozen=True, kw_only=True):
    """What must hold: times in ms at the 99th percentile, the skew as the worst opening's, CPU as a share of a core."""

    reply_ms: float = 100.0
    checkout_ms: float = 1000.0
    skew_ms: float = 1000.0
    cpu: float = 0.9  # of each gateway process, in its busiest seconds


class Broken(Struct, frozen=True):
    """A goal that was missed, and by how much, in a sentence."""

    goal: str  # reply, checkout, skew, cpu, gate
    sentence: str
    kind: str = ""  # of what the gate found

    @property
    def promise(self) -> bool:
        """Whether it may not be under any load, however great."""
        return self.kind in PROMISES


class Figures(Struct, frozen=True, kw_only=True):
    """What a run is judged by; 0.0 where nothing of the kind was measured."""

    reply_ms: float
    checkout_ms: float
    skew_ms: float
    cpu: float


def figures(run: Run, gateways: int) -> Figures:
    """Return what a run is judged by."""
    tails = {name: 1000 * times.quantile(TAIL) for name, times in run.latencies.items()}
    return Figures(
        reply_ms=tails.get("reserve", 0.0),
        checkout_ms=tails.get("checkout", 0.0),
        skew_ms=1000 * max((opening.skew for opening in run.openings), default=0.0),
        cpu=shares(run, gateways, seconds=SUSTAINED_SECONDS).get(GATEWAY, 0.0),
    )


def missed(run: Run, seen: Figures, goals: Goals) -> list[Broken]:
    """Return the goals that a run has missed; none: it carries that load."""
    found = [Broken("gate", f"the gate found: {finding.sentence}", finding.kind) for finding in run.findings]
    if seen.reply_ms > goals.reply_ms:
        found.append(
            Broken("reply", f"replies took {seen.reply_ms:,.0f} ms at p99, {goals.reply_ms:,.0f} are allowed")
        )
    if seen.checkout_ms > goals.checkout_ms:
        found.append(
            Broken(
                "checkout",
                f"checkouts took {seen.checkout_ms:,.0f} ms at p99, {goals.checkout_ms:,.0f} are allowed",
            )
        )
    if seen.skew_ms > goals.skew_ms:
        found.append(
            Broken(
                "skew",
                f"the last viewer saw an opening {seen.skew_ms:,.0f} ms after the first, "
                f"{goals.skew_ms:,.0f} are allowed",
            )
        )
    if seen.cpu > goals.cpu:
        found.append(
            Broken("cpu", f"a gateway process took {seen.cpu:.0%} of a core, {goals.cpu:.0%} are allowed")
        )
    return found
