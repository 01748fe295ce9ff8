"""Group commit where something fails: what is not known is said, a repeat is safe, and one's trouble is no other's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from server.errors import Code, Problem
from server.inventory import batcher
from server.inventory.books import read_books
from server.inventory.outcomes import Bundle, Held
from tests.houses import numbers
from tests.inventory.lines import BROKEN_LINE
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.inventory.outcomes import Outcome
    from tests.inventory.lines import Shop

PATIENCE = 0.2  # instead of five seconds


def codes(outcomes: list[Outcome]) -> list[Code | None]:
    """Return the problems' codes, None for what is none."""
    return [outcome.code if isinstance(outcome, Problem) else None for outcome in outcomes]


async def differences(shop: Shop) -> list[str]:
    """Return what does not add up in the show's books."""
    return [each for books in await read_books(shop.house.client, shop.show) for each in books.differences]


async def test_where_a_call_fails_all_of_it_is_unavailable(shop: Shop) -> None:
    """Nobody of a step that was not sent is told yes or no; the line goes on, and the same ids are new to the store."""
    drop = await shop.drop(5)
    wanted = [shop.reserve(number, drop) for number in range(3)]
    shop.valve.before = BROKEN_LINE
    assert codes(await shop.submit(*wanted).all()) == [Code.UNAVAILABLE] * 3
    shop.valve.before = None
    again = await shop.submit(*wanted).all()
    assert [outcome.replayed for outcome in again if isinstance(outcome, Held)] == [False] * 3
    assert await numbers(shop.house, shop.show, drop) == (2, 3, 0)


async def test_a_lost_answer_is_unavailable_and_a_repeat_takes_nothing_more(shop: Shop) -> None:
    """A step that was carried out and not answered is unknown; the same ids meet what it made, refusals included."""
    drop, other = await shop.drop(3), await shop.drop(5)
    wanted = [*(shop.reserve(number, drop) for number in range(5)), shop.bundle("many", other, drop)]
    wanted.append(shop.bundle("some", other))
    shop.valve.after = BROKEN_LINE
    assert codes(await shop.submit(*wanted).all()) == [Code.UNAVAILABLE] * 7
    shop.valve.after = None
    again = await shop.submit(*wanted).all()
    assert codes(again) == [None] * 3 + [Code.OUT_OF_STOCK] * 3 + [None]
    assert all(outcome.replayed for outcome in again if isinstance(outcome, Held | Bundle))
    assert await numbers(shop.house, shop.show, drop) == (0, 3, 0)
    assert await numbers(shop.house, shop.show, other) == (4, 1, 0)
    assert await differences(shop) == []


async def test_a_bug_in_a_step_is_unavailable_too(shop: Shop) -> None:
    """What nobody foresaw is told like a failure, and the next step is carried out."""
    drop = await shop.drop()
    shop.valve.after = ZeroDivisionError()
    assert codes(await shop.submit(shop.reserve("ann", drop)).all()) == [Code.UNAVAILABLE]
    shop.valve.after = None
    assert codes(await shop.submit(shop.reserve("ann", drop)).all()) == [None]


async def test_who_is_cancelled_before_the_call_asks_for_nothing(shop: Shop) -> None:
    """An operation whose caller is gone is not sent; those before and behind it are."""
    drop = await shop.drop()
    first = await shop.busy(drop)
    calls = [asyncio.ensure_future(shop.holds.reserve(shop.show, name, "op", drop, 1)) for name in "abc"]
    await asyncio.sleep(0)
    calls[1].cancel()
    await asyncio.sleep(0)
    await shop.go_on()
    await first.all()
    assert isinstance(await calls[0], Held)
    assert isinstance(await calls[2], Held)
    assert calls[1].cancelled()
    assert await numbers(shop.house, shop.show, drop) == (997, 3, 0)


async def test_who_is_cancelled_during_the_call_loses_nobodys_answer(shop: Shop) -> None:
    """The step is everybody's: it goes on, the others hear, and who was cancelled meets their hold by a repeat."""
    drop = await shop.drop()
    shop.valve.close(shop.show)
    calls = [asyncio.ensure_future(shop.holds.reserve(shop.show, name, "op", drop, 1)) for name in "abc"]
    await wait_for(lambda: bool(shop.valve.calls), "a call under way")
    calls[0].cancel()
    calls[1].cancel()
    await asyncio.gather(*calls[:2], return_exceptions=True)
    await shop.go_on()
    assert isinstance(await calls[2], Held)
    again = await shop.holds.reserve(shop.show, "a", "op", drop, 1)
    assert isinstance(again, Held)
    assert again.replayed
    assert await numbers(shop.house, shop.show, drop) == (997, 3, 0)


async def test_who_waits_too_long_is_told_that_nothing_was_sent(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a call that hangs, patience ends: `unavailable`, and the operation never reaches the store."""
    monkeypatch.setattr(batcher, "PATIENCE_SECONDS", PATIENCE)
    drop = await shop.drop()
    first = await shop.busy(drop)
    wanted = [shop.reserve(number, drop) for number in range(5)]
    others = shop.submit(*wanted)
    await asyncio.sleep(PATIENCE * 1.5)
    late = shop.submit(shop.reserve("late", drop))
    await shop.go_on()
    assert codes(await first.all()) == [None]
    assert codes(await late.all()) == [None]
    for outcome in await others.all():
        assert isinstance(outcome, Problem)
        assert outcome.code is Code.UNAVAILABLE
        assert outcome.detail == f"Nothing was sent: {PATIENCE:g} s went by in the line."
    sent = {own for call in shop.valve.steps(shop.show) for own in call.own}
    assert sent.isdisjoint(ask.items[0][0] for ask in wanted)


@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
async def test_a_listener_that_raises_hurts_nobody(shop: Shop, error: type[BaseException]) -> None:
    """What one's own code does with its outcome is its own: the others of the step and the next step go on."""
    drop = await shop.drop()
    heard: list[Outcome] = []

    def fail(_outcome: Outcome) -> None:
        raise error

    for number in range(5):
        shop.batches.submit(shop.reserve(number, drop), heard.append if number % 2 else fail)
    await wait_for(lambda: len(heard) == 2, "the others' answers")
    assert codes(await shop.submit(shop.reserve("next", drop)).all()) == [None]


async def test_a_listener_may_ask_again_at_once(shop: Shop) -> None:
    """Who submits from within an answer is heard like anybody else, also where that answer ended the line."""
    drop = await shop.drop()
    heard: list[Outcome] = []

    def again(outcome: Outcome) -> None:
        heard.append(outcome)
        if len(heard) < 20:
            shop.batches.submit(shop.reserve(len(heard), drop), again)

    shop.batches.submit(shop.reserve(0, drop), again)
    await wait_for(lambda: len(heard) == 20, "all answers")
    assert codes(heard) == [None] * 20


@pytest.mark.parametrize("begun", [True, False])
async def test_a_server_that_stops_tells_everybody(shop: Shop, *, begun: bool) -> None:
    """Under way, waiting, or not even looked at: whoever asked hears `unavailable`, never nothing."""
    drop = await shop.drop()
    shop.valve.close(shop.show)
    submitted = [
        shop.submit(*(shop.reserve(f"{crowd} {number}", drop) for number in range(3))) for crowd in "ab"
    ]
    if begun:
        await wait_for(lambda: bool(shop.valve.calls), "a call under way")
        submitted.append(shop.submit(*(shop.reserve(f"c {number}", drop) for number in range(3))))
    await shop.batches.aclose()
    for crowd in submitted:
        assert codes(await crowd.all()) == [Code.UNAVAILABLE] * 3


async def test_a_server_that_stops_tells_what_it_knows(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that was carried out is told as it went, also where the server stops amid its answers."""
    monkeypatch.setattr(batcher, "TURN", 2)
    drop, closing = await shop.drop(), list[asyncio.Task[int]]()

    async def stop() -> int:
        await shop.batches.aclose()
        return len(others.order)

    shop.batches.submit(shop.reserve("first", drop), lambda _: closing.append(asyncio.create_task(stop())))
    others = shop.submit(*(shop.reserve(number, drop) for number in range(100)))
    await wait_for(lambda: bool(closing), "the first answer")
    assert await closing[0] == 100
    assert codes(await others.all()) == [None] * 100
