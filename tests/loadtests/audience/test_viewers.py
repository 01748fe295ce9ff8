"""What the kinds of viewers do about what they are told, without a server."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from loadtests import habits
from loadtests.audience.bot import Bot
from loadtests.audience.intents import Fate
from loadtests.audience.line import Ended
from loadtests.audience.viewers import Buyer, Hoarder
from loadtests.plan import Mix
from tests.loadtests.audience.scripted import (
    DROP,
    PLAN,
    ScriptedLine,
    a_venue,
    refusal,
    reservation,
    say,
    welcomed,
)
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.audience.numbers import Message
    from loadtests.audience.shopper import Outcome
    from loadtests.audience.viewers import Chaser

NUMBERS = {"available": 10, "held": 0, "sold": 0, "quantity": 10, "revision": 1}
TERMS = {"limit_per_viewer": 2, "hold_seconds": 5}


def opened(at: float, offset: int = 5) -> Message:
    """Return the event of the drop that opens, at Unix seconds."""
    drop = {"id": DROP, "status": "open", **NUMBERS, **TERMS}
    return {"type": "drop.opened", "offset": offset, "at": round(at * 1000), "drop": drop}


def stock(available: int, revision: int) -> Message:
    """Return the drop's live numbers."""
    numbers = {"available": available, "held": 10 - available, "sold": 0, "quantity": 10}
    return {"type": "stock.updated", "drop_id": DROP, "revision": revision, **numbers}


def chasing(
    kind: type[Chaser], monkeypatch: pytest.MonkeyPatch, answer: Callable[[Message], Message], **wish: Any
) -> tuple[Chaser, ScriptedLine]:
    """Return a viewer who wants the plan's one sale, with a wish of this kind, and their connection."""
    monkeypatch.setattr(habits, "RESTS", (0.0, 0.0))
    venue = a_venue(replace(PLAN, mix=Mix()))
    viewer = welcomed(kind(venue, 0), lambda command: [answer(command)])
    plain = {"early": False, "greedy": False, "through_http": False, "repeats": False, "tap": 0.01}
    meant = viewer.intents.wishes[0]._replace(
        **{**plain, "quantity": 1, "fate": Fate.LAPSED, "hesitations": (0.0, 0.0), **wish}
    )
    viewer.begin(viewer.chase(0, PLAN.sales[0], meant))
    assert isinstance(viewer.line, ScriptedLine)
    return viewer, viewer.line


def kinds(line: ScriptedLine) -> list[tuple[str, int]]:
    """Return what was asked for, and how many."""
    return [(message["type"], message.get("quantity", 0)) for message in line.sent]


async def test_a_buyer_taps_when_the_drop_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked before the opening; then the tap comes at its moment and is measured from there."""
    buyer, line = chasing(Buyer, monkeypatch, reservation)
    await wait_for(lambda: buyer.busy, "the buyer waits")
    assert line.sent == []
    began = time.time()
    say(buyer, opened(began - 0.05))
    await wait_for(lambda: line.sent != [], "the tap has come")
    assert kinds(line) == [("reserve", 1)]
    await wait_for(lambda: buyer.account.takes != [], "the units are there")
    reserve = buyer.venue.measures.seen(1, buyer.venue.clock).latencies["reserve"]
    # 50 ms ago it opened, 10 ms after that the tap was meant: late taps count from when they were meant.
    assert reserve.least >= 0.035
    buyer.stop()


async def test_who_is_sold_out_comes_again_when_units_are_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused buyer waits for units, tries again, and gives up after three tries in all."""
    buyer, line = chasing(Buyer, monkeypatch, lambda command: refusal(command, "out-of-stock", available=0))
    say(buyer, opened(time.time()))
    say(buyer, stock(0, 2))
    await wait_for(lambda: len(line.sent) == 1, "the first tap")
    for turn in (2, 3):
        say(buyer, stock(1, 2 * turn))
        await wait_for(partial(_sent, line, turn), "the next tap")
        say(buyer, stock(0, 2 * turn + 1))
    await wait_for(lambda: not buyer.busy, "the buyer has given up")
    assert len(buyer.account.refused) == habits.TRIES_PER_DROP


def _sent(line: ScriptedLine, messages: int) -> bool:
    return len(line.sent) >= messages


async def test_a_greedy_buyer_asks_for_one_too_many_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit first, which is refused, then what they want."""

    def answer(command: Message) -> Message:
        return refusal(command, "limit-reached") if command["quantity"] > 2 else reservation(command)

    buyer, line = chasing(Buyer, monkeypatch, answer, greedy=True)
    say(buyer, opened(time.time()))
    await wait_for(lambda: buyer.account.takes != [], "the units are there")
    assert kinds(line) == [("reserve", 3), ("reserve", 1)]
    assert buyer.account.breaches == []
    buyer.stop()


async def test_a_repeat_uses_the_same_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who repeats an operation sends it with its id, and has one reservation."""
    buyer, line = chasing(Buyer, monkeypatch, reservation, repeats=True)
    say(buyer, opened(time.time()))
    await wait_for(lambda: len(line.sent) == 2, "both have come")
    assert line.sent[0] == line.sent[1]
    assert len(buyer.account.takes) == 1
    buyer.stop()


async def test_a_hoarder_takes_the_limit_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes two, lets them lapse, takes two again, and ends with the drop."""
    names = iter("abc")

    def answer(command: Message) -> Message:
        name = next(names)
        if name == "c":
            return refusal(command, "drop-closed")
        return reservation(command, id=name, expires_at=round(time.time() * 1000))

    hoarder, line = chasing(Hoarder, monkeypatch, answer)
    say(hoarder, opened(time.time()))
    for turn, name in enumerate("ab", 1):
        await wait_for(partial(_sent, line, turn), "it has taken")
        lapsed = {"id": name, "state": "expired"}
        say(hoarder, {"type": "reservation", "replayed": False, "reservation": lapsed})
    await wait_for(lambda: not hoarder.busy, "it is over")
    assert kinds(line) == [("reserve", 2)] * 3
    assert [take.end for take in hoarder.account.takes] == ["expired", "expired"]


async def test_waiting_for_units_is_not_the_servers_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds nothing to take taps when something is back: the reply is measured from there, not from the wish."""
    monkeypatch.setattr(habits, "RESTS", (0.0, 0.0))
    hoarder, line = chasing(
        Hoarder, monkeypatch, lambda command: refusal(command, "out-of-stock", available=0)
    )
    taps: list[float] = []
    reserve = hoarder.reserve

    async def noted(drop: str, quantity: int, intended: float) -> Outcome:
        taps.append(intended)
        say(hoarder, stock(0, 2 * len(taps)))
        return await reserve(drop, quantity, intended)

    monkeypatch.setattr(hoarder, "reserve", noted)
    say(hoarder, opened(time.time()))
    await wait_for(partial(_sent, line, 1), "it has asked")
    await wait_for(lambda: bool(hoarder.account.refused), "it knows that there is nothing")
    for _ in range(10):  # turns of the loop, in which it begins to wait
        await asyncio.sleep(0)
    back = time.monotonic()
    say(hoarder, stock(2, 3))
    await wait_for(partial(_sent, line, 2), "it has asked again")
    assert taps[1] >= back
    hoarder.stop()


@pytest.mark.parametrize(("answer", "breaches"), [(None, 0), (reservation, 1)], ids=["refused", "granted"])
async def test_a_bot_must_be_refused(answer: Callable[[Message], Message] | None, breaches: int) -> None:
    """Beyond the limit nothing is given; negative control: a server that gives it is found out."""
    bot = welcomed(
        Bot(a_venue(), 0),
        lambda command: [answer(command) if answer else refusal(command, "limit-reached")],
    )
    say(bot, opened(time.time()))
    await bot.ask_beyond()
    assert isinstance(bot.line, ScriptedLine)
    assert bot.line.sent[0]["quantity"] > 2
    assert len(bot.account.breaches) == breaches


async def test_a_flood_that_is_served_is_a_breach(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood has to meet a refusal; negative control: a server that answers all of it is found out."""
    monkeypatch.setattr("loadtests.audience.bot.ANSWER_SECONDS", 0.02)

    def limited(command: Message) -> list[Message]:
        return [{"type": "error", "code": "rate-limited", "message": "no"}] * (command["type"] == "react")

    for answer, breaches in ((limited, 0), (lambda _: [], 1)):
        bot = welcomed(Bot(a_venue(), 0), answer)
        await bot.flood()
        assert len(bot.account.breaches) == breaches


async def test_being_thrown_out_is_expected_of_bots_alone() -> None:
    """A close for too many messages is a failure for a buyer, and none for a bot; both come back."""
    for kind, failures in ((Bot, 0), (Buyer, 1)):
        viewer = welcomed(kind(a_venue(), 0))
        viewer._wanted = True
        line = viewer.line
        assert line is not None
        viewer.lose(line, Ended(3013, "closed with 3013", 60_000))
        assert len(viewer.venue.measures.seen(1, viewer.venue.clock).failures) == failures
        assert viewer.busy
        viewer.stop()
