"""A draw computed again from what is known of it once it is over, so that nobody has to believe the server.

At the opening the hash of a secret seed is told, at the closing the seed. A draw's order is that of its entries'
numbers: the first 40 bits of the SHA-1 over seed and entry. Who meets a number that is taken gets the next free one,
and who leaves frees theirs. In that order all get what they asked for until the units are gone, the last maybe a part.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import UNSET

from server import ids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.inventory.draw_log import Draw, Entry

DIGITS = 10  # hexadecimal, of an entry's number: 40 bits


@dataclass(slots=True)
class Verdict:
    """A draw computed again: its order, and what in the record differs from it (nothing: it is right).

    `limited` counts entries that got less than their turn would give them, in a draw with limits that only the server
    can apply.
    """

    order: list[Entry]
    differences: list[str] = field(default_factory=list)
    limited: int = 0


def seed_hash(seed: str) -> str:
    """Return what is told at the opening: the SHA-256 of the seed."""
    return hashlib.sha256(seed.encode()).hexdigest()


def number(seed: str, entry: str, digits: int = DIGITS) -> int:
    """Return the number that a seed gives an entry, by its id or the own part of it."""
    text = (seed + ids.own(entry)).encode()
    return int(hashlib.sha1(text, usedforsecurity=False).hexdigest()[:digits], 16)


def order(seed: str, entered: Iterable[Entry], digits: int = DIGITS) -> list[Entry]:
    """Return the entries that did not leave in the order of the draw; `entered` are all, in the order they came."""
    last: dict[int, Entry] = {}  # who had each number last
    placed: list[tuple[int, Entry]] = []
    for entry in entered:
        its = number(seed, entry.entry, digits)
        while its in last and _had(last[its], entry.n):
            its += 1
        last[its] = entry
        if entry.left is UNSET:
            placed.append((its, entry))
    return [entry for _its, entry in sorted(placed, key=lambda one: one[0])]


def check(draw: Draw, told_hash: str | None = None, digits: int = DIGITS) -> Verdict:
    """Compute a closed draw again and compare; `told_hash` is the seed's hash as somebody saw it at the opening."""
    seed = draw.seed or ""
    differences = _seed_differences(draw, seed, told_hash) + _entry_differences(draw.entries)
    if differences:
        return Verdict([], differences)
    verdict = Verdict(order(seed, draw.entries, digits))
    verdict.differences = _winner_differences(draw, verdict.order)
    if not verdict.differences:
        _compare(draw, verdict)
    return verdict


def _had(entry: Entry, n: int) -> bool:
    """Whether an entry still had its number when the `n`th came."""
    return entry.left is UNSET or entry.left >= n


def _seed_differences(draw: Draw, seed: str, told_hash: str | None) -> list[str]:
    found = []
    if seed_hash(seed) != draw.seed_hash:
        found.append(
            f"The seed is not the one that was promised: its hash is {seed_hash(seed)}, not {draw.seed_hash}."
        )
    if told_hash is not None and told_hash.lower() != draw.seed_hash:
        found.append(f"The promise was changed: {told_hash} was told at the opening, not {draw.seed_hash}.")
    return found


def _entry_differences(entered: list[Entry]) -> list[str]:
    here: dict[str, Entry] = {}
    for n, entry in enumerate(entered, 1):
        if entry.n != n:
            return [f"Entry number {n} is missing: number {entry.n} stands in its place."]
        if entry.quantity < 1 or (entry.left is not UNSET and not n <= entry.left <= len(entered)):
            return [f"Entry number {n} cannot be: it asks for {entry.quantity}, and left after {entry.left}."]
        before = here.get(entry.entry)
        if before is not None and before.left is UNSET:
            return [f"Entry number {n}, {entry.entry}, is number {before.n} too."]
        here[entry.entry] = entry
    return []


def _winner_differences(draw: Draw, ordered: list[Entry]) -> list[str]:
    """Return which winners could not have won at all, or won twice."""
    staying = {entry.entry for entry in ordered}
    known = staying | {entry.entry for entry in draw.entries}
    seen: set[str] = set()
    for winner in draw.winners:
        if winner.entry not in staying:
            why = "had left the draw" if winner.entry in known else "is not among the entries"
            return [f"{winner.entry} got {winner.quantity} and {why}."]
        if winner.entry in seen:
            return [f"{winner.entry} got units twice."]
        seen.add(winner.entry)
    given = sum(winner.quantity for winner in draw.winners)
    return [f"{given} units were given, {draw.units} were there."] if given > draw.units else []


def _compare(draw: Draw, verdict: Verdict) -> None:
    """Walk down the order with what is left, and note the first place where the record differs."""
    left, given = draw.units, iter(draw.winners)
    following = next(given, None)
    for place, entry in enumerate(verdict.order, 1):
        expected = min(entry.quantity, left)
        got = 0
        if following is not None and following.entry == entry.entry:
            got, following = following.quantity, next(given, None)
        if got != expected:
            if not draw.limits or got > expected:
                verdict.differences.append(_difference(draw, place, entry, expected, got))
                return
            verdict.limited += 1
        left -= got
    if following is not None:
        verdict.differences.append(f"The winners stand in another order: {following.entry} comes too late.")


def _difference(draw: Draw, place: int, entry: Entry, expected: int, got: int) -> str:
    where = next((n for n, winner in enumerate(draw.winners, 1) if winner.entry == entry.entry), None)
    if got == 0 and where is not None:
        return (
            f"The winners stand in another order: place {place} of the draw is {entry.entry} (entry number {entry.n}), "
            f"the record has it at {where}."
        )
    return f"Place {place} of the draw, {entry.entry} (entry number {entry.n}), should get {expected} and got {got}."
