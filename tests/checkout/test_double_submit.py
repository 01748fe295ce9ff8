"""Fifty clients submit the same checkout to two server processes at once: one order, one charge at the bank."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server import ids
from server.payments.bank.private import place_in
from tests.checkout.teller import Teller
from tests.server import ServerProcess
from tests.stage import MUG_PRICE, Stage
from tests.wire import NO_TLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CLIENTS = 50
UNITS = 2
PATIENCE_SECONDS = 20.0  # for a client to learn what became of it
THINKS_MS = 150  # the bank, about everything: so that nobody is done before all have come


@dataclass(slots=True)
class Doors:
    """Two server processes on one data folder, a show with one reservation, and the bank of both."""

    stages: list[Stage]
    teller: Teller
    buyer: str
    drop: str
    reservation: str

    async def submit(self, number: int, key: str) -> list[httpx.Response]:
        """Be one client: submit, and again as long as it is said to be under way; return all answers."""
        stage = self.stages[number % len(self.stages)]
        heard: list[httpx.Response] = []
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            httpx.AsyncClient(base_url=stage.server.url, timeout=30, verify=NO_TLS) as http,
        ):
            mine = Stage(stage.server, http)
            while True:
                heard.append(await mine.pay(self.buyer, self.reservation, key=key))
                body = heard[-1].json()
                if body.get("code") != "in-progress":
                    return heard
                await asyncio.sleep(body["retry_after_ms"] / 1000)

    async def all_submit(self, keys: int) -> list[list[httpx.Response]]:
        """Let all clients submit at once, with so many keys in all."""
        once = ids.secret(6)
        return await asyncio.gather(
            *(self.submit(number, f"{once} {number % keys}") for number in range(CLIENTS))
        )

    async def one_charge(self) -> str:
        """Assert that there is one order, by server and bank, and that its money moved once; return its id."""
        stage = self.stages[-1]
        listed = await stage.host("GET", f"/v1/shows/{stage.show}/orders")
        orders: list[Any] = [order for order in listed.json()["items"] if order["status"] == "paid"]
        payments = await self.teller.payments(stage.show)
        charged = [each.order for each in payments if each.captured]
        assert len(orders) == len(charged) == 1, f"{len(orders)} orders, charged for {len(charged)}"
        assert [order["id"] for order in orders] == charged
        assert len(payments) == 1, f"{len(payments)} payments were asked for"
        payment = payments[0]
        assert (payment.captured, payment.refunded) == (UNITS * MUG_PRICE, 0)
        assert self.teller.steps(payment.order) == 2, "it was reserved once and moved once"
        return payment.order


@contextmanager
def another(first: ServerProcess) -> Iterator[ServerProcess]:
    """Run one more server on the same data."""
    second = ServerProcess(first.data, settings=first.settings).start()
    try:
        yield second
    finally:
        second.stop()


@pytest.fixture(scope="module")
def servers(server: ServerProcess) -> Iterator[list[ServerProcess]]:
    """Give the server of all tests, and one more."""
    with another(server) as second:
        yield [server, second]


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server for negative controls; what it leaves behind is nobody's business."""
    process = ServerProcess(tmp_path_factory.mktemp("careless") / "data", module="tests.checkout.careless")
    try:
        yield process.start()
    finally:
        process.stop()


@asynccontextmanager
async def opened(servers: list[ServerProcess]) -> AsyncIterator[Doors]:
    """Give doors to a new show, with two of ten units taken by a buyer."""
    async with AsyncExitStack() as stack:
        stages = []
        for server in servers:
            http = httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS)
            stages.append(Stage(server, await stack.enter_async_context(http)))
        await stages[0].open()
        stages[-1].show = stages[0].show
        buyer, drop = stages[0].viewer("buyer"), await stages[0].drop(limit_per_viewer=UNITS)
        reservation = (await stages[0].reserve(buyer, drop, UNITS)).json()["id"]
        teller = Teller(place_in(servers[0].data).url() or "", servers[0].data)
        stack.push_async_callback(teller.aclose)
        await teller.turn(delay_ms=THINKS_MS)
        stack.push_async_callback(teller.turn)
        yield Doors(stages, teller, buyer, drop, reservation)


def codes(answers: list[httpx.Response]) -> set[str]:
    """Return the codes of those answers that are errors."""
    return {answer.json()["code"] for answer in answers if answer.status_code not in {201, 202}}


async def test_one_key(servers: list[ServerProcess]) -> None:
    """All with one Idempotency-Key: one runs, the others hear `in-progress`, and then its very answer, marked."""
    async with opened(servers) as doors:
        heard = await doors.all_submit(1)
        answers = [answer for client in heard for answer in client]
        last = [client[-1] for client in heard]
        assert {answer.status_code for answer in answers} <= {201, 202, 409}
        assert codes(answers) == {"in-progress"}
        assert len({(answer.status_code, answer.content) for answer in last}) == 1
        ran = [answer for answer in last if "idempotent-replayed" not in answer.headers]
        assert len(ran) == 1
        assert {answer.headers["idempotent-replayed"] for answer in last if answer is not ran[0]} == {"true"}
        assert (ran[0].status_code, ran[0].json()["order"]["id"]) == (201, await doors.one_charge())
        assert doors.stages[0].numbers(await doors.stages[0].stock(doors.drop)) == (10 - UNITS, 0, UNITS)
        await doors.stages[0].audit()


async def test_a_key_each(servers: list[ServerProcess]) -> None:
    """Each with a key of its own: one is paid, the others hear that it is under way, and then that it is sold."""
    async with opened(servers) as doors:
        heard = await doors.all_submit(CLIENTS)
        answers = [answer for client in heard for answer in client]
        assert {answer.status_code for answer in answers} == {201, 409}
        assert codes(answers) == {"in-progress", "wrong-state"}
        assert codes([client[-1] for client in heard]) == {"wrong-state"}
        (paid,) = [answer for answer in answers if answer.status_code == 201]
        assert paid.json()["order"]["id"] == await doors.one_charge()
        assert not any("idempotent-replayed" in answer.headers for answer in answers)
        assert doors.stages[0].numbers(await doors.stages[0].stock(doors.drop)) == (10 - UNITS, 0, UNITS)
        await doors.stages[0].audit()


@pytest.mark.parametrize("keys", [1, CLIENTS])
async def test_a_server_that_heeds_nothing_is_found(careless: ServerProcess, keys: int) -> None:
    """Negative control: without keys and claims the same clients are charged many times, and the same look says so."""
    async with opened([careless]) as doors:
        await doors.all_submit(keys)
        with pytest.raises(AssertionError, match="charged for"):
            await doors.one_charge()
