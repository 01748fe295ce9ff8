"""What is held against every answer: the truth passes, and each kind of untruth is found."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from loadtests import habits
from loadtests.audience import asking
from loadtests.audience.asking import NoAnswerError, give_up
from loadtests.audience.http import Answer
from loadtests.audience.shopper import Shopper
from loadtests.seen import Take
from tests.loadtests.audience.scripted import (
    DROP,
    HOLD_SECONDS,
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

    Script = Callable[[Message], list[Message]]


def a_shopper(answer: Script = lambda _: []) -> Shopper:
    """Return a shopper who is connected."""
    return welcomed(Shopper(a_venue(), 0, "buyer"), answer)


def held(expires_in: float = HOLD_SECONDS, **fields: Any) -> Take:
    """Return units that are held, as their viewer remembers them."""
    now = time.time()
    known = {"reservation": "rs_1", "drop": DROP, "operation": "0-1", "quantity": 1, "unit_price": 1250}
    return Take(**{**known, "asked_at": now, "held_at": now, "expires_at": now + expires_in, **fields})


async def test_units_that_are_granted_are_remembered() -> None:
    """An answer that holds what was asked for is written down, measured, and no breach."""
    shopper = a_shopper(lambda command: [reservation(command)])
    outcome = await shopper.reserve(DROP, 2, time.monotonic())
    assert outcome.take is not None
    assert (outcome.take.quantity, outcome.take.end) == (2, "held")
    assert shopper.account.takes == [outcome.take]
    assert shopper.account.breaches == []


@pytest.mark.parametrize(
    ("quantity", "answer", "sentence"),
    [
        (1, lambda command: reservation(command, quantity=2), "asked for 1, got 2"),
        (1, lambda command: reservation(command, state="expired"), "got what is expired"),
        (3, reservation, "3 units of dr_x_y were given to one viewer, the limit is 2"),
        (1, lambda command: refusal(command, "out-of-stock", available=1), "though 1 are available"),
        (2, lambda command: refusal(command, "limit-reached"), "by who has taken nothing"),
    ],
    ids=["more than asked for", "lapsed already", "beyond the limit", "not sold out", "no limit reached"],
)
async def test_an_untrue_answer_is_a_breach(
    quantity: int, answer: Callable[[Message], Message], sentence: str
) -> None:
    """Each kind of broken promise about a reservation is found once, with its numbers."""
    shopper = a_shopper(lambda command: [answer(command)])
    await shopper.reserve(DROP, quantity, time.monotonic())
    assert len(shopper.account.breaches) == 1
    assert sentence in shopper.account.breaches[0]


async def test_expected_refusals_are_remembered_and_no_failure() -> None:
    """Sold out is written down with its moments and counted by its code; a code that may not be is a failure."""
    shopper = a_shopper(lambda command: [refusal(command, "out-of-stock", available=0)])
    await shopper.reserve(DROP, 1, time.monotonic())
    (refused,) = shopper.account.refused
    assert refused.code == "out-of-stock"
    assert refused.asked_at <= refused.answered_at
    seen = shopper.venue.measures.seen(1, shopper.venue.clock)
    assert (seen.refusals, seen.failures) == ({"reserve": {"out-of-stock": 1}}, [])
    shopper.line = ScriptedLine(shopper, lambda command: [refusal(command, "wrong-state")])
    await shopper.reserve(DROP, 1, time.monotonic())
    assert len(shopper.venue.measures.seen(1, shopper.venue.clock).failures) == 1


@pytest.mark.parametrize(
    ("second", "breaches"), [("rs_1", 0), ("rs_2", 1)], ids=["the same again", "another one"]
)
async def test_a_repeat_must_meet_its_first_result(second: str, breaches: int) -> None:
    """The same operation again gets the same reservation; another one is a breach, and counts as a second take."""
    names = iter(("rs_1", second))
    shopper = a_shopper(lambda command: [reservation(command, id=next(names))])
    await shopper.reserve(DROP, 1, time.monotonic(), operation="same")
    await shopper.reserve(DROP, 1, time.monotonic(), operation="same", again=True)
    assert len(shopper.account.breaches) == breaches
    assert len(shopper.account.takes) == 1 + breaches


async def test_a_repeat_that_is_refused_is_a_breach() -> None:
    """What was granted once is not refused when it is asked for again under its id."""
    answers = iter((reservation, lambda command: refusal(command, "out-of-stock", available=0)))
    shopper = a_shopper(lambda command: [next(answers)(command)])
    await shopper.reserve(DROP, 1, time.monotonic(), operation="same")
    await shopper.reserve(DROP, 1, time.monotonic(), operation="same", again=True)
    assert shopper.account.breaches == ["a repeat of same, which was granted, got out-of-stock"]


@pytest.mark.parametrize(("expires_in", "breaches"), [(0.0, 0), (3.0, 1)], ids=["due", "early"])
async def test_units_do_not_lapse_early(expires_in: float, breaches: int) -> None:
    """News of a lapse are fine when it is due, and a breach before."""
    shopper = a_shopper()
    take = held(expires_in)
    shopper.takes[take.reservation] = take
    say(
        shopper, {"type": "reservation", "replayed": False, "reservation": {"id": "rs_1", "state": "expired"}}
    )
    assert take.end == "expired"
    assert take.held_at <= take.gone_at <= take.expires_at
    assert len(shopper.account.breaches) == breaches


@pytest.mark.parametrize(("news", "grace", "breaches"), [(1, 60, 0), (0, 0.02, 1)], ids=["told", "not told"])
async def test_news_of_a_lapse_come_in_time(
    monkeypatch: pytest.MonkeyPatch, news: int, grace: float, breaches: int
) -> None:
    """Who stays connected is told of a lapse within the grace; otherwise that is a breach, and the units are gone."""
    monkeypatch.setattr("loadtests.audience.shopper.LAPSE_GRACE_SECONDS", grace)
    monkeypatch.setattr("loadtests.audience.venue.UNKNOWN_CLOCK_MS", 0.0)
    shopper = a_shopper()
    take = held(-0.01)
    shopper.takes[take.reservation] = take
    shopper.begin(shopper.let_lapse(take))
    for _ in range(news):
        lapsed = {"id": "rs_1", "state": "expired"}
        say(shopper, {"type": "reservation", "replayed": False, "reservation": lapsed})
    await wait_for(lambda: not shopper.busy, "the lapse is over")
    assert (take.end, len(shopper.account.breaches)) == ("expired", breaches)


async def test_news_may_overtake_an_answer() -> None:
    """A lapse that is told before the answer to its tap is kept for it; told of what was never taken is a breach."""
    news = {"type": "reservation", "replayed": False, "reservation": {"id": "rs_1", "state": "expired"}}
    due = round(time.time() * 1000)
    for taken, breaches in ((True, 0), (False, 1)):
        shopper = a_shopper(lambda command: [reservation(command, expires_at=due)])
        say(shopper, news)
        if taken:
            outcome = await shopper.reserve(DROP, 1, time.monotonic())
            assert outcome.take is not None
            assert outcome.take.end == "expired"
        shopper.end()
        assert len(shopper.account.breaches) == breaches


async def test_who_was_away_is_owed_no_news_of_a_lapse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lapse in a break is known by its time, and no breach."""
    monkeypatch.setattr("loadtests.audience.shopper.LAPSE_GRACE_SECONDS", 0.02)
    monkeypatch.setattr("loadtests.audience.venue.UNKNOWN_CLOCK_MS", 0.0)
    shopper = a_shopper()
    take = held(0.05)
    shopper.begin(shopper.let_lapse(take))
    await asyncio.sleep(0)
    welcomed(shopper)
    await wait_for(lambda: not shopper.busy, "the lapse is over")
    assert (take.end, shopper.account.breaches) == ("expired", [])


async def test_a_release_has_a_state() -> None:
    """Units that were given back are released; those that are still held are a breach."""
    for state, breaches in (("released", 0), ("held", 1)):
        changed = {"type": "reservation", "replayed": False, "reservation": {"id": "rs_1", "state": state}}
        shopper = a_shopper(partial(_answered, changed))
        await shopper.release(held(), time.monotonic())
        assert len(shopper.account.breaches) == breaches


def _answered(answer: Message, command: Message) -> list[Message]:
    return [{**answer, "id": command["id"]}]


class Till:
    """The checkout's answers, in order, in place of the HTTP door."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Answer) -> None:
        self.asked: list[Any] = []
        self._answers = list(answers)
        monkeypatch.setattr("loadtests.audience.venue.Venue.call", self.call)

    async def call(self, *words: Any, key: str | None = None) -> Answer:
        """Give the next answer."""
        self.asked.append((*words[2:], key))
        return self._answers.pop(0)


def paid(order: str = "or_1", total: int = 1250) -> Answer:
    """Return the answer to a checkout that went well."""
    return Answer(201, {"order": {"id": order, "status": "paid", "total": total}})


NO = Answer(402, {"code": "payment-declined"})
GONE = Answer(410, {"code": "reservation-expired"})


@pytest.mark.parametrize(
    ("answers", "habits_of", "end", "breach"),
    [
        ((paid(),), {}, "paid", ""),
        ((NO, paid()), {"declined_first": True}, "paid", ""),
        ((paid(), paid()), {"twice": True}, "paid", ""),
        ((paid(), paid("or_2")), {"twice": True}, "paid", "a repeat of the checkout of or_1 got or_2"),
        ((paid(total=1),), {}, "paid", "costs 1, its units 1250"),
        ((paid(), paid()), {"declined_first": True}, "paid", "a card that is declined was answered with 201"),
        ((GONE,), {}, "expired", "lapsed 5.0 s before it may"),
        ((Answer(503, {"code": "unavailable", "retry_after_ms": 1}), paid()), {}, "paid", ""),
    ],
    ids=["paid", "declined", "twice", "two orders", "wrong total", "a bad card", "lapsed early", "again"],
)
async def test_paying_is_held_against_the_promises(
    monkeypatch: pytest.MonkeyPatch,
    answers: tuple[Answer, ...],
    habits_of: dict[str, bool],
    end: str,
    breach: str,
) -> None:
    """An order costs what its units cost, a repeat meets the first, a bad card is declined, nothing lapses early."""
    monkeypatch.setattr("loadtests.audience.venue.UNKNOWN_CLOCK_MS", 0.0)
    till, shopper, take = Till(monkeypatch, *answers), a_shopper(), held()
    now = time.monotonic()
    await shopper.pay(take, now, now, **{"declined_first": False, "twice": False, **habits_of})
    assert take.end == end
    assert (take.order == "or_1") is (end == "paid")
    assert len(till.asked) == len(answers)
    assert len(shopper.account.breaches) == bool(breach)
    assert breach in "".join(shopper.account.breaches)
    assert ("or_2" in take.orders) is ("or_2" in breach)


async def test_a_command_without_an_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the socket stays open and no answer comes, the operation is kept as unanswered."""
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(asking, "ENOUGH_SECONDS", 0.0)
    shopper = a_shopper()
    shopper.begin(_ignored(shopper))

    def given_up() -> bool:
        give_up(shopper.venue.asked)
        return not shopper.busy

    await wait_for(given_up, "nobody waits any more")
    assert shopper.account.unanswered == ["0-1"]


async def test_a_break_repeats_what_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose answer a break has swallowed is sent again under its id, and then it has not been ignored."""
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.0)
    shopper = a_shopper()
    asked = asyncio.ensure_future(shopper.reserve(DROP, 1, time.monotonic()))
    await wait_for(lambda: bool(shopper.venue.asked), "it is asked")
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 60.0)  # the next wait is not over at once
    shopper.line = None
    give_up(shopper.venue.asked)
    welcomed(shopper, lambda command: [reservation(command)])
    shopper.arrived()
    assert (await asked).take is not None
    assert shopper.account.unanswered == []


async def _ignored(shopper: Shopper) -> None:
    with pytest.raises(NoAnswerError):
        await shopper.reserve(DROP, 1, time.monotonic())


def test_habits_are_shares() -> None:
    """Every share lies between 0 and 1, and what becomes of a reservation leaves room for paying."""
    shares = (
        "TOO_EARLY",
        "THROUGH_HTTP",
        "ASKS_FOR_TWO",
        "ASKS_TOO_MUCH",
        "REPEATS",
        "DECLINED_FIRST",
        "HASTE",
    )
    assert all(0 <= getattr(habits, share) <= 1 for share in shares)
    assert habits.LETS_LAPSE + habits.RELEASES < 1
