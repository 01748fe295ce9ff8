"""Idempotency keys where other shops lost them: a crash in flight, and an answer that is not the last word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server import ids
from server.checkout.idempotency import RUNNING_MS, Idempotency, Run, Stored
from server.checkout.saga import Paid, Pending
from server.errors import Code, Problem
from server.seal import Seal
from server.store.keys import key
from tests.checkout.buying import ledger, request, resume
from tests.till import UNANSWERED, Till, share
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.house import House
    from tests.stage import Stage

ASKED = ("ann", "POST", "/v1/checkout", "once", b"{}")


async def test_in_flight_key_is_reclaimed_after_a_crash(house: House) -> None:
    """A run that never answers blocks its key no longer than a run may take; the next one meets what it has done."""
    till = Till()
    share(till, house)
    keeper, one = house.idempotency, await request(house, card=UNANSWERED)
    dead = await keeper.begin(*ASKED)
    assert isinstance(dead, Run)
    assert isinstance(await house.checkout.pay(one), Pending)  # and then its process dies
    with pytest.raises(Problem) as waits:
        await keeper.begin(*ASKED)
    assert waits.value.code is Code.IN_PROGRESS
    marker = key("idempotency", request=dead.request)
    assert 0 < await house.client.pttl(marker) <= RUNNING_MS
    await house.client.pexpire(marker, 1)

    async def free() -> bool:
        return not await house.client.exists(marker)

    await wait_for(free, "its time is over")
    again = await keeper.begin(*ASKED)
    assert isinstance(again, Run)
    await resume(house, one)
    assert isinstance(await house.checkout.pay(one), Paid)
    await keeper.finish(again, 201, b"paid")
    await keeper.finish(dead, 0, b"")  # should the dead one not be dead after all
    assert await keeper.begin(*ASKED) == Stored(201, b"paid")
    assert (await ledger(house, one), till.captures) == (("paid", "captured"), {one.order: 1})


async def test_a_key_that_a_crash_left_for_ever_is_found(house: House) -> None:
    """Negative control: without the marker's end the same key is blocked for good."""
    keeper = house.idempotency
    dead = await keeper.begin(*ASKED[:3], ids.secret(6), b"{}")
    assert isinstance(dead, Run)
    marker = key("idempotency", request=dead.request)
    assert await house.client.persist(marker)
    assert await house.client.pttl(marker) == -1
    await house.client.delete(marker)


async def test_an_answer_of_another_secret_is_not_run_again(house: House) -> None:
    """Where the server's secret has changed, the answer is unknown, and the request does not run a second time."""
    asked = (*ASKED[:3], ids.secret(6), b"{}")
    run = await house.idempotency.begin(*asked)
    assert isinstance(run, Run)
    await house.idempotency.finish(run, 201, b"paid")
    other = Idempotency(house.scripts, Seal("another secret of thirty-two bytes", "livedrop answer 1"))
    with pytest.raises(Problem) as refused:
        await other.begin(*asked)
    assert refused.value.code is Code.UNAVAILABLE
    assert await house.idempotency.begin(*asked) == Stored(201, b"paid")


async def test_a_202_is_replayed_as_it_was(stage: Stage) -> None:
    """A checkout that waits for its buyer: its key answers 202 with the same order again; GET says how it goes on."""
    drop, buyer, once = await stage.drop(1), stage.viewer(), ids.secret(8)
    mine = (await stage.reserve(buyer, drop)).json()["id"]
    first = await stage.pay(buyer, mine, card="tok_requires_action", key=once)
    assert first.status_code == 202, first.text
    order = first.json()["order"]
    assert (order["status"], order["payment"]["status"]) == ("requires_action", "pending")
    assert order["action_url"]
    again = await stage.pay(buyer, mine, card="tok_requires_action", key=once)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    shown = await stage.call("GET", f"/v1/orders/{order['id']}", buyer)
    assert shown.status_code == 200
    assert shown.json().items() >= order.items()
    other = await stage.pay(buyer, mine, card="tok_ok", key=once)
    assert other.json()["code"] == "idempotency-mismatch"
    paid = await stage.pay(buyer, mine)  # the buyer pays in another way: the first payment is let go
    assert paid.status_code == 201, paid.text
    shown = await stage.call("GET", f"/v1/orders/{order['id']}", buyer)
    assert shown.json()["status"] == "cancelled"
