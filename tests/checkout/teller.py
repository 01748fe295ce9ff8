"""The sandbox's process from its own side of the counter: what its people and its buyers do there, and its books.

What is done here goes through the bank's own doors; what is read is the file that outlives the process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections import Counter
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from server import ids
from server.payments.bank.private import PrivateSandbox, place_in
from server.payments.bank.process import BOOKS
from server.payments.bank.signature import key_of
from server.payments.provider import Status
from server.payments.sandbox import Sandbox
from server.store.embedded import Embedded
from tests.checkout.buying import disagreements, ledger, record
from tests.houses import house_at
from tests.server import SECRET
from tests.waiting import wait_for, wait_until
from tests.wire import NO_TLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.checkout.saga import Request
    from server.house import House
    from server.payments.provider import Charge, Payment

KEY = {"Authorization": f"Bearer {key_of(SECRET).hex()}"}
OK, SLOW = "tok_ok", "tok_slow_10s"


class Teller:
    """Stands at the bank at `url`, whose books are in the data folder; close it with `aclose`."""

    def __init__(self, url: str, data: Path) -> None:
        self.url = url
        self._books = place_in(data).folder / BOOKS
        self._bank = Sandbox(url, SECRET)
        self._http = httpx.AsyncClient(base_url=url, headers=KEY, timeout=20, verify=NO_TLS)

    async def aclose(self) -> None:
        """Leave."""
        await self._bank.aclose()
        await self._http.aclose()

    # -- what is done there

    async def authorize(self, charge: Charge) -> None:
        """Let a request for an amount arrive whose sender hears no answer any more."""
        await self._bank.authorize(charge)

    async def think(self, charge: Charge) -> None:
        """Let the bank think about an order for ten seconds, as if it had not been asked before."""
        await self.forget(charge.order)
        asking = asyncio.create_task(self._bank.authorize(replace(charge, token=SLOW)))

        async def arrived() -> bool:
            return await self.find(charge.order) is not None

        await wait_for(arrived, "the bank thinks")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    async def say(self, order: str, *, yes: bool) -> None:
        """Do the buyer's part on the bank's page."""
        form = {"verdict": "approve" if yes else "decline"}
        answer = await self._http.post(f"/actions/sb_{order}", data=form, follow_redirects=False)
        assert answer.status_code in {200, 303}, answer.text

    async def agree(self, charge: Charge) -> None:
        """Let the bank say yes now: its buyer acts, or it thinks no longer."""
        payment = await self.find(charge.order)
        if payment is not None and payment.status is Status.REQUIRES_ACTION:
            await self.say(charge.order, yes=True)
            return
        await self.forget(charge.order)
        await self.authorize(replace(charge, token=OK))

    async def capture(self, charge: Charge) -> None:
        """Take the money by hand."""
        await self._bank.capture(charge, "")

    async def void(self, charge: Charge) -> None:
        """Let the amount go by hand."""
        await self._bank.void(charge, "")

    async def give_back(self, charge: Charge) -> None:
        """Give all of the money back by hand."""
        await self._bank.refund(f"sb_{charge.order}", f"{charge.order} by hand", charge.amount)

    async def forget(self, order: str) -> None:
        """Let the bank know nothing of an order."""
        answer = await self._http.delete(f"/admin/payments/{order}")
        assert answer.status_code in {204, 404}, answer.text

    async def turn(self, **knobs: Any) -> None:
        """Turn the bank's knobs; what is not named is at rest."""
        answer = await self._http.put("/admin/knobs", json=knobs)
        assert answer.status_code == httpx.codes.OK, answer.text

    # -- its books

    async def find(self, order: str) -> Payment | None:
        """Return an order's payment."""
        return await self._bank.find(order)

    async def payments(self, show: str) -> list[Payment]:
        """Return the payments of a show's orders."""
        return [each async for each in self._bank.payments(0) if ids.show_of(each.order, "or") == show]

    def status(self, order: str) -> str:
        """Return what stands in the file as an order's status, empty where it is not there; asks no process."""
        found = self._read("SELECT status FROM payments WHERE number = ?", order)
        return str(found[0][0]) if found else ""

    def until(self, order: str, status: Status) -> None:
        """Wait until an order's status stands in the file; for a thread."""
        wait_until(lambda: self.status(order) == status, f"the bank has it as {status}")

    def refunded(self, order: str) -> int:
        """Return what stands in the file as given back, minor units."""
        found = self._read("SELECT refunded FROM payments WHERE number = ?", order)
        return int(found[0][0]) if found else 0

    def steps(self, order: str) -> int:
        """Return how often an order's payment has changed, its first state included."""
        return int(self._read("SELECT changes FROM payments WHERE number = ?", order)[0][0])

    def changes(self, order: str) -> Counter[str]:
        """Return how often an order's payment became what, by the file's list of what is to be told."""
        query = (
            "SELECT json_extract(CAST(body AS TEXT), '$.data.status') FROM told "
            "WHERE json_extract(CAST(body AS TEXT), '$.data.order') = ?"
        )
        return Counter(str(row[0]) for row in self._read(query, order))

    def _read(self, query: str, *values: Any) -> list[Any]:
        if not self._books.exists():
            return []
        with closing(sqlite3.connect(f"file:{self._books}?mode=ro", uri=True)) as books:
            return books.execute(query, values).fetchall()


class Bank:
    """The process: one bank for a data folder, which its keeper starts again when it dies."""

    def __init__(self, private: PrivateSandbox, teller: Teller) -> None:
        self._private = private
        self.teller = teller

    def kill(self) -> None:
        """Kill it at once, and return when another one is about to serve."""
        pid = self._private.pid
        assert pid is not None, "nobody has asked it for anything yet"
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self._private.pid != pid, "another bank is there")


@asynccontextmanager
async def a_bank(data: Path) -> AsyncIterator[Bank]:
    """Give the bank of a data folder: a process of its own with durable books."""
    private = await asyncio.to_thread(PrivateSandbox.begin, data, SECRET)
    teller = Teller(private.url, data)
    try:
        await teller.turn()
        yield Bank(private, teller)
    finally:
        await teller.aclose()
        await asyncio.to_thread(private.leave)


@asynccontextmanager
async def a_shop(folder: Path) -> AsyncIterator[tuple[House, Bank]]:
    """Give a house whose money is at a bank's process of its own."""
    async with a_bank(folder / "bank") as bank:
        with Embedded.start(folder / "store") as store:
            async with house_at(store.url, folder / "data", sandbox_url=bank.teller.url) as house:
                yield house, bank


async def is_paid_once(house: House, teller: Teller, one: Request) -> None:
    """Assert that the order is paid, that by the bank's books its money moved once, and that all books agree."""
    assert (await ledger(house, one), await record(house, one)) == (("paid", "captured"), None)
    found = await house.orders.find(one.order)
    assert found is not None
    (payment,) = await teller.payments(one.show)
    assert (payment.captured, payment.refunded) == (found[0]["total"], 0)
    captures = teller.changes(one.order)[Status.CAPTURED]
    assert captures == 1, f"captured {captures} times"
    wrong = await disagreements(house, one.show)
    assert not wrong, wrong


async def nothing_moved(house: House, teller: Teller, one: Request) -> None:
    """Assert that the order came to nothing, and that the bank has neither reserved nor taken anything for it."""
    assert await ledger(house, one) == ("cancelled", "voided")
    (payment,) = await teller.payments(one.show)
    assert (payment.status, payment.captured) == (Status.VOIDED, 0)
    assert not teller.changes(one.order)[Status.CAPTURED]
    wrong = await disagreements(house, one.show)
    assert not wrong, wrong
