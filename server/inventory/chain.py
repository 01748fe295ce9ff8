"""The award log checked: who got units of a drop and in which order, chained so that no note can be changed later.

Each note of the log is packed by the step that awarded. A drop's head starts as the SHA-1 of its id, and each note
turns it into the SHA-1 of the head before and the note's bytes; the stock row keeps the head and the number of awards.
Whoever has the log and the head, or a head that was read earlier, sees whether a note was changed, dropped or moved.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KINDS = frozenset({"awarded", "entered", "left", "rebuilt"})

AWARDS = frozenset({"awarded", "rebuilt"})  # the kinds that say who got units


class Note(msgspec.Struct, array_like=True, frozen=True):
    """One note: what happened to `reservations` (own parts of ids) of a drop at one moment, in their order.

    awarded: they got `units` each and are the drop's awards from number `first` on. entered: they entered its draw,
    asking for `units` each, as its entries from number `first` on. left: they left its draw. rebuilt: the store had
    lost something; those whose award it had lost, and the ledger knows, have it anew, and numbering goes on from there.
    """

    kind: str
    number: int
    at: int
    first: int
    reservations: list[str]
    units: list[int]


@dataclass(frozen=True, slots=True)
class Award:
    """What the log says that a reservation got: its place among the drop's awards, from 1, and how many units."""

    rank: int
    units: int


@dataclass(slots=True)
class Chain:
    """What a drop's notes add up to, and what is wrong with them."""

    head: str
    notes: int = 0
    entries: int = 0  # the number of the newest one
    newest: int = 0  # the number of the newest award
    rebuilt: bool = False  # whether nothing was awarded since the last rebuild
    awards: dict[str, Award] = field(default_factory=dict)
    entered: set[str] = field(default_factory=set)  # and did not leave
    differences: list[str] = field(default_factory=list)

    @property
    def units(self) -> int:
        """Units that were awarded, those that came back among them."""
        return sum(award.units for award in self.awards.values())


@dataclass(frozen=True, slots=True)
class Read:
    """The chains of a show by drop, and what belongs to none of them."""

    chains: dict[str, Chain]
    strays: list[str]


_NOTE = msgspec.msgpack.Decoder(Note)


def genesis(drop: str) -> str:
    """Return the head of a drop's chain before its first note."""
    return _sha1(drop.encode())


def following(head: str, note: bytes) -> str:
    """Return the head after a note."""
    return _sha1(head.encode() + note)


def read(numbers: Mapping[int, str], notes: Iterable[bytes]) -> Read:
    """Return what a show's log adds up to; `numbers` names its drops, `notes` are as stored, oldest first."""
    chains = {drop: Chain(genesis(drop)) for drop in numbers.values()}
    strays = []
    for packed in notes:
        note = _unpacked(packed)
        drop = numbers.get(note.number) if note else None
        if note is None or drop is None:
            strays.append("a note of the award log is of no drop of this show")
            continue
        chain = chains[drop]
        chain.head = following(chain.head, packed)
        chain.notes += 1
        _add(chain, note)
    return Read(chains, strays)


def _add(chain: Chain, note: Note) -> None:
    if note.kind == "left":
        for entry in note.reservations:
            if entry not in chain.entered:
                chain.differences.append(f"the award log lets {entry} leave, who had not entered")
            chain.entered.discard(entry)
        return
    last = note.first + len(note.reservations) - 1
    if note.kind in AWARDS:
        chain.rebuilt = note.kind == "rebuilt"
        if not chain.rebuilt:
            _follow(chain, note, chain.newest)
        elif note.first <= chain.newest:
            chain.differences.append(
                f"the award log is rebuilt from {note.first}, it had {chain.newest} awards"
            )
        chain.newest = last
        _award(chain, note)
    else:
        _follow(chain, note, chain.entries)
        chain.entries = last
        chain.entered.update(note.reservations)


def _follow(chain: Chain, note: Note, last: int) -> None:
    if note.first != last + 1:
        chain.differences.append(f"the award log goes from {note.kind} {last} on to {note.first}")


def _award(chain: Chain, note: Note) -> None:
    for place, (reservation, units) in enumerate(zip(note.reservations, note.units, strict=True)):
        if reservation in chain.awards:
            chain.differences.append(f"the award log awards {reservation} twice")
        chain.awards[reservation] = Award(note.first + place, units)


def _unpacked(packed: bytes) -> Note | None:
    try:
        note = _NOTE.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    whole = note.kind == "left" or len(note.reservations) == len(note.units)
    return note if note.kind in KINDS and whole else None


def _sha1(text: bytes) -> str:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()
