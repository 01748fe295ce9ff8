"""The sandbox keeps a provider's promise: what each token plays, once for each key, through the real provider."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from server.payments.bank import plays
from server.payments.bank.knobs import Knobs
from server.payments.provider import (
    ActionRequired,
    Authorized,
    Declined,
    Payment,
    RefusedError,
    Status,
    UnknownOutcomeError,
)
from tests.payments.sandboxes import KEY, charge
from tests.waiting import wait_for

if TYPE_CHECKING:
    import httpx

    from server.payments.bank.api import Bank
    from server.payments.sandbox import Sandbox

PUBLISHED = {
    "tok_ok",
    "tok_declined",
    "tok_insufficient_funds",
    "tok_timeout_then_ok",
    "tok_requires_action",
    "tok_slow_10s",
    "tok_capture_fails_once",
    "tok_duplicate_webhook",
}


async def is_there(sandbox: Sandbox) -> bool:
    """Whether the first order's payment is known."""
    return await sandbox.find("or_1") is not None


async def status_of(sandbox: Sandbox, order: str = "or_1") -> Status:
    """Return what an order's payment is."""
    found = await sandbox.find(order)
    assert found is not None
    return found.status


def test_the_tokens_are_those_of_the_contract() -> None:
    """Every published token has its play, and there is no other."""
    assert plays.PLAYS.keys() == PUBLISHED


async def test_money_moves_at_the_capture_and_once(sandbox: Sandbox) -> None:
    """An authorization reserves and moves nothing; the capture moves all of it; repeats change nothing."""
    for _ in range(2):
        assert await sandbox.authorize(charge()) == Authorized("sb_or_1")
    reserved = Payment("or_1", "sb_or_1", Status.AUTHORIZED, 1250, "EUR")
    assert await sandbox.find("or_1") == reserved
    for _ in range(2):
        await sandbox.capture(charge(), "sb_or_1")
    assert await sandbox.find("or_1") == Payment(
        "or_1", "sb_or_1", Status.CAPTURED, 1250, "EUR", captured=1250
    )
    assert await sandbox.authorize(charge()) == Authorized("sb_or_1")


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("tok_declined", "declined"),
        ("tok_insufficient_funds", "insufficient funds"),
        ("tok_of_nobody", "does not know this token"),
    ],
)
async def test_declines(sandbox: Sandbox, token: str, sentence: str) -> None:
    """The declining tokens, and one that nobody published, are declined for good with a sentence."""
    answer = await sandbox.authorize(charge(token))
    assert isinstance(answer, Declined)
    assert sentence in answer.reason
    assert await sandbox.authorize(charge(token)) == answer
    found = await sandbox.find("or_1")
    assert found is not None
    assert (found.status, found.reason) == (Status.DECLINED, answer.reason)
    with pytest.raises(RefusedError, match="declined"):
        await sandbox.capture(charge(token), "sb_or_1")
    await sandbox.void(charge(token), "sb_or_1")


async def test_timeout_then_ok(sandbox: Sandbox) -> None:
    """The first answer is lost after the work is done: the outcome is unknown, and a repeat finds it."""
    with pytest.raises(UnknownOutcomeError, match="cut"):
        await sandbox.authorize(charge("tok_timeout_then_ok"))
    assert await status_of(sandbox) is Status.AUTHORIZED
    assert await sandbox.authorize(charge("tok_timeout_then_ok")) == Authorized("sb_or_1")


async def test_capture_fails_once(sandbox: Sandbox) -> None:
    """The first capture has no answer that says anything, and moved nothing; the second one works."""
    await sandbox.authorize(charge("tok_capture_fails_once"))
    with pytest.raises(UnknownOutcomeError, match="500"):
        await sandbox.capture(charge("tok_capture_fails_once"), "sb_or_1")
    assert await status_of(sandbox) is Status.AUTHORIZED
    await sandbox.capture(charge("tok_capture_fails_once"), "sb_or_1")
    assert await status_of(sandbox) is Status.CAPTURED


async def test_slow(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow token is pending until its time is over; whoever asks meanwhile waits for the same decision."""
    assert plays.PLAYS["tok_slow_10s"].thinks_ms == 10_000
    monkeypatch.setitem(plays.PLAYS, "tok_slow_10s", plays.Play(thinks_ms=300))
    asking = [asyncio.create_task(sandbox.authorize(charge("tok_slow_10s"))) for _ in range(2)]
    await wait_for(lambda: is_there(sandbox), "the bank has begun")
    assert await status_of(sandbox) is Status.PENDING
    with pytest.raises(UnknownOutcomeError, match="not authorized yet"):
        await sandbox.capture(charge("tok_slow_10s"), "sb_or_1")
    assert await asyncio.gather(*asking) == [Authorized("sb_or_1")] * 2
    assert await status_of(sandbox) is Status.AUTHORIZED


async def test_a_void_is_stronger_than_a_decision_to_come(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is voided while the bank thinks is never authorized."""
    monkeypatch.setitem(plays.PLAYS, "tok_slow_10s", plays.Play(thinks_ms=300))
    asking = asyncio.create_task(sandbox.authorize(charge("tok_slow_10s")))
    await wait_for(lambda: is_there(sandbox), "the bank has begun")
    await sandbox.void(charge("tok_slow_10s"), "")
    assert isinstance(await asking, Declined)
    assert await status_of(sandbox) is Status.VOIDED


@pytest.mark.parametrize(
    ("verdict", "status"), [("approve", Status.AUTHORIZED), ("decline", Status.DECLINED)]
)
async def test_the_buyer_has_to_act(
    sandbox: Sandbox, buyer: httpx.AsyncClient, verdict: str, status: Status
) -> None:
    """Nothing is reserved until the buyer pressed a button; then they go back, and a second press does nothing."""
    asked = charge("tok_requires_action", return_url="https://shop.example/back?a=1&b=2")
    answer = await sandbox.authorize(asked)
    assert answer == ActionRequired("sb_or_1", "http://sandbox.test/actions/sb_or_1")
    with pytest.raises(UnknownOutcomeError, match="not authorized yet"):
        await sandbox.capture(asked, "sb_or_1")
    page = await buyer.get(answer.url)
    assert page.status_code == 200
    assert ">Approve</button>" in page.text
    assert ">Decline</button>" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    sent = await buyer.post(answer.url, data={"verdict": verdict})
    assert (sent.status_code, sent.headers["location"]) == (303, asked.return_url)
    assert await status_of(sandbox) is status
    other = {"approve": "decline", "decline": "approve"}[verdict]
    await buyer.post(answer.url, data={"verdict": other})
    assert await status_of(sandbox) is status
    assert "Approve" not in (await buyer.get(answer.url)).text
    again = await sandbox.authorize(asked)
    assert isinstance(again, Authorized if status is Status.AUTHORIZED else Declined)


async def test_a_page_says_no_more_than_it_should(sandbox: Sandbox, buyer: httpx.AsyncClient) -> None:
    """What the shop sends stands on the page as text; an unknown payment has no page; a huge form is refused."""
    await sandbox.authorize(charge("tok_requires_action", order="or_<b>&"))
    page = await buyer.get("/actions/sb_or_<b>&")
    assert "or_&lt;b&gt;&amp;" in page.text
    assert "<b>" not in page.text
    assert (await buyer.get("/actions/sb_or_none")).status_code == 404
    assert (await buyer.post("/actions/sb_or_<b>&", content=b"x" * 20_000)).status_code == 404
    assert await status_of(sandbox, "or_<b>&") is Status.REQUIRES_ACTION


@pytest.mark.parametrize("other", [{"amount": 1251}, {"currency": "USD"}, {"token": "tok_declined"}])
async def test_a_key_stands_for_one_thing(sandbox: Sandbox, other: dict[str, Any]) -> None:
    """The same order with another amount, currency or token is no answer of any kind, and changes nothing."""
    await sandbox.authorize(charge())
    with pytest.raises(UnknownOutcomeError, match="another amount, currency or token"):
        await sandbox.authorize(charge(**{"token": "tok_ok", **other}))
    assert await sandbox.find("or_1") == Payment("or_1", "sb_or_1", Status.AUTHORIZED, 1250, "EUR")


async def test_many_at_once_reserve_once(sandbox: Sandbox) -> None:
    """Of twenty equal calls at the same moment all have the same answer, and there is one payment."""
    answers = await asyncio.gather(*(sandbox.authorize(charge()) for _ in range(20)))
    assert answers == [Authorized("sb_or_1")] * 20
    assert len([each async for each in sandbox.payments(0)]) == 1


async def test_a_void_lets_go_for_good(sandbox: Sandbox) -> None:
    """A voided payment is not captured and not authorized again; what was captured is not voided."""
    await sandbox.authorize(charge())
    for _ in range(2):
        await sandbox.void(charge(), "sb_or_1")
    with pytest.raises(RefusedError, match="voided"):
        await sandbox.capture(charge(), "sb_or_1")
    assert isinstance(await sandbox.authorize(charge()), Declined)
    await sandbox.authorize(charge(order="or_2"))
    await sandbox.capture(charge(order="or_2"), "sb_or_2")
    with pytest.raises(RefusedError, match="captured"):
        await sandbox.void(charge(order="or_2"), "sb_or_2")


async def test_a_void_may_come_first(sandbox: Sandbox) -> None:
    """An order that is voided before its authorization came is never authorized."""
    await sandbox.void(charge(), "")
    assert await status_of(sandbox) is Status.VOIDED
    assert isinstance(await sandbox.authorize(charge()), Declined)


async def test_refunds_never_exceed_the_capture(sandbox: Sandbox) -> None:
    """Parts go back once for each id, to the last unit, and no further; other amounts under a known id are refused."""
    await sandbox.authorize(charge())
    with pytest.raises(RefusedError, match="0 minor units are left"):
        await sandbox.refund("sb_or_1", "rf_1", 1)
    await sandbox.capture(charge(), "sb_or_1")
    for _ in range(2):
        await sandbox.refund("sb_or_1", "rf_1", 1000)
    with pytest.raises(RefusedError, match="250 minor units are left"):
        await sandbox.refund("sb_or_1", "rf_2", 251)
    with pytest.raises(RefusedError, match="another payment or amount"):
        await sandbox.refund("sb_or_1", "rf_1", 250)
    outcomes = await asyncio.gather(
        *(sandbox.refund("sb_or_1", f"rf_many_{number}", 100) for number in range(5)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 2
    found = await sandbox.find("or_1")
    assert found is not None
    assert (found.status, found.captured, found.refunded) == (Status.CAPTURED, 1250, 1200)
    with pytest.raises(RefusedError, match="no such payment"):
        await sandbox.refund("sb_or_2", "rf_3", 1)
    with pytest.raises(UnknownOutcomeError, match="422"):
        await sandbox.refund("sb_or_1", "rf_4", 0)


async def test_all_payments_are_listed(sandbox: Sandbox, till: Bank) -> None:
    """The list has every payment since a time, in the order in which they were made, over all of its pages."""
    orders = [f"or_{number}" for number in range(450)]
    for order in orders:
        await sandbox.authorize(charge(order=order))
    assert [each.order async for each in sandbox.payments(0)] == orders
    made = till.books._database.execute("UPDATE payments SET created_at = place").rowcount
    assert made == 450
    assert [each.order async for each in sandbox.payments(440)] == orders[439:]
    assert [each async for each in sandbox.payments(10**15)] == []


async def test_what_was_never_asked_for_is_not_there(sandbox: Sandbox) -> None:
    """An unknown order is found as None; there is nothing to capture of it, now or later."""
    assert await sandbox.find("or_none") is None
    with pytest.raises(RefusedError, match="Nothing was ever asked"):
        await sandbox.capture(charge(), "sb_or_1")


async def test_nobody_asks_without_the_key(till: Bank, buyer: httpx.AsyncClient) -> None:
    """Without the key, or with another one, every door but the buyer's page is shut."""
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {till.key.hex()}"}):
        for method, path in (
            ("POST", "/payments"),
            ("GET", "/payments"),
            ("GET", "/payments/or_1"),
            ("POST", "/payments/or_1/capture"),
            ("POST", "/payments/or_1/void"),
            ("POST", "/refunds"),
            ("GET", "/admin/knobs"),
            ("PUT", "/admin/knobs"),
            ("DELETE", "/admin/payments"),
            ("DELETE", "/admin/payments/or_1"),
        ):
            assert (await buyer.request(method, path, headers=headers)).status_code == 401, path


async def test_bodies_are_looked_at(buyer: httpx.AsyncClient) -> None:
    """What is no payment is refused with 422, what is too large with 413, and neither leaves anything behind."""
    good = {"order": "or_1", "amount": 1, "currency": "EUR", "method": "card", "token": "tok_ok"}
    bad: list[dict[str, Any]] = [
        {"content": b""},
        {"content": b"[]"},
        {"content": b"{"},
        {"json": {**good, "amount": 0}},
        {"json": {**good, "amount": 1.5}},
        {"json": {**good, "currency": "eur"}},
        {"json": {**good, "order": ""}},
        {"json": {**good, "return_url": "javascript:alert(1)"}},
    ]
    for sent in bad:
        assert (await buyer.post("/payments", headers=KEY, **sent)).status_code == 422, sent
    assert (await buyer.post("/payments", headers=KEY, content=b" " * 16_385)).status_code == 413
    assert (await buyer.get("/payments", headers=KEY)).json() == {"payments": [], "after": 0}


async def test_knobs(sandbox: Sandbox, till: Bank, buyer: httpx.AsyncClient) -> None:
    """Answers are lost after the work, calls fail and are refused before it, so many times; all is at rest again."""
    turned = {
        "lose": {"authorize": 1, "refund": 1},
        "fail": {"find": 1},
        "refuse": {"capture": 1},
        "delay_ms": 5,
    }
    assert (await buyer.put("/admin/knobs", headers=KEY, json=turned)).status_code == 200
    with pytest.raises(UnknownOutcomeError, match="cut"):
        await sandbox.authorize(charge())
    with pytest.raises(UnknownOutcomeError, match="500"):
        await sandbox.find("or_1")
    assert await status_of(sandbox) is Status.AUTHORIZED
    with pytest.raises(RefusedError, match="told to refuse"):
        await sandbox.capture(charge(), "sb_or_1")
    assert await status_of(sandbox) is Status.AUTHORIZED
    await sandbox.capture(charge(), "sb_or_1")
    with pytest.raises(UnknownOutcomeError, match="cut"):
        await sandbox.refund("sb_or_1", "rf_1", 50)
    await sandbox.refund("sb_or_1", "rf_1", 50)
    found = await sandbox.find("or_1")
    assert found is not None
    assert found.refunded == 50
    till.knobs = Knobs(decline="Not today.")
    assert await sandbox.authorize(charge(order="or_2")) == Declined("Not today.")
    assert await sandbox.authorize(charge()) == Authorized("sb_or_1")
    assert (await buyer.put("/admin/knobs", headers=KEY, json={"dellay_ms": 1})).status_code == 422
    assert (await buyer.get("/admin/knobs", headers=KEY)).json()["decline"] == "Not today."
    assert (await buyer.delete("/admin/payments/or_1", headers=KEY)).status_code == 204
    assert await sandbox.find("or_1") is None
    assert (await buyer.delete("/admin/payments", headers=KEY)).status_code == 204
    assert await sandbox.find("or_2") is None
