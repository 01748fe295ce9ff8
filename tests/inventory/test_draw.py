"""A draw computed again is the one that the scripts made, whatever was entered and left; and what was changed shows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from server import ids
from server.inventory import draw
from server.inventory.draw_log import Draw, Entry, Winner
from tests.house.tree import ROOT
from tests.inventory.draws import SEED, SHORT, Move, game, meeting, short_numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from server.store.embedded import Embedded

VIEWERS = [f"viewer-{n}" for n in range(12)]
MOVES = some.tuples(
    some.sampled_from(["join", "join", "leave"]), some.sampled_from(VIEWERS), some.integers(1, 3)
)
STEPS = some.lists(some.lists(MOVES, min_size=1, max_size=8), max_size=8)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the scripts with short numbers."""
    return short_numbers(tmp_path_factory.mktemp("short"))


def plain(record: Draw) -> list[tuple[str, int]]:
    """Return who won how many, in order."""
    return [(winner.entry, winner.quantity) for winner in record.winners]


def shares(record: Draw, digits: int) -> list[tuple[str, int]]:
    """Return who should win how many: everybody in the order of the draw, until the units are gone."""
    left, found = record.units, []
    for entry in draw.order(SEED, record.entries, digits):
        if left:
            found.append((entry.entry, min(entry.quantity, left)))
            left -= found[-1][1]
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, units=some.integers(1, 15), skip_absent=some.booleans())
def test_any_draw_is_drawn_again(
    private_valkey: Embedded,
    short: Path,
    steps: list[list[Move]],
    units: int,
    skip_absent: bool,  # noqa: FBT001
) -> None:
    """For any entries and leaves in any steps: order, winners, and the last one's part come out the same.

    Whether absent viewers are passed over in queues makes no difference: nobody of these is here.
    """

    async def play() -> None:
        async with game(private_valkey.url, short) as one:
            await one.opened(units)
            for moves in steps:
                await one.step(*moves)
            record = await one.closed(skip_absent=skip_absent)
            assert plain(record) == shares(record, SHORT)
            assert draw.check(record, draw.seed_hash(SEED), SHORT) == draw.Verdict(
                draw.order(SEED, record.entries, SHORT)
            )

    asyncio.run(play())


async def story(url: str, scripts: Path) -> draw.Verdict:
    """Play what every rule about numbers has a part in: meetings, a run of taken ones, and numbers that are freed.

    Five meet on one number and two on the next; of the five the first leaves in the step in which another comes.
    """
    five, two = meeting(3, 5), meeting(4, 2)
    async with game(url, scripts) as one:
        await one.opened(units=4)
        await one.step(("join", "a", 1), ("join", "b", 1), ("join", "x", 1), owns=[five[0], five[1], two[0]])
        await one.step(("leave", "a", 1), ("join", "c", 1), ("join", "d", 1), owns=["", five[2], five[3]])
        await one.step(("leave", "c", 1), owns=[""])
        await one.step(("join", "y", 1), ("join", "e", 1), owns=[two[1], five[4]])
        record = await one.closed()
        assert [entry.left for entry in record.entries if isinstance(entry.left, int)] == [3, 5]
        return draw.check(record, None, SHORT)


async def test_numbers_are_taken_and_freed_as_they_should(private_valkey: Embedded, short: Path) -> None:
    """Who leaves frees a number at once, in the same step and for later ones; who meets a taken one goes up."""
    verdict = await story(private_valkey.url, short)
    assert verdict.differences == []
    # numbers: b 4; x 5; c took a's 3 and left it; d 6; y 7; e 3
    assert [entry.n for entry in verdict.order] == [7, 2, 3, 5, 6]


@pytest.mark.parametrize(
    "change",
    [
        ("while scores[score] or", "while false and"),
        ("scores[score] == nil and redis", "redis"),
        ("score = score + 1", "score = score + 2"),
    ],
    ids=["two on one number", "never freed in its step", "another free one"],
)
async def test_another_rule_shows(private_valkey: Embedded, tmp_path: Path, change: tuple[str, str]) -> None:
    """Scripts that go by another rule about numbers make a draw that is not drawn again: the check can fail."""
    verdict = await story(private_valkey.url, short_numbers(tmp_path, change))
    assert any("Place" in one or "another order" in one for one in verdict.differences), verdict


async def test_a_draw_of_many_steps(private_valkey: Embedded) -> None:
    """More winners than one step serves, with numbers as they are: the record says so once all have theirs."""
    async with game(private_valkey.url) as one:
        await one.opened(600)
        for first in range(0, 700, 200):
            await one.step(*(("join", f"v{n}", 1 + n % 2) for n in range(first, min(first + 200, 700))))
        before = await one.record()
        assert (before.status, before.drawn, before.winners) == ("open", False, [])
        record = await one.closed()
        assert record.drawn
        assert draw.check(record, draw.seed_hash(SEED)).differences == []
        assert sum(winner.quantity for winner in record.winners) == 600


async def test_a_limit_of_the_show_is_told_apart(private_valkey: Embedded) -> None:
    """Who has other units may get less than their turn gives: where the record says so, the check counts them.

    Without that word the same record is wrong.
    """
    async with game(private_valkey.url) as one:
        await one.opened(10, show_limit=3)
        await one.step(("join", "ann", 3), ("join", "bob", 3))
        other = ids.new_drop(one.show)
        await one.planned(other, 5, mode="fifo")
        await one.take("ann", other, 2)
        record = await one.closed()
        assert sorted(winner.quantity for winner in record.winners) == [1, 3]
        verdict = draw.check(record)
        assert (record.limits, verdict.differences, verdict.limited) == (True, [], 1)
        record.limits = False
        assert "should get 3 and got 1" in draw.check(record).differences[0]


async def test_a_draw_nobody_entered(private_valkey: Embedded) -> None:
    """Without entries nobody wins, and no worker is called again and again for units that nobody waits for."""
    async with game(private_valkey.url) as one:
        await one.opened(3)
        record = await one.closed()
        assert (record.drawn, record.winners, draw.check(record).differences) == (True, [], [])


def made() -> Draw:
    """Return the record of a right draw: nine entries, the fourth of which left; seven units for entries of two."""
    entries = [Entry(n=n, entry=f"entry{n}", quantity=2) for n in range(1, 10)]
    entries[3].left = 6
    ordered = draw.order(SEED, entries)
    winners = [Winner(entry=entry.entry, quantity=2) for entry in ordered[:3]]
    winners.append(Winner(entry=ordered[3].entry, quantity=1))
    return Draw(
        drop="dr_show_drop",
        status="closed",
        units=7,
        drawn=True,
        limits=False,
        entries=entries,
        winners=winners,
        seed_hash=draw.seed_hash(SEED),
        seed=SEED,
    )


def winner_of(record: Draw, place: int) -> Entry:
    """Return the entry that won as number `place`."""
    return next(entry for entry in record.entries if entry.entry == record.winners[place - 1].entry)


def swapped(record: Draw) -> None:
    """Let two winners stand in the other order."""
    record.winners[0], record.winners[1] = record.winners[1], record.winners[0]


def other_seed(record: Draw) -> None:
    """Put another seed and its own hash into the record: only who saw the first hash can tell."""
    record.seed, record.seed_hash = "another", draw.seed_hash("another")


def dropped_entry(record: Draw) -> None:
    """Take an entry out and number the others anew."""
    record.entries.remove(winner_of(record, 2))
    for n, entry in enumerate(record.entries, 1):
        entry.n = n


TAMPERED: dict[str, tuple[Callable[[Draw], Any], str]] = {
    "seed": (lambda record: setattr(record, "seed", "another"), "The seed is not the one that was promised"),
    "promise": (other_seed, "The promise was changed"),
    "winner": (lambda record: setattr(record.winners[1], "entry", "entry99"), "is not among the entries"),
    "left": (lambda record: setattr(record.winners[1], "entry", "entry4"), "had left the draw"),
    "twice": (lambda record: setattr(record.winners[1], "entry", record.winners[0].entry), "got units twice"),
    "order": (swapped, "The winners stand in another order: place 1"),
    "share": (lambda record: setattr(record.winners[0], "quantity", 1), "should get 2 and got 1"),
    "too much": (
        lambda record: setattr(record.winners[3], "quantity", 2),
        "8 units were given, 7 were there",
    ),
    "unserved": (lambda record: record.winners.pop(), "Place 4 of the draw"),
    "passed over": (lambda record: record.winners.pop(1), "Place 2 of the draw"),
    "entry": (lambda record: setattr(winner_of(record, 1), "entry", "entry99"), "is not among the entries"),
    "asked": (lambda record: setattr(winner_of(record, 1), "quantity", 1), "should get 1 and got 2"),
    "removed": (dropped_entry, "is not among the entries"),
    "missing": (lambda record: record.entries.pop(0), "Entry number 1 is missing"),
    "came back": (lambda record: setattr(record.entries[3], "left", 99), "Entry number 4 cannot be"),
    "nothing asked": (lambda record: setattr(record.entries[0], "quantity", 0), "Entry number 1 cannot be"),
    "double": (lambda record: setattr(record.entries[4], "entry", "entry1"), "is number 1 too"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_is_named(what: str) -> None:
    """One change of a right record, and the check says which; the record without it is right."""
    change, said = TAMPERED[what]
    told = draw.seed_hash(SEED)
    record = made()
    assert draw.check(record, told).differences == []
    change(record)
    found = draw.check(record, told).differences
    assert len(found) == 1, found
    assert said in found[0]


def test_a_seed_changed_with_its_hash_is_right_to_who_did_not_look() -> None:
    """Why the hash is told at the opening: without it another seed makes another draw, as right as the first."""
    record = made()
    other_seed(record)
    ordered = draw.order("another", record.entries)
    record.winners = [Winner(entry=entry.entry, quantity=2) for entry in ordered[:3]]
    record.winners.append(Winner(entry=ordered[3].entry, quantity=1))
    assert draw.check(record).differences == []
    assert draw.check(record, draw.seed_hash(SEED)).differences != []


def test_ids_and_their_own_parts_are_one() -> None:
    """Records with whole reservation ids give the order that records with own parts give."""
    assert draw.number(SEED, "rs_show_entry1") == draw.number(SEED, "entry1")


@given(stays=some.lists(some.integers(0, 20) | some.none(), max_size=20))
def test_the_ten_lines_of_the_paper_give_the_order(stays: list[int | None]) -> None:
    """What docs/fairness.md tells anybody to run is the rule: the same order, for any entries and leaves."""
    code = (
        (ROOT / "docs" / "fairness.md")
        .read_text(encoding="utf-8")
        .partition("```python\n")[2]
        .partition("```")[0]
    )
    names: dict[str, Any] = {}
    exec(code.replace("[:10]", f"[:{SHORT}]"), names)  # noqa: S102  the paper is ours
    entries = [
        Entry(n=n, entry=f"entry{n}", quantity=1, **({} if stay is None else {"left": n + stay}))
        for n, stay in enumerate(stays, 1)
    ]
    ordered = names["order"](SEED, msgspec.to_builtins(entries))
    assert ordered == [entry.entry for entry in draw.order(SEED, entries, SHORT)]
