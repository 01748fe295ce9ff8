"""Group commit: one call per show at a time, what arrives meanwhile in the next one, in the order of its arrival."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server.errors import Code, Problem
from server.inventory import batcher
from server.inventory.batcher import FEWEST_OPERATIONS, MOST_OPERATIONS, RETRY_MS, STEP_US
from server.inventory.outcomes import Bundle, Held
from tests.houses import numbers
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from tests.inventory.lines import Shop, Shops


def ranks(outcomes: Sequence[object]) -> list[int]:
    """Return the places that were awarded."""
    assert all(isinstance(outcome, Held) for outcome in outcomes), outcomes
    return [outcome.rank for outcome in outcomes if isinstance(outcome, Held)]


async def test_a_lone_operation_is_sent_in_the_same_turn(shop: Shop) -> None:
    """There is no timer: with nobody before it, an operation is on its way as soon as the loop turns."""
    drop = await shop.drop()
    submitted = shop.submit(shop.reserve("ann", drop))
    assert shop.valve.calls == []
    await asyncio.sleep(0)
    assert [call.name for call in shop.valve.calls] == ["hold_batch"]
    assert ranks(await submitted.all()) == [1]


async def test_what_arrives_meanwhile_goes_into_the_next_call_in_its_order(shop: Shop) -> None:
    """While a call is under way others wait; the next call takes them all, and awards in the order of arrival."""
    drop = await shop.drop()
    first = await shop.busy(drop)
    wanted = [shop.reserve(number, drop) for number in range(100)]
    others = shop.submit(*wanted)
    await asyncio.sleep(0.02)
    assert len(shop.valve.steps(shop.show)) == 1
    await shop.go_on()
    assert ranks(await first.all()) == [1]
    assert ranks(await others.all()) == list(range(2, 102))
    assert others.order == list(range(100))
    assert [call.own for call in shop.valve.steps(shop.show)[1:]] == [[ask.items[0][0] for ask in wanted]]


async def test_a_show_has_one_call_under_way(shop: Shop) -> None:
    """However operations come, alone or in crowds, a show's next call begins after its last one has ended."""
    drop = await shop.drop()
    crowds = []
    for number in range(30):
        crowds.append(shop.submit(*(shop.reserve(f"{number} {each}", drop) for each in range(number))))
        await asyncio.sleep(0 if number % 3 else 0.002)
    for crowd in crowds:
        await crowd.all()
    assert shop.valve.most[shop.show] == 1
    assert len(shop.valve.calls) > 2
    assert await numbers(shop.house, shop.show, drop) == (1000 - 435, 435, 0)


async def test_shows_do_not_wait_for_each_other(shops: Shops, shop: Shop) -> None:
    """While one show's call hangs, another show's operations are carried out."""
    drop, other = await shop.drop(), await shops.beside(shop)
    hanging = await shop.busy(drop)
    lively = await other.drop()
    outcomes = await other.submit(*(other.reserve(number, lively) for number in range(10))).all()
    assert ranks(outcomes) == list(range(1, 11))
    assert hanging.heard == [[]]
    await shop.go_on()
    await hanging.all()


async def test_a_step_takes_at_most_its_limit(shops: Shops) -> None:
    """Of more than one step holds, each takes the limit; `batch_operations` is never exceeded, nor 256."""
    shop = await shops.open(operations=40)
    drop = await shop.drop()
    first = await shop.busy(drop)
    others = shop.submit(*(shop.reserve(number, drop) for number in range(100)))
    await shop.go_on()
    await first.all()
    assert ranks(await others.all()) == list(range(2, 102))
    assert [len(call.own) for call in shop.valve.steps(shop.show)] == [1, 40, 40, 20]
    assert (await shops.open(operations=100_000)).batches._most == MOST_OPERATIONS


async def test_a_bundle_is_not_divided_between_steps(shops: Shops) -> None:
    """A bundle counts with all of its drops: what does not fit waits for the next step, whole, and holds its place."""
    shop = await shops.open(operations=4)
    drops = [await shop.drop() for _ in range(6)]
    first = await shop.busy(drops[0])
    wanted = [
        shop.bundle("ann", *drops[:3]),
        shop.bundle("bob", *drops[:2]),
        shop.reserve("cat", drops[0]),
        shop.bundle("dan", *drops),
    ]
    others = shop.submit(*wanted)
    await shop.go_on()
    await first.all()
    outcomes = await others.all()
    assert [len(each.reservations) for each in outcomes if isinstance(each, Bundle)] == [3, 2, 6]
    assert [len(call.own) for call in shop.valve.steps(shop.show)] == [1, 3, 3, 6]
    assert others.order == [0, 1, 2, 3]


async def test_whoever_finds_the_line_full_is_told_so(shops: Shops) -> None:
    """Beyond `batch_waiting` operations the answer is `rate-limited` and when to come back, and nothing was sent."""
    shop = await shops.open(waiting=10)
    drop = await shop.drop()
    first = await shop.busy(drop)
    wanted = [shop.reserve(number, drop) for number in range(15)]
    others = shop.submit(*wanted)
    await wait_for(lambda: sum(map(len, others.heard)) == 5, "an answer for who does not fit")
    await shop.go_on()
    outcomes = await others.all()
    await first.all()
    assert ranks(outcomes[:10]) == list(range(2, 12))
    for outcome in outcomes[10:]:
        assert isinstance(outcome, Problem)
        assert (outcome.code, outcome.extras["retry_after_ms"]) == (Code.RATE_LIMITED, RETRY_MS)
        assert outcome.detail == "10 operations are waiting in this show already; nothing was sent."
    sent = {own for call in shop.valve.steps(shop.show) for own in call.own}
    assert sent.isdisjoint(ask.items[0][0] for ask in wanted[10:])
    again = await shop.submit(*(shop.reserve(number, drop) for number in range(10, 15))).all()
    assert ranks(again) == list(range(12, 17))


async def test_a_bundle_that_does_not_fit_is_refused_whole(shops: Shops) -> None:
    """The line's bound counts what a bundle asks for; who comes after it and is smaller may still fit."""
    shop = await shops.open(waiting=4)
    drops = [await shop.drop() for _ in range(3)]
    first = await shop.busy(drops[0])
    wanted = shop.bundle("ann", *drops), shop.bundle("bob", *drops), shop.reserve("cat", drops[0])
    others = shop.submit(*wanted)
    await shop.go_on()
    await first.all()
    taken, refused, fitting = await others.all()
    assert isinstance(taken, Bundle)
    assert isinstance(refused, Problem)
    assert refused.code is Code.RATE_LIMITED
    assert isinstance(fitting, Held)


async def test_steps_follow_what_the_store_can_do(shop: Shop) -> None:
    """A slow store gets smaller steps, never below 16 operations; one that is quick again gets bigger ones."""
    drop = await shop.drop(100_000)
    sizes = []

    async def rush(name: str) -> None:
        known = len(shop.valve.steps(shop.show))
        await shop.submit(*(shop.reserve(f"{name} {number}", drop) for number in range(600))).all()
        sizes.append([len(call.own) for call in shop.valve.steps(shop.show)[known:]])

    shop.valve.spent_us = STEP_US * 20
    await rush("slow")
    shop.valve.spent_us = 1
    await rush("quick")
    slow, quick = sizes
    assert slow[0] == 128
    assert sorted(slow[:-1], reverse=True) == slow[:-1]
    assert slow[-2] == FEWEST_OPERATIONS
    assert quick[0] == FEWEST_OPERATIONS
    assert max(quick) == 128


async def test_small_steps_say_nothing_about_the_store(shop: Shop) -> None:
    """What a step of a few operations costs is mostly overhead: it does not make the next ones smaller."""
    drop = await shop.drop()
    shop.valve.spent_us = STEP_US * 10
    for number in range(5):
        await shop.submit(shop.reserve(number, drop)).all()
    shop.valve.spent_us = 0
    await shop.submit(*(shop.reserve(f"many {number}", drop) for number in range(128))).all()
    assert len(shop.valve.steps(shop.show)[-1].own) == 128


async def test_the_loop_turns_between_many_answers(shop: Shop) -> None:
    """A big step's answers are given in portions; others get their turn in between."""
    drop = await shop.drop()
    submitted = shop.submit(*(shop.reserve(number, drop) for number in range(128)))
    seen = []
    while len(submitted.order) < 128:
        await asyncio.sleep(0)
        seen.append(len(submitted.order))
    portions = [later - earlier for earlier, later in zip([0, *seen], seen, strict=False) if later > earlier]
    assert max(portions) <= batcher.TURN
    assert len(portions) > 1


async def test_the_next_step_does_not_wait_for_the_answers(shop: Shop) -> None:
    """It is under way before all of the last one is told; who came first hears first all the same."""
    drop = await shop.drop()
    submitted, ahead = shop.submit(*(shop.reserve(number, drop) for number in range(600))), 0
    while len(submitted.order) < 600:
        await asyncio.sleep(0)
        done = shop.valve.steps(shop.show)[:-1]
        ahead = max(ahead, sum(len(call.own) for call in done) - len(submitted.order))
    assert ahead > 0
    assert submitted.order == list(range(600))


async def test_idle_lines_are_forgotten(shops: Shops, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many shows the lines in which nobody waits go; one with a call under way stays."""
    monkeypatch.setattr(batcher, "MOST_LINES", 3)
    drop = await shop.drop()
    busy = await shop.busy(drop)
    for _ in range(10):
        other = await shops.beside(shop)
        await other.submit(other.reserve("ann", await other.drop())).all()
        assert len(shop.batches._lines) <= 3
        assert shop.show in shop.batches._lines
    await shop.go_on()
    await busy.all()
