"""What buyers are told when there is not enough, and that in the end everything is sold."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server import ids
from tests.flows.named.broken import UNSWEPT, broken_stage
from tests.problems import assert_problem
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.client import LiveClient
    from tests.server import ServerProcess
    from tests.stage import Stage

CROWD = 24
BURST = 120
UNITS = 30
SOLD_SECONDS = 20.0
UNSOLD_SECONDS = 3.0  # of a sale that will never come to its end

Message = dict[str, Any]


@asynccontextmanager
async def crowd(stage: Stage, size: int) -> AsyncIterator[list[LiveClient]]:
    """Give so many viewers."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(stage.watching()) for _ in range(size)]


async def rush(stage: Stage, units: int = 10, each: int = 3) -> list[Message]:
    """Let a crowd ask for some units each at once; return what those heard who did not get them."""
    drop = await stage.drop(units, limit_per_viewer=each, waitlist=False)
    async with crowd(stage, CROWD) as viewers:
        answers = await asyncio.gather(*(viewer.reserve(drop, each) for viewer in viewers))
    refused = [answer for answer in answers if answer["type"] == "error"]
    winners = units // each
    assert len(refused) == CROWD - winners
    assert stage.numbers(await stage.stock(drop)) == (units - winners * each, winners * each, 0)
    return refused


async def truths(stage: Stage) -> None:
    """Everybody asks for 3 of 10: whoever is refused at all is refused when 1 is left, and must hear so."""
    for answer in await rush(stage):
        told = answer["code"], answer["available"], answer["held"]
        assert told == ("out-of-stock", 1, 9), answer
        assert answer["message"] == "Asked for 3, 1 available; 9 held by others may come back."


async def test_error_reports_the_true_available(stage: Stage) -> None:
    """A refusal names the numbers at its own moment, however many are served in the same step."""
    await truths(stage)


async def test_an_error_that_reports_an_older_number_is_found(faulty: ServerProcess) -> None:
    """Negative control: where refusals tell what was there when the step began, the same crowd hears it."""
    async with broken_stage(faulty, "refusals tell what was there before the step") as stage:
        with pytest.raises(AssertionError, match="out-of-stock"):
            await truths(stage)


async def test_the_error_says_whether_units_may_come_back(stage: Stage) -> None:
    """Held by others: some may come back. Sold: none will. Both doors say the same."""
    drop, buyer = await stage.drop(1), stage.viewer()
    held = (await stage.reserve(buyer, drop)).json()["id"]
    async with stage.watching() as viewer:
        for told in (
            (await viewer.reserve(drop))["message"],
            (await stage.reserve(stage.viewer(), drop)).json()["detail"],
        ):
            assert told == "Asked for 1, 0 available; 1 held by others may come back."
        assert (await stage.pay(buyer, held)).status_code == 201
        refused = await viewer.reserve(drop)
        assert (refused["available"], refused["held"]) == (0, 0)
        assert refused["message"] == "Asked for 1, 0 available; all are sold."


async def test_sold_out_is_409_not_500(stage: Stage) -> None:
    """A burst on few units over HTTP: those who are too late get a problem with its numbers, nobody gets a 5xx."""
    drop = await stage.drop(5, waitlist=False)
    answers = await asyncio.gather(*(stage.reserve(stage.viewer(), drop) for _ in range(BURST)))
    assert Counter(answer.status_code for answer in answers) == {201: 5, 409: BURST - 5}
    for answer in answers:
        if answer.status_code == httpx.codes.CONFLICT:
            assert_problem(answer, 409, "out-of-stock", "Asked for 1, 0 available; 5 held")
            assert (answer.json()["available"], answer.json()["held"]) == (0, 5)


# -- everything that is offered is sold


class Buyer:
    """Wants a few units and pays them, one way or another: some are declined first, some forget what they hold."""

    def __init__(self, stage: Stage, number: int) -> None:
        self.stage = stage
        self.token = stage.viewer()
        self.declined = number % 3 == 0
        self.forgets = number % 4 == 1
        self.wants = 1 + number % 3

    async def buy(self, drop: str) -> None:
        """Hold and pay, or wait for units that come back and pay those."""
        async with self.stage.watching(self.token) as client:
            answer = await client.reserve(drop, self.wants)
            if answer["type"] == "error":
                assert answer["code"] == "out-of-stock", answer
                answer = await client.request({"type": "waitlist.join", "drop": drop, "quantity": self.wants})
                assert answer["type"] == "waitlist", answer
            elif self.forgets:
                return
            while True:
                await client.until(held, seconds=60)
                for reservation in held(client):
                    await self.pay(client, reservation)

    async def pay(self, client: LiveClient, reservation: Message) -> None:
        """Pay, at the second try where the first card is declined."""
        if self.declined:
            refused = await self.stage.pay(self.token, reservation["id"], card="tok_declined")
            assert refused.status_code in {402, 410}, refused.text
        paid = await self.stage.pay(self.token, reservation["id"])
        assert paid.status_code in {201, 410}, paid.text
        await client.until(
            lambda seen: seen.reservations[reservation["id"]]["state"] not in {"held", "paying"}
        )


def held(client: LiveClient) -> list[Message]:
    """Return the reservations that a viewer could pay now."""
    return [each for each in client.reservations.values() if each["state"] == "held"]


async def sale(stage: Stage, seconds: float) -> None:
    """Offer units to more than enough buyers; all of them must be sold in the end."""
    drop = await stage.drop(UNITS, limit_per_viewer=3, hold_seconds=1)
    buyers = [Buyer(stage, number) for number in range(UNITS)]
    tasks = [asyncio.create_task(buyer.buy(drop)) for buyer in buyers]
    try:

        async def sold_out() -> bool:
            for task in tasks:
                if task.done():
                    task.result()  # raises what went wrong
            return stage.numbers(await stage.stock(drop)) == (0, 0, UNITS)

        await wait_for(sold_out, "everything is sold", seconds)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_undersell(stage: Stage) -> None:
    """Declined, forgotten and lapsed units go to those who wait, until every unit that was offered is sold."""
    await sale(stage, SOLD_SECONDS)


async def buy_first(stage: Stage, drop: str, number: int) -> int:
    """Pay for a unit that nobody holds, for as long as one may come back; return how many were got."""
    token, cards = stage.viewer(), ["tok_declined"] * (number % 3 == 0)
    while True:
        card = cards.pop() if cards else "tok_ok"
        body = {"items": [{"drop": drop, "quantity": 1}], "payment": {"method": "card", "token": card}}
        answer = await stage.call("POST", "/v1/checkout", token, key=ids.secret(8), json=body)
        if answer.status_code == httpx.codes.CREATED:
            return 1
        problem = answer.json()
        assert problem["code"] in {"payment-declined", "out-of-stock"}, answer.text
        if problem["code"] == "out-of-stock" and not problem["held"]:
            return 0


async def test_undersell_where_the_first_who_pays_gets_it(stage: Stage) -> None:
    """Units whose payment is declined go on at once: those who came too late for them get them, and all are sold."""
    drop = await stage.drop(UNITS, mode="first_paid", waitlist=False)
    got = await asyncio.gather(*(buy_first(stage, drop, number) for number in range(UNITS + 10)))
    assert sum(got) == UNITS
    assert stage.numbers(await stage.stock(drop)) == (0, 0, UNITS)


async def test_a_sale_that_strands_units_is_found(faulty: ServerProcess) -> None:
    """Negative control: where nobody lets lapsed units go, the same sale does not come to its end."""
    async with broken_stage(faulty, UNSWEPT) as stage:
        with pytest.raises(AssertionError, match="everything is sold"):
            await sale(stage, UNSOLD_SECONDS)
