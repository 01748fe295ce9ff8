"""Answers of Stripe that do not come, come late, or say nothing: nothing is assumed, and repeats are one payment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from server.clock import now_ms
from server.payments import stripe as module
from server.payments.provider import Authorized, Declined, Status, UnknownOutcomeError
from server.payments.stripe import KEY_MS, Stripe
from tests.payments.charges import LIBRARY_GAP, charge
from tests.payments.stripe_stand_in import KEY
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.payments.stripe_stand_in import StandIn

pytestmark = pytest.mark.filterwarnings(LIBRARY_GAP)

DAY = 24 * 3_600_000


async def reference(stripe: Stripe, name: str = "one") -> str:
    """Authorize a card and return the reference."""
    verdict = await stripe.authorize(charge(name))
    assert isinstance(verdict, Authorized)
    return verdict.reference


async def test_timeout_retry_reuses_the_intent(
    stripe: Stripe, process: Callable[..., Stripe], account: StandIn
) -> None:
    """The answer is lost after the work was done: the repeat meets the same intent, also from another process."""
    account.break_next("create", "lost")
    with pytest.raises(UnknownOutcomeError, match="authorize or_test_"):
        await stripe.authorize(charge())
    assert len(account.intents) == 1
    verdicts = [await stripe.authorize(charge()), await process().authorize(charge())]
    assert verdicts == [Authorized(account.only(charge().order)["id"])] * 2


async def test_a_repeat_without_the_key_is_a_second_payment(
    stripe: Stripe, account: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: without a key of the order, the same lost answer leaves two intents."""
    monkeypatch.setattr(module, "_key", lambda _charge, _step: {})
    account.break_next("create", "lost")
    with pytest.raises(UnknownOutcomeError):
        await stripe.authorize(charge())
    await stripe.authorize(charge())
    assert len(account.of(charge().order)) == 2


@pytest.mark.parametrize(("age", "indexed"), [(KEY_MS + 1, True), (3 * DAY, True), (KEY_MS + 1, False)])
async def test_a_repeat_after_the_key_was_forgotten_reuses_the_intent(
    process: Callable[..., Stripe],
    account: StandIn,
    age: int,
    indexed: bool,  # noqa: FBT001  whether the search knows it
) -> None:
    """Stripe forgets keys after a day: an older order is looked up by its metadata first."""
    made = await reference(process())
    account.forget_keys()
    if indexed:
        account.index()
    later = process(now=lambda: now_ms() + age if indexed else now_ms())
    old = charge(asked_at=now_ms() if indexed else now_ms() - age)
    assert await later.authorize(old) == Authorized(made)
    assert len(account.intents) == 1
    # The control: an order that says it is new is not looked up, and is paid twice.
    assert await later.authorize(charge()) != Authorized(made)


async def test_an_old_order_that_was_never_asked_for_is_asked_for_once(
    stripe: Stripe, account: StandIn
) -> None:
    """Where nothing is found by its metadata, an old order is authorized like a new one."""
    assert isinstance(await stripe.authorize(charge(asked_at=now_ms() - 2 * DAY)), Authorized)
    assert len(account.of(charge().order)) == 1


@pytest.mark.parametrize("fault", ["limited", "lost"])
@pytest.mark.parametrize("call", ["create", "capture", "cancel", "refund"])
async def test_whatever_is_no_answer_is_unknown_and_can_be_repeated(
    stripe: Stripe, account: StandIn, call: str, fault: str
) -> None:
    """A rate limit before the work, a lost answer after it: unknown, and the repeat ends where one call would have."""
    one = charge()
    made = await reference(stripe) if call != "create" else ""
    if call == "refund":
        await stripe.capture(one, made)

    async def ask() -> None:
        match call:
            case "create":
                await stripe.authorize(one)
            case "capture":
                await stripe.capture(one, made)
            case "cancel":
                await stripe.void(one, made)
            case _:
                await stripe.refund(made, "rf_1", 1000)

    account.break_next(call, fault)
    with pytest.raises(UnknownOutcomeError):
        await ask()
    await ask()
    ends = {"create": "requires_capture", "capture": "succeeded", "cancel": "canceled", "refund": "succeeded"}
    assert account.only(one.order)["status"] == ends[call]
    assert len(account.refunds) == (call == "refund")


@pytest.mark.parametrize("fault", ["broken", "half_broken"])
@pytest.mark.parametrize("call", ["capture", "cancel"])
async def test_a_failure_that_is_kept_under_the_key_does_not_stay(
    stripe: Stripe, account: StandIn, call: str, fault: str
) -> None:
    """Stripe replays its own 500 for a day: the repeat sees that it is a replay, and goes by the intent's state."""
    one = charge()
    made = await reference(stripe)
    account.break_next(call, fault)
    ask = stripe.capture if call == "capture" else stripe.void
    with pytest.raises(UnknownOutcomeError, match="Something went wrong"):
        await ask(one, made)
    await ask(one, made)
    assert account.only(one.order)["status"] == {"capture": "succeeded", "cancel": "canceled"}[call]


async def test_a_kept_failure_of_authorize_is_looked_up(stripe: Stripe, account: StandIn) -> None:
    """After a 500 the intent is taken where it was made; else it stays unknown until the key is forgotten."""
    account.break_next("create", "half_broken")
    with pytest.raises(UnknownOutcomeError):
        await stripe.authorize(charge())
    assert await stripe.authorize(charge()) == Authorized(account.only(charge().order)["id"])
    account.break_next("create", "broken")
    for _ in range(2):
        with pytest.raises(UnknownOutcomeError):
            await stripe.authorize(charge("other"))
    account.forget_keys()
    assert isinstance(await stripe.authorize(charge("other", asked_at=now_ms() - DAY)), Authorized)
    assert len(account.of(charge("other").order)) == 1


async def test_a_slow_answer_is_unknown(
    stripe: Stripe, account: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that takes too long is none; while Stripe still works on it, the same key is refused as busy."""
    account.break_next("create", "slow", 0.5)
    with monkeypatch.context() as impatient:
        impatient.setattr(stripe._http, "_timeout", 0.1)
        with pytest.raises(UnknownOutcomeError, match="ReadTimeout"):
            await stripe.authorize(charge())
    with pytest.raises(UnknownOutcomeError, match="In use"):
        await stripe.authorize(charge())
    await wait_for(lambda: not account._busy, "Stripe has done its work")
    assert await reference(stripe) == account.only(charge().order)["id"]


async def test_the_whole_call_is_bounded(
    stripe: Stripe, account: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many answers a call needs, it ends within its time."""
    monkeypatch.setattr("server.payments.stripe_answers.CALL_SECONDS", 0.1)
    account.break_next("create", "slow", 0.4)
    with pytest.raises(UnknownOutcomeError, match=r"did not answer to authorize or_test_\w+ in 0.1 s"):
        await stripe.authorize(charge())


@pytest.mark.parametrize("base", ["http://127.0.0.1:1", ""])
async def test_nobody_there_or_the_wrong_key(process: Callable[..., Stripe], base: str) -> None:
    """No connection and a key that Stripe does not take are no decline: what is repaired can be repeated."""
    with pytest.raises(UnknownOutcomeError):
        await process("sk_test_wrong", base).authorize(charge())


async def test_another_way_back_is_the_same_payment(
    stripe: Stripe, process: Callable[..., Stripe], account: StandIn
) -> None:
    """The same order asked in other words (another page to return to) is not another payment, and not a decline."""
    made = await reference(stripe)
    assert await process().authorize(charge(return_url="https://shop.example/other")) == Authorized(made)
    assert len(account.intents) == 1


async def test_another_amount_is_not_taken_for_the_same(stripe: Stripe) -> None:
    """A payment of the order over another amount is neither success nor decline: somebody has to look."""
    await reference(stripe)
    with pytest.raises(
        UnknownOutcomeError, match=r"asks for 2600 EUR, and its payment pi_\d+ is of 2500 EUR"
    ):
        await stripe.authorize(charge(amount=2600))


async def test_a_void_without_a_reference(stripe: Stripe, account: StandIn) -> None:
    """What was made unheard is cancelled; what was not never will be: its key is taken by one that moves nothing."""
    account.break_next("create", "lost")
    with pytest.raises(UnknownOutcomeError):
        await stripe.authorize(charge())
    for name in ("one", "other"):
        await stripe.void(charge(name), "")
        assert account.only(charge(name).order)["status"] == "canceled"
        assert await stripe.authorize(charge(name)) == Declined("The payment was cancelled.")
        payment = await stripe.find(charge(name).order)
        assert payment is not None
        assert payment.status is Status.VOIDED
    await stripe.void(charge("tiny", amount=1), "")
    assert not account.of(charge("tiny").order)


async def test_fifty_at_once_are_one_payment(process: Callable[..., Stripe], account: StandIn) -> None:
    """Whoever asks for one order at the same time, from two processes, makes one intent and captures it once."""
    stripes = [process(), process()]

    async def pay(number: int) -> str:
        stripe = stripes[number % 2]
        while True:
            try:
                verdict = await stripe.authorize(charge())
                assert isinstance(verdict, Authorized)
                await stripe.capture(charge(), verdict.reference)
            except UnknownOutcomeError:
                continue  # busy: the same key is under way
            return verdict.reference

    assert len(set(await asyncio.gather(*(pay(number) for number in range(50))))) == 1
    intent = account.only(charge().order)
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 2500)


async def test_an_answer_that_cannot_be_read(stripe: Stripe, account: StandIn) -> None:
    """An intent without an amount is no answer."""
    made = await reference(stripe)
    del account.intents[made]["amount"]
    with pytest.raises(UnknownOutcomeError, match="cannot be read: Object missing required field `amount`"):
        await stripe.find(charge().order)


async def test_the_stand_in_refuses_what_stripe_refuses(account: StandIn) -> None:
    """The stand-in itself: other parameters under a key, and the parameter that Stripe took away, are a 400."""
    async with httpx.AsyncClient(base_url=account.url, headers={"Authorization": f"Bearer {KEY}"}) as raw:
        asked = {"amount": "100", "currency": "eur"}
        path, keyed = "/v1/payment_intents", {"Idempotency-Key": "k"}
        first = await raw.post(path, data=asked, headers=keyed)
        again = await raw.post(path, data=asked, headers=keyed)
        other = await raw.post(path, data={**asked, "amount": "101"}, headers=keyed)
        typed = await raw.post(path, data={**asked, "payment_method_types[0]": "card"})
    assert (first.json(), again.headers["idempotent-replayed"]) == (again.json(), "true")
    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")
    assert typed.json()["error"]["code"] == "payment_method_types_no_longer_supported"
