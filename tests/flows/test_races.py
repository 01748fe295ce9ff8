"""Two at the same moment, from two houses: one of them gets it, and the books balance. Torn steps are found out."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from server import ids
from server.checkout.idempotency import Run
from server.checkout.saga import Paid, Request
from server.errors import Code, Problem
from server.inventory.books import read_books
from server.inventory.outcomes import Held
from tests.deadlines import let_lapse, move_deadline, redis_now
from tests.flows.torn import Torn
from tests.houses import house_at, live_show, numbers, open_drop
from tests.outside.stores import store
from tests.till import Till, share

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.house import House
    from server.payments.provider import ActionRequired, Authorized, Charge, Declined
    from server.store.embedded import Embedded
    from tests.stage import Stage

TRIES = 40
MOST_PINGS = 8  # by which one is ahead of the other


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with store(tmp_path_factory.mktemp("races")) as server:
        yield server


@pytest.fixture
async def houses(valkey: Embedded, tmp_path: Path) -> AsyncIterator[list[House]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(house_at(valkey.url, tmp_path)) for _ in range(2)]


@pytest.fixture
async def show(houses: list[House]) -> str:
    return await live_show(houses[0])


@pytest.fixture
def bank(houses: list[House]) -> Till:
    one = Till()
    share(one, *houses)
    return one


async def differences(house: House, show: str) -> list[str]:
    """Return what does not add up in a show's books."""
    return [each for books in await read_books(house.client, show) for each in books.differences]


async def held(house: House, show: str, drop: str, viewer: str = "ann") -> str:
    """Reserve one unit and return the reservation."""
    outcome = await house.holds.reserve(show, viewer, f"{drop} {viewer}", drop, 1)
    assert isinstance(outcome, Held)
    reservation: str = outcome.reservation["id"]
    return reservation


def to_pay(show: str, reservation: str) -> Request:
    details = {"provider": "sandbox", "method": "card", "token": "tok_ok"}
    return Request(ids.order(show, "ann", reservation), show, "ann", [reservation], details, None)


# -- the last unit


async def test_last_unit_two_buyers_one_wins(houses: list[House], show: str) -> None:
    """Whoever comes first gets the last unit; the other hears that 0 are available."""
    one, other = houses
    for _ in range(TRIES):
        drop = await open_drop(one, show, 1)
        outcomes = await asyncio.gather(
            one.holds.reserve(show, "ann", drop, drop, 1),
            other.holds.reserve(show, "bob", drop, drop, 1),
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, Problem)]
        assert [(problem.code, problem.extras["available"]) for problem in refused] == [
            (Code.OUT_OF_STOCK, 0)
        ]
        assert await numbers(one, show, drop) == (0, 1, 0)
    assert await differences(one, show) == []


async def test_a_torn_reserve_oversells(houses: list[House], show: str) -> None:
    """Looked at first and taken later, both get the last unit, and the books show it."""
    drop = await open_drop(houses[0], show, 1)
    together = asyncio.Barrier(2)
    buyers = {name: Torn(house.client, show, together.wait) for name, house in zip("ab", houses, strict=True)}
    assert await asyncio.gather(*(torn.reserve(name, drop) for name, torn in buyers.items())) == [True, True]
    assert "held is 1, its holds are 2" in await differences(houses[0], show)


# -- a deadline


@pytest.mark.parametrize("sweeper_first", [True, False])
async def test_sweeper_against_checkout_in_the_same_millisecond(
    houses: list[House], show: str, bank: Till, *, sweeper_first: bool
) -> None:
    """At its deadline a unit is either sold and paid, or back in stock and not paid: never both, never neither."""
    shop, other = houses
    wins = {"buyer": 0, "sweeper": 0}
    for lead in [-5, *(number % 5 for number in range(TRIES)), 5000]:
        drop = await open_drop(shop, show, 1)
        reservation = await held(shop, show, drop)
        request = to_pay(show, reservation)
        await move_deadline(shop.client, show, reservation, await redis_now(shop.client) + lead)
        if sweeper_first:
            _, paid = await asyncio.gather(other.holds.sweep(show), shop.checkout.pay(request))
        else:
            paid, _ = await asyncio.gather(shop.checkout.pay(request), other.holds.sweep(show))
        if isinstance(paid, Paid):
            wins["buyer"] += 1
            assert await numbers(shop, show, drop) == (0, 0, 1)
            assert bank.captures[request.order] == 1
        else:
            wins["sweeper"] += 1
            assert isinstance(paid, Problem)
            assert paid.code is Code.RESERVATION_EXPIRED
            await other.holds.sweep(show)
            assert await numbers(shop, show, drop) == (1, 0, 0)
            assert bank.captures[request.order] == 0
    assert min(wins.values()) > 0, wins
    assert await differences(shop, show) == []


async def test_a_torn_sale_sells_what_has_lapsed(houses: list[House], show: str) -> None:
    """Looked at before the deadline and sold after the sweep, a unit is sold and in stock at once."""
    shop, other = houses
    drop = await open_drop(shop, show, 1)
    reservation = await held(shop, show, drop)

    async def swept() -> None:
        await let_lapse(shop.client, show, reservation)
        assert (await other.holds.sweep(show)).lapsed == 1

    assert await Torn(shop.client, show, swept).sell(reservation)
    assert await numbers(shop, show, drop) == (1, -1, 1)
    assert "a number is below zero" in await differences(shop, show)


class SlowTill(Till):
    """A till that says yes as the reservation lapses, with a sweeper close behind, and somebody who wants the unit."""

    def __init__(self, shop: House, other: House) -> None:
        super().__init__()
        self.shop, self.other = shop, other
        self.drop, self.reservation, self.distance = "", "", 0
        self.sweeps: list[asyncio.Task[None]] = []

    async def authorize(self, charge: Charge) -> Authorized | ActionRequired | Declined:
        """Say yes, too late."""
        show = ids.show_of(self.reservation, "rs")
        assert show is not None
        await let_lapse(self.shop.client, show, self.reservation)
        self.sweeps.append(asyncio.create_task(self._follow(show)))
        for _ in range(MOST_PINGS - self.distance):
            await self.shop.client.ping()
        return await super().authorize(charge)

    async def _follow(self, show: str) -> None:
        for _ in range(self.distance):
            await self.other.client.ping()
        await self.other.holds.sweep(show)
        await self.other.holds.reserve(show, "bea", self.drop, self.drop, 1)


async def test_sweeper_against_a_payment_that_was_just_authorized(houses: list[House], show: str) -> None:
    """The unit goes to somebody else before the sale, and the money is let go; or the sale wins, and it is captured."""
    shop, other = houses
    bank = SlowTill(shop, other)
    share(bank, *houses)
    wins = {"buyer": 0, "other": 0}
    for number in range(TRIES):
        drop = await open_drop(shop, show, 1)
        bank.drop, bank.reservation, bank.distance = drop, await held(shop, show, drop), number % MOST_PINGS
        request = to_pay(show, bank.reservation)
        paid = await shop.checkout.pay(request)
        await asyncio.gather(*bank.sweeps)
        if isinstance(paid, Paid):
            wins["buyer"] += 1
            assert (await numbers(shop, show, drop), bank.captures[request.order]) == ((0, 0, 1), 1)
        else:
            wins["other"] += 1
            assert isinstance(paid, Problem)
            assert paid.code is Code.RESERVATION_EXPIRED
            assert (await numbers(shop, show, drop), bank.captures[request.order]) == ((0, 1, 0), 0)
            assert request.order in bank.voided
    assert min(wins.values()) > 0, wins
    assert await differences(shop, show) == []
    assert sum((await shop.orders.units_by_drop(show)).values()) == wins["buyer"]


# -- two sweepers


async def test_two_sweepers_let_each_unit_go_once(houses: list[House], show: str) -> None:
    """However many sweep at once, each lapsed unit comes back once."""
    drop = await open_drop(houses[0], show, 10)
    for number in range(TRIES // 4):
        lapsing = [await held(houses[0], show, drop, f"viewer-{number}-{seat}") for seat in range(10)]
        await let_lapse(houses[0].client, show, *lapsing)
        swept = await asyncio.gather(*(house.holds.sweep(show) for house in houses * 2))
        assert sum(each.lapsed for each in swept) == 10
        assert await numbers(houses[0], show, drop) == (10, 0, 0)
    assert await differences(houses[0], show) == []


async def test_torn_sweepers_give_units_back_twice(houses: list[House], show: str) -> None:
    """Looked at first and given back later, a unit comes back once per sweeper."""
    drop = await open_drop(houses[0], show, 1)
    await let_lapse(houses[0].client, show, await held(houses[0], show, drop))
    together = asyncio.Barrier(2)
    sweepers = [Torn(house.client, show, together.wait) for house in houses]
    assert await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers)) == [1, 1]
    assert await differences(houses[0], show) != []


# -- one key


async def test_one_key_runs_once(houses: list[House]) -> None:
    """Of two requests with one key that reach two processes at once, one runs and the other is told to wait."""
    keepers = [house.idempotency for house in houses]
    for number in range(TRIES):
        outcomes = await asyncio.gather(
            *(keeper.begin("ann", "POST", "/v1/checkout", f"key-{number}", b"{}") for keeper in keepers),
            return_exceptions=True,
        )
        problems = [outcome for outcome in outcomes if isinstance(outcome, Problem)]
        assert [problem.code for problem in problems] == [Code.IN_PROGRESS]
        assert sum(isinstance(outcome, Run) for outcome in outcomes) == 1


async def test_a_torn_key_runs_twice(houses: list[House], show: str) -> None:
    """Looked up first and kept later, both requests run."""
    together = asyncio.Barrier(2)
    keepers = [Torn(house.client, show, together.wait) for house in houses]
    assert await asyncio.gather(*(keeper.begin("torn") for keeper in keepers)) == [True, True]


async def test_same_key_twice_at_once_runs_once(stage: Stage) -> None:
    """Two checkouts at once under one key make one order; who came second gets the same answer, then or later."""
    drop = await stage.drop(10, limit_per_viewer=10)
    buyer = stage.viewer()
    for number in range(5):
        reservation = (await stage.reserve(buyer, drop)).json()["id"]
        key = f"at-once-{number}"
        answers = await asyncio.gather(*(stage.pay(buyer, reservation, key=key) for _ in range(2)))
        first = [answer for answer in answers if "idempotent-replayed" not in answer.headers]
        made = [answer for answer in first if answer.status_code == 201]
        assert len(made) == 1
        for answer in answers:
            assert answer.status_code in {201, 409}
            expected = {"order": made[0].json()["order"]} if answer.status_code == 201 else "in-progress"
            assert (answer.json() if answer.status_code == 201 else answer.json()["code"]) == expected
        later = await stage.pay(buyer, reservation, key=key)
        assert (later.status_code, later.json()) == (201, made[0].json())
        assert later.headers["idempotent-replayed"] == "true"
        assert await order_count(stage) == number + 1
    assert stage.numbers(await stage.stock(drop)) == (5, 0, 5)


async def test_two_keys_at_once_pay_once(stage: Stage) -> None:
    """Two checkouts of one reservation at once, each under its own key, sell and charge it once."""
    drop = await stage.drop(10, limit_per_viewer=10)
    buyer = stage.viewer()
    for number in range(5):
        reservation = (await stage.reserve(buyer, drop)).json()["id"]
        keys = (f"one-{number}", f"two-{number}")
        answers = await asyncio.gather(*(stage.pay(buyer, reservation, key=key) for key in keys))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        refused = next(answer.json() for answer in answers if answer.status_code == 409)
        assert refused["code"] in {"in-progress", "wrong-state"}
        assert await order_count(stage) == number + 1


async def order_count(stage: Stage) -> int:
    """Return how many orders the show's ledger has."""
    listed = await stage.host("GET", f"/v1/shows/{stage.show}/orders")
    return len(listed.json()["items"])
