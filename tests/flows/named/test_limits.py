"""What counts for a viewer's limit, and what the counters count: several lines, stale holds, units instead of rows."""

from __future__ import annotations

import asyncio
import random
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from tests.flows.named.broken import broken_stage
from tests.problems import assert_problem

if TYPE_CHECKING:
    from server.client import LiveClient
    from tests.server import ServerProcess
    from tests.stage import Stage

LIMIT = 3
SHOPPERS = 10
ROUNDS = 12
BACK_MS = 1000  # from the deadline of a hold to the moment from which its units can be taken again

Fields = dict[str, Any]


async def many_lines(stage: Stage) -> None:
    """Ask for many single units of one drop at once, through two sockets and the HTTP door, as one viewer."""
    drop, token = await stage.drop(30, limit_per_viewer=LIMIT), stage.viewer()
    async with stage.watching(token) as one, stage.watching(token) as other:
        told, answered = await asyncio.gather(
            asyncio.gather(*(socket.reserve(drop) for _ in range(4) for socket in (one, other))),
            asyncio.gather(*(stage.reserve(token, drop) for _ in range(4))),
        )
    sentences = [answer.get("message") for answer in told]
    sentences += [answer.json().get("detail") for answer in answered]
    taken = sum(sentence is None for sentence in sentences)
    assert taken == LIMIT, f"{taken} units were taken, the limit is {LIMIT}"
    refusal = f"Asked for 1, the limit per viewer is {LIMIT} and {LIMIT} are taken."
    assert {sentence for sentence in sentences if sentence is not None} == {refusal}
    assert stage.numbers(await stage.stock(drop)) == (30 - LIMIT, LIMIT, 0)


async def test_duplicate_sku_lines_are_summed(stage: Stage) -> None:
    """A viewer's reservations of one drop count together, also those made at once through several doors."""
    await many_lines(stage)


async def test_counting_only_the_last_line_breaks_the_limit(faulty: ServerProcess) -> None:
    """Negative control: where each reservation is held against the limit alone, the same viewer takes more."""
    async with broken_stage(faulty, "only the last line counts") as stage:
        with pytest.raises(AssertionError, match="12 units were taken, the limit is 3"):
            await many_lines(stage)


async def test_duplicate_lines_of_one_order_are_summed(stage: Stage) -> None:
    """Several reservations of one drop in one order: every line is paid and sold, once; a repeated line is refused."""
    drop, token = await stage.drop(10, limit_per_viewer=6), stage.viewer()
    lines = [(await stage.reserve(token, drop, units)).json()["id"] for units in (1, 2, 3)]
    assert_problem(await stage.pay(token, *lines, lines[0]), 422, "invalid-message", "4 are named")
    paid = await stage.pay(token, *lines, expected_total=6 * 1250)
    assert paid.status_code == 201, paid.text
    order = paid.json()["order"]
    assert [line["quantity"] for line in order["lines"]] == [1, 2, 3]
    assert order["total"] == 6 * 1250
    assert stage.numbers(await stage.stock(drop)) == (4, 0, 6)
    async with stage.watching(token) as viewer:
        assert (await viewer.reserve(drop))["code"] == "limit-reached"


async def test_duplicate_drops_of_one_bundle_are_refused(stage: Stage) -> None:
    """A bundle that names a drop twice takes nothing; neither door lets it pass the limit."""
    drop, token = await stage.drop(10, limit_per_viewer=LIMIT), stage.viewer()
    items = [{"drop": drop, "quantity": 2}, {"drop": drop, "quantity": 2}]
    path = f"/v1/shows/{stage.show}/reservations"
    asked = await stage.call("POST", path, token, key=ids.secret(8), json={"items": items})
    assert_problem(asked, 422, "invalid-message")
    async with stage.watching(token) as viewer:
        assert (await viewer.request({"type": "bundle", "items": items}))["code"] == "invalid-message"
    assert stage.numbers(await stage.stock(drop)) == (10, 0, 0)


async def test_own_stale_hold_not_counted(stage: Stage) -> None:
    """A hold that lapsed, or was given back, stands in nobody's way a second later: not in its own viewer's either."""
    drop, token = await stage.drop(2, hold_seconds=1, limit_per_viewer=1), stage.viewer()
    async with stage.watching(token) as viewer:
        first = (await viewer.reserve(drop))["reservation"]
        assert (await viewer.reserve(drop))["code"] == "limit-reached"
        await viewer.until(lambda seen: seen.reservations[first["id"]]["state"] == "expired")
        second = (await viewer.reserve(drop))["reservation"]
        assert second["expires_at"] - 1000 - first["expires_at"] < BACK_MS
        await viewer.release(second["id"])
        assert (await viewer.reserve(drop))["type"] == "reservation"


async def test_consumes_units_not_rows(stage: Stage) -> None:
    """Reservations of several units take, give back, lapse and sell as many units as they name."""
    drop = await stage.drop(10, hold_seconds=2, limit_per_viewer=4)
    buyer, other = stage.viewer(), stage.viewer()
    async with stage.watching(buyer) as first, stage.watching(other) as second:
        paid_for = (await first.reserve(drop, 3))["reservation"]
        given_back = (await second.reserve(drop, 4))["reservation"]
        assert stage.numbers(await stage.stock(drop)) == (3, 7, 0)
        assert (await stage.pay(buyer, paid_for["id"])).status_code == 201
        assert stage.numbers(await stage.stock(drop)) == (3, 4, 3)
        await second.release(given_back["id"])
        assert stage.numbers(await stage.stock(drop)) == (7, 0, 3)
        assert (await first.reserve(drop, 2))["code"] == "limit-reached"
        lapsing = (await second.reserve(drop, 4))["reservation"]
        assert stage.numbers(await stage.stock(drop)) == (3, 4, 3)
        await second.until(lambda seen: seen.reservations[lapsing["id"]]["state"] == "expired")
    assert stage.numbers(await stage.stock(drop)) == (7, 0, 3)


async def test_a_row_that_is_taken_for_a_unit_is_found(faulty: ServerProcess) -> None:
    """Negative control: where a reservation of three units takes one, the same numbers do not come out."""
    async with broken_stage(faulty, "a row is a unit") as stage:
        with pytest.raises(AssertionError, match=re.escape("(8, 7, 0) == (3, 7, 0)")):
            await test_consumes_units_not_rows(stage)


async def shopping(stage: Stage) -> None:
    """Let many take, give back, pay, repeat and forget at once; then compare the counters with what viewers have."""
    seed = random.getrandbits(32)
    print(f"seed {seed}")  # noqa: T201  pytest shows it where the test fails
    drops = [await stage.drop(12, limit_per_viewer=5, hold_seconds=seconds) for seconds in (1, 60, 60)]
    tokens = [stage.viewer() for _ in range(SHOPPERS)]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(stage.watching(token)) for token in tokens]
        chances = [random.Random(f"{seed} {number}") for number in range(SHOPPERS)]  # noqa: S311  deeds, no secrets
        await asyncio.gather(*map(shop, [stage] * SHOPPERS, clients, tokens, [drops] * SHOPPERS, chances))
        for client in clients:
            await client.until(
                lambda seen: not any(lapsing(each, drops[0]) for each in seen.reservations.values())
            )
    kept = [reservation for token in tokens for reservation in await own(stage, token)]
    for drop in drops:
        _, held, sold = stage.numbers(await stage.stock(drop))
        assert (held, sold) == (units(kept, drop, "held"), units(kept, drop, "sold")), f"of {drop}"


async def shop(stage: Stage, client: LiveClient, token: str, drops: list[str], chance: random.Random) -> None:
    """Do a dozen things one after the other."""
    mine: list[str] = []
    for number in range(ROUNDS):
        match chance.choice(("take", "take", "take", "again", "give", "pay")):
            case "take":
                answer = await client.reserve(chance.choice(drops), chance.randint(1, 3), f"op-{number}")
                mine += [answer["reservation"]["id"]] if answer["type"] == "reservation" else []
            case "again" if number:
                await client.reserve(drops[1], 1, f"op-{number - 1}")
            case "give" if mine:
                await client.release(mine.pop(0))
            case "pay" if mine:
                await stage.pay(token, mine.pop(0))


def lapsing(reservation: Fields, drop: str) -> bool:
    """Whether a reservation has an end to come."""
    return reservation["drop"] == drop and reservation["state"] in {"held", "paying"}


async def own(stage: Stage, token: str) -> list[Fields]:
    """Return what a viewer is shown of their own."""
    async with stage.watching(token) as client:
        shown: list[Fields] = client.welcome["snapshot"]["reservations"]
        return shown


def units(reservations: list[Fields], drop: str, state: str) -> int:
    """Return how many units of a drop reservations in a state have."""
    return sum(each["quantity"] for each in reservations if (each["drop"], each["state"]) == (drop, state))


async def test_counter_equals_sum_of_holds(stage: Stage) -> None:
    """After any traffic a drop's `held` and `sold` are the sums of what its viewers are shown as their own."""
    await shopping(stage)


async def test_a_counter_that_is_not_counted_down_is_found(faulty: ServerProcess) -> None:
    """Negative control: where units that are given back stay counted as held, the sums differ."""
    async with broken_stage(faulty, "held is not counted down") as stage:
        with pytest.raises(AssertionError, match="of dr_"):
            await shopping(stage)
