"""The award log, recomputed: what it says, and that nothing in it can be changed unseen."""

from __future__ import annotations

import hashlib
from typing import Any

import msgpack
import pytest

from server.inventory import chain

DROPS = {1: "dr_a", 2: "dr_b"}


def note(kind: str, number: int, first: int, *reservations: str, units: list[int] | None = None) -> bytes:
    """Return a note as the scripts pack theirs."""
    asked = [1] * len(reservations) if units is None else units
    return bytes(msgpack.packb([kind, number, 1000, first, list(reservations), asked], use_bin_type=False))


LOG = [
    note("awarded", 1, 1, "a", "b", units=[2, 1]),
    note("entered", 2, 1, "x", "y", "z"),
    note("awarded", 1, 3, "c"),
    note("left", 2, 2, "y", units=[0]),
    note("entered", 2, 4, "y2"),
    note("awarded", 2, 1, "z"),
]


def heads(notes: list[bytes]) -> dict[str, str]:
    """Return the heads that notes lead to."""
    return {drop: found.head for drop, found in chain.read(DROPS, notes).chains.items()}


def test_what_the_notes_add_up_to() -> None:
    """Ranks, units, entries and who left, for each drop by itself; nothing is wrong with it."""
    read = chain.read(DROPS, LOG)
    first, second = read.chains["dr_a"], read.chains["dr_b"]
    assert first.awards == {"a": chain.Award(1, 2), "b": chain.Award(2, 1), "c": chain.Award(3, 1)}
    assert (first.units, first.notes, second.notes) == (4, 2, 4)
    assert (second.entries, second.entered) == (4, {"x", "z", "y2"})
    assert (read.strays, first.differences, second.differences) == ([], [], [])


def test_the_rule_of_the_chain() -> None:
    """SHA-1 of the drop's id, then of the head before, in hexadecimal, and the note's bytes: anybody can follow."""
    head = hashlib.sha1(b"dr_a", usedforsecurity=False).hexdigest()
    assert chain.genesis("dr_a") == head
    for packed in (LOG[0], LOG[2]):
        head = hashlib.sha1(head.encode() + packed, usedforsecurity=False).hexdigest()
    assert heads(LOG)["dr_a"] == head


def test_every_byte_counts() -> None:
    """Whatever byte of whatever note is changed, a head is another one, or the note is of no drop."""
    honest = heads(LOG)
    for at, packed in enumerate(LOG):
        for place in range(len(packed)):
            changed = bytearray(packed)
            changed[place] ^= 1
            assert heads([*LOG[:at], bytes(changed), *LOG[at + 1 :]]) != honest, (at, place)


def test_every_note_counts() -> None:
    """No note can be left out, said twice, or put into another order among those of its drop."""
    honest = heads(LOG)
    for at in range(len(LOG)):
        assert heads(LOG[:at] + LOG[at + 1 :]) != honest
        assert heads([*LOG[:at], LOG[at], *LOG[at:]]) != honest
    for one, other in ((0, 2), (1, 3), (4, 5)):
        moved = list(LOG)
        moved[one], moved[other] = moved[other], moved[one]
        assert heads(moved) != honest


@pytest.mark.parametrize(
    ("notes", "difference"),
    [
        ([LOG[2]], "the award log goes from awarded 0 on to 3"),
        ([LOG[0], LOG[0]], "the award log goes from awarded 2 on to 1"),
        ([LOG[0], note("awarded", 1, 3, "a")], "the award log awards a twice"),
    ],
)
def test_where_it_breaks_is_said(notes: list[bytes], difference: str) -> None:
    """A gap, a repetition and an award that was there already are named, each once."""
    assert difference in chain.read(DROPS, notes).chains["dr_a"].differences


def test_a_draws_entries_are_checked_likewise() -> None:
    """A gap in the entries, and who leaves without having entered, are named."""
    found = chain.read(DROPS, [note("entered", 2, 2, "x"), note("left", 2, 0, "y", units=[0])])
    assert found.chains["dr_b"].differences == [
        "the award log goes from entered 0 on to 2",
        "the award log lets y leave, who had not entered",
    ]


@pytest.mark.parametrize(
    "stray",
    [
        b"\xc1",
        b"",
        note("awarded", 3, 1, "a"),
        note("given", 1, 1, "a"),
        note("awarded", 1, 1, "a", "b", units=[1]),
        bytes(msgpack.packb(["awarded", 1])),
        bytes(msgpack.packb({"kind": "awarded"})),
        b"\x96\xa7awarded\x01\x01\x01\x91\xa1\xff\x91\x01",
    ],
)
def test_what_is_no_note(stray: Any) -> None:
    """What cannot be read, says nothing known, or is of another show's drop is told and leads nowhere."""
    read = chain.read(DROPS, [*LOG, stray])
    assert read.strays == ["a note of the award log is of no drop of this show"]
    assert {drop: found.head for drop, found in read.chains.items()} == heads(LOG)


def test_a_rebuild_numbers_on() -> None:
    """A note of a rebuild may leave numbers out, and awards anew what was lost; the next award ends it."""
    rebuilt = note("rebuilt", 1, 1_000_001, "x", units=[2])
    found = chain.read(DROPS, [note("awarded", 1, 1, "a"), rebuilt]).chains["dr_a"]
    assert (found.differences, found.newest, found.rebuilt) == ([], 1_000_001, True)
    assert found.awards["x"] == chain.Award(1_000_001, 2)
    later = [note("awarded", 1, 1, "a"), rebuilt, note("awarded", 1, 1_000_002, "b")]
    assert not chain.read(DROPS, later).chains["dr_a"].rebuilt
    empty = chain.read(DROPS, [note("rebuilt", 1, 1_000_001)]).chains["dr_a"]
    assert (empty.newest, empty.differences) == (1_000_000, [])


def test_a_rebuild_gives_no_number_twice() -> None:
    """One that numbers on from a number that was given before is found."""
    log = [note("awarded", 1, 1, "a", "b"), note("rebuilt", 1, 2, "c")]
    assert chain.read(DROPS, log).chains["dr_a"].differences == [
        "the award log is rebuilt from 2, it had 2 awards"
    ]
