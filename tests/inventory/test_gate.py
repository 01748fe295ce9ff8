"""The sold-out gate: what it may refuse, for how long, and what it must never decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.errors import Code, Problem
from server.inventory import asks, gate
from server.inventory.gate import MOST_DROPS, TRUST_SECONDS, Gate
from server.inventory.outcomes import Held, Seen, Waiting
from tests.inventory.lines import BROKEN_LINE

if TYPE_CHECKING:
    from server.inventory.asks import Ask
    from server.inventory.outcomes import Outcome
    from tests.inventory.lines import Shop, Shops

NOW = 1000.0
LONG_SECONDS = 60.0


@pytest.fixture
async def gated(shops: Shops) -> Shop:
    return await shops.open(gate=True)


@pytest.fixture
def long_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what was seen be believed for so long that no pause of the machine opens the gate."""
    monkeypatch.setattr(gate, "TRUST_SECONDS", LONG_SECONDS)


def saw(drop: str = "drop", available: int = 0, revision: int = 7) -> Seen:
    return Seen(drop, 1, available, 3, revision, 5, 0, 1, "MUG", "EUR", 1250, 60)


def wish(drop: str = "drop") -> Ask:
    return asks.reserve("sh_1", "ann", "op", drop, 2)


def scripts(shop: Shop, known: int = 0) -> list[str]:
    """Return the scripts that were run since so many calls, but for what a worker could do as well."""
    return [call.name for call in shop.valve.calls[known:] if call.name != "stock_flush"]


async def unmet(shop: Shop) -> int:
    """Return how many units were asked for in vain."""
    units: int = (await shop.house.shows.figures(shop.show))["unmet_demand"]
    return units


async def sold_out(shop: Shop, quantity: int = 1) -> str:
    """Return a drop that is gone, as this process has seen."""
    drop = await shop.drop(quantity, limit_per_viewer=quantity)
    await shop.submit(shop.reserve("first", drop, quantity)).all()
    return drop


# -- what it knows


def test_what_was_seen_is_believed_for_200_ms() -> None:
    """From the moment at which the step was sent that saw it, and not a moment longer."""
    door = Gate()
    door.learn([saw()], NOW)
    refusal = door.refusal(wish(), NOW + TRUST_SECONDS - 0.001)
    assert refusal is not None
    assert (refusal.code, refusal.extras) == (Code.OUT_OF_STOCK, {"available": 0, "held": 3})
    assert refusal.detail == "Asked for 2, 0 available; 3 held by others may come back."
    assert door.refusal(wish(), NOW + TRUST_SECONDS) is None
    assert TRUST_SECONDS <= 0.2


def test_only_what_is_gone_is_learnt() -> None:
    """A drop with units, or one that never had any taken, is let through; so is every drop that nobody has seen."""
    door = Gate()
    door.learn([saw("some", available=1), saw("gone")], NOW)
    assert door.refusal(wish("some"), NOW) is None
    assert door.refusal(wish("other"), NOW) is None
    assert door.refusal(wish("gone"), NOW) is not None
    door.learn([saw("gone", available=1)], NOW)
    assert door.refusal(wish("gone"), NOW) is None


@pytest.mark.parametrize(("revision", "open_again"), [(6, False), (7, False), (8, True)])
def test_a_newer_revision_opens_it(revision: int, *, open_again: bool) -> None:
    """Numbers that are newer than what was seen may have units; older ones are no news."""
    door = Gate()
    door.learn([saw(revision=7)], NOW)
    door.hear("other", 100)
    assert door.refusal(wish(), NOW) is not None
    door.hear("drop", revision)
    assert (door.refusal(wish(), NOW) is None) == open_again


def test_a_change_of_ones_own_opens_all_of_it() -> None:
    """What this process itself changed in the show makes it forget."""
    door = Gate()
    door.learn([saw("one"), saw("two")], NOW)
    door.open()
    assert door.refusal(wish("one"), NOW) is door.refusal(wish("two"), NOW) is None


def test_it_decides_about_plain_reservations_only() -> None:
    """In part, in a bundle, as a claim, back, into the queue and out of it: only the script can say."""
    door = Gate()
    door.learn([saw()], NOW)
    others = [
        asks.reserve("sh_1", "ann", "op", "drop", 1, part=True),
        asks.bundle("sh_1", "ann", "op", [("drop", 1)]),
        asks.bundle("sh_1", "ann", "op", [("drop", 1)], claim=True),
        asks.release("sh_1", "ann", "rs_1_2"),
        asks.join("sh_1", "ann", "op", "drop", 1),
        asks.leave("sh_1", "ann", "drop"),
    ]
    assert [door.refusal(ask, NOW) for ask in others] == [None] * len(others)


def test_what_it_knows_is_bounded() -> None:
    """Of more drops than a show can have it keeps so many and lets the rest through."""
    door = Gate()
    door.learn([saw(f"drop {number}") for number in range(MOST_DROPS + 10)], NOW)
    refused = [door.refusal(wish(f"drop {number}"), NOW) is not None for number in range(MOST_DROPS + 10)]
    assert sum(refused) == MOST_DROPS


# -- in the line


@pytest.mark.usefixtures("long_trust")
async def test_what_is_gone_is_refused_without_a_step(gated: Shop) -> None:
    """A crowd that comes too late costs the store one look; everybody hears what the script would have said."""
    drop = await sold_out(gated, 2)
    known = len(gated.valve.calls)
    outcomes = await gated.submit(*(gated.reserve(number, drop, 2) for number in range(50))).all()
    assert set(scripts(gated, known)) == {"hold_known"}
    gated.batches.open(gated.show)
    by_script = (await gated.submit(gated.reserve("late", drop, 2)).all())[0]
    assert scripts(gated)[-1] == "hold_batch"
    for outcome in [*outcomes, by_script]:
        assert isinstance(outcome, Problem)
        assert (outcome.code, outcome.extras) == (Code.OUT_OF_STOCK, {"available": 0, "held": 2})
        assert outcome.detail == "Asked for 2, 0 available; 2 held by others may come back."
    assert await unmet(gated) == 102


@pytest.mark.usefixtures("long_trust")
async def test_a_repeat_goes_through(gated: Shop) -> None:
    """Who has a reservation meets it again through a closed gate, and another quantity is a mismatch still."""
    drop = await sold_out(gated, 2)
    wanted = [
        gated.reserve("late", drop),
        gated.reserve("first", drop, 2),
        gated.reserve("later", drop),
        gated.reserve("first", drop, 1),
    ]
    late, repeat, later, other = await gated.submit(*wanted).all()
    assert isinstance(repeat, Held)
    assert repeat.replayed
    assert [each.code for each in (late, later, other) if isinstance(each, Problem)] == [
        Code.OUT_OF_STOCK,
        Code.OUT_OF_STOCK,
        Code.IDEMPOTENCY_MISMATCH,
    ]
    assert await unmet(gated) == 2


@pytest.mark.usefixtures("long_trust")
async def test_it_never_awards(gated: Shop) -> None:
    """What the gate answers is a refusal; the others of the crowd get from the script what is there."""
    gone, other = await sold_out(gated), await gated.drop(3)
    wanted = [gated.reserve(number, other if number % 2 else gone) for number in range(10)]
    wanted.append(gated.bundle("all", gone, other))
    wanted.append(asks.join(gated.show, "patient", "op", gone, 1))
    outcomes = await gated.submit(*wanted).all()
    expected: list[type[Outcome]] = [Problem, Held] * 3 + [Problem] * 4 + [Problem, Waiting]
    assert [isinstance(outcome, kind) for outcome, kind in zip(outcomes, expected, strict=True)] == [
        True
    ] * 12
    assert [outcome.rank for outcome in outcomes if isinstance(outcome, Held)] == [1, 2, 3]


@pytest.mark.usefixtures("long_trust")
async def test_units_that_came_back_are_found_without_being_told(gated: Shop) -> None:
    """Another process restocks, and nobody tells this one: the first who asks gets the unit all the same."""
    drop = await sold_out(gated)
    assert isinstance((await gated.submit(gated.reserve("early", drop)).all())[0], Problem)
    await gated.house.drops.restock(gated.show, drop, 1)
    assert isinstance((await gated.submit(gated.reserve("late", drop)).all())[0], Held)


@pytest.mark.usefixtures("long_trust")
async def test_a_release_through_the_line_opens_it(gated: Shop) -> None:
    """What this process gives back itself, it knows to be there."""
    drop = await sold_out(gated)
    first = (await gated.submit(gated.reserve("first", drop)).all())[0]
    assert isinstance(first, Held)
    await gated.holds.release(first.reservation["id"], "first")
    assert isinstance((await gated.submit(gated.reserve("late", drop)).all())[0], Held)


@pytest.mark.usefixtures("long_trust")
async def test_where_the_look_fails_nothing_is_said(gated: Shop) -> None:
    """Whether it was a repeat is unknown then: `unavailable` for all, and no refusal."""
    drop = await sold_out(gated)
    gated.valve.before = BROKEN_LINE
    outcomes = await gated.submit(gated.reserve("first", drop), gated.reserve("late", drop)).all()
    assert [outcome.code for outcome in outcomes if isinstance(outcome, Problem)] == [Code.UNAVAILABLE] * 2
    gated.valve.before = None
    repeat, late = await gated.submit(gated.reserve("first", drop), gated.reserve("late", drop)).all()
    assert isinstance(repeat, Held)
    assert isinstance(late, Problem)


async def test_it_is_off_by_setting(shop: Shop) -> None:
    """Without the gate every wish reaches the script."""
    drop = await sold_out(shop)
    for number in range(3):
        assert isinstance((await shop.submit(shop.reserve(number, drop)).all())[0], Problem)
    assert scripts(shop) == ["hold_batch"] * 4
