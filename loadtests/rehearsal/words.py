"""What a rehearsal means, in plain sentences by rules: what will happen, and what to change. Pure."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.rehearsal.copying import Original, View
    from loadtests.rehearsal.facts import Facts, Rehearsed, SellOut

TOO_QUICK = 3.0  # s: who reads the title first comes too late
SLOW_REPLY_MS = 250.0  # from here on a buyer feels it
LATE_MS = 500.0  # skew from which a countdown is not enough
LONG_HOLD = 60  # s: longer than a card takes to type
HOUR, MINUTE = 3600, 60
ROUND_FROM = 100


def story(told: Rehearsed) -> list[str]:
    """Return what happened, a sentence or more for each drop, as what will happen."""
    lines = [assumed(told)]
    for drop in told.drops:
        lines += [sells(drop), *_reaches(drop, told), *_misses(drop), *_holds(drop)]
    return lines


def advice(told: Rehearsed) -> list[str]:
    """Return what to change, the most urgent first; nothing where nothing should be."""
    found = [*_of_server(told)]
    for drop in told.drops:
        found += [
            f"{drop.title}: {line}" for line in (*_of_units(drop), *_of_opening(drop), *_of_holds(drop))
        ]
    return [*found, *_of_order(told)]


def assumed(told: Rehearsed) -> str:
    """Return what the rehearsal took for granted."""
    paying = "" if told.paid else " Nobody paid: this server takes real money."
    return (
        f"Assumed: {told.viewers:,} viewers, {told.wanting:.0%} of them want each drop and tap within "
        f"{seconds(told.within)} of its opening.{paying}"
    )


def sells(drop: Facts) -> str:
    """Return when a drop sells out, or that it does not."""
    if drop.sell_out is None:
        return (
            f"{drop.title} does not sell out: {drop.units:,} of {units(drop.quantity + drop.waves)} "
            f"{'goes' if drop.units == 1 else 'go'} to {people(drop.served)}."
        )
    return f"{drop.title}, {units(drop.quantity)}, sells out in about {between(drop.sell_out)}."


def between(sold: SellOut) -> str:
    """Return a time with its range, such as `12 s (10 to 15)`; a range that rounds to nothing is left out."""
    if sold.latest == math.inf:
        return f"{seconds(sold.at)}, by luck: with a few buyers less it would not"
    least, most = _rounded(sold.earliest), _rounded(sold.latest)
    return seconds(sold.at) if least == most else f"{seconds(sold.at)} ({least:g} to {most:g})"


def _reaches(drop: Facts, told: Rehearsed) -> Iterator[str]:
    if drop.seen_ms:
        yield (
            f"99 of 100 viewers see it open within {drop.seen_ms:,.0f} ms, the last {drop.skew_ms:,.0f} ms after the "
            f"first; 99 of 100 buyers have their answer within {told.reply_ms:,.0f} ms."
        )


def _misses(drop: Facts) -> Iterator[str]:
    if drop.missed > 0 and drop.sell_out is not None:
        yield f"{people(drop.missed)} will want it and not get it, of {drop.wanted:,} who tap."


def _holds(drop: Facts) -> Iterator[str]:
    if drop.lapsed:
        yield (
            f"{units(drop.lapsed)} will be held and not paid: at {drop.hold_seconds} s a hold, each is kept from the "
            f"others for {lasting(drop.hold_seconds)}."
        )


def _of_server(told: Rehearsed) -> Iterator[str]:
    if told.reply_ms > SLOW_REPLY_MS:
        yield (
            f"The server is too small for this crowd: a hundredth of the answers took longer than "
            f"{told.reply_ms:,.0f} ms. `livedrop capacity` finds what it carries, and what is full."
        )


def _of_units(drop: Facts) -> Iterator[str]:
    enough = drop.quantity + drop.waves + drop.wanting
    if drop.sell_out is not None and drop.missed > 0:
        queue = "the waitlist serves them as units come back" if drop.waitlist else "switch the waitlist on"
        yield f"{queue}, or plan {neat(enough):,} units instead of {drop.quantity + drop.waves:,}."
        if drop.limit > 1 and drop.beyond_first:
            yield (
                f"a limit of 1 instead of {drop.limit} would serve {people(min(drop.beyond_first, drop.missed))} more "
                "with the same units."
            )
    elif drop.sell_out is None and drop.units < (drop.quantity + drop.waves) / 2:
        yield (
            f"fewer units would do: only {drop.units:,} of {drop.quantity + drop.waves:,} went. A small number is what "
            "makes a drop one."
        )


def _of_opening(drop: Facts) -> Iterator[str]:
    if drop.gone_early:
        yield (
            f"{units(drop.gone_early)} {'was' if drop.gone_early == 1 else 'were'} gone before the last viewer had "
            "seen the opening: open it with a countdown of 10 s or more, so that everybody knows before anybody takes."
        )
    elif drop.opens_at is not None and drop.sell_out is not None and drop.sell_out.at < 2 * TOO_QUICK:
        yield "it opens by the clock, so without a countdown: open it by hand with one."
    if drop.skew_ms > LATE_MS:
        yield f"the last viewer is {drop.skew_ms:,.0f} ms behind the first: more server processes bring that down."
    if drop.sell_out is not None and drop.sell_out.at < TOO_QUICK:
        yield (
            f"sold out in {seconds(drop.sell_out.at)}, the quickest fingers get it all: a draw gives everybody who "
            "enters the same chance."
        )


def _of_holds(drop: Facts) -> Iterator[str]:
    if drop.lapsed and drop.sell_out is not None and drop.hold_seconds > LONG_HOLD:
        yield (
            f"hold for {LONG_HOLD} s instead of {drop.hold_seconds}: the {units(drop.lapsed)} that nobody pays would "
            f"be with who waits {lasting(drop.hold_seconds - LONG_HOLD)} earlier."
        )


def _of_order(told: Rehearsed) -> Iterator[str]:
    """Yield where the next drop opens while the buyers of the one before are still paying."""
    planned = [drop for drop in told.drops if drop.opens_at is not None]
    for before, after in pairwise(sorted(planned, key=lambda drop: drop.opens_at or 0)):
        gap = ((after.opens_at or 0) - (before.opens_at or 0)) / 1000
        if gap < before.hold_seconds and before.sell_out is not None:
            yield (
                f"{after.title} opens {seconds(gap)} after {before.title}, while units of that are still held for up "
                f"to {lasting(before.hold_seconds)}: what comes back then finds nobody looking. Leave them that time, "
                "or shorten the hold."
            )


def left_out(original: Original) -> list[str]:
    """Return what of a show a rehearsal does not play, or plays otherwise."""
    lines = [not_rehearsed(drop) for drop in original.drops if drop["mode"] != "fifo"]
    limit = original.show.get("limit_per_viewer")
    if limit is not None:
        lines.append(f"The show's limit of {units(limit)} per viewer over all its drops was not rehearsed.")
    if any("limit_per_address" in drop for drop in original.drops):
        lines.append(
            "This server limits units per network address, and the whole audience came from this machine: it may have "
            "been refused for that."
        )
    return lines


def not_rehearsed(drop: View) -> str:
    """Return why a drop of another mode had no rehearsal."""
    if drop["mode"] == "draw":
        return (
            f"{drop['title']} is drawn: whenever somebody enters, the chance is the same, so there was no rush to "
            f"rehearse. Of n who enter, {drop['quantity']:,} in n get a unit."
        )
    return f"{drop['title']} goes to who pays first and holds nothing: that was not rehearsed."


def seconds(value: float) -> str:
    """Return a time as a host would say it."""
    return f"{_rounded(value):g} s"


def lasting(value: float) -> str:
    """Return a span in its largest fitting unit."""
    for size, name in ((HOUR, "h"), (MINUTE, "min")):
        if value >= 2 * size or value == size:
            return f"{value / size:.3g} {name}"
    return f"{value:g} s"


def neat(value: int) -> int:
    """Return a number of units that somebody would plan: two figures of it, rounded up."""
    if value < ROUND_FROM:
        return value
    step: int = 10 ** (len(str(value)) - 2)
    return -(-value // step) * step


def units(number: int) -> str:
    """Return so many units."""
    return f"{number:,} unit{'' if number == 1 else 's'}"


def people(number: int) -> str:
    """Return so many people."""
    return f"{number:,} {'person' if number == 1 else 'people'}"


def _rounded(value: float) -> float:
    return round(value) if value >= 10 else round(value, 1)  # noqa: PLR2004  tenths of a second count below
