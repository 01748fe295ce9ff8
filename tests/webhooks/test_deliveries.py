"""Messages reach the endpoints: signed, at least once, in order per subject, each endpoint for itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import true

from server.ledger.tables import webhook_deliveries
from server.webhooks import deliveries, sending
from tests.ledger.conftest import opened
from tests.waiting import wait_for
from tests.webhooks.receiver import Got, Receiver, Say
from tests.webhooks.scene import HOST, SERVICE, Scene, answer_from, out_of_order, settle

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


async def test_a_message_arrives_as_the_standard_wants_it(scene: Scene, receiver: Receiver) -> None:
    """The standard's own library verifies it; id, time, type and data are the outbox's, to the letter."""
    endpoint = await scene.endpoint(receiver.url)
    message = await scene.tell("or_1")
    await settle(scene.worker())
    (got,) = receiver.got
    told = got.verified(endpoint["secret"])
    moment = datetime.fromtimestamp(scene.clock.now / 1000, UTC)
    assert got.id == message
    assert told["type"] == "order.paid"
    assert told["data"] == {"id": "or_1", "note": "Grüße"}
    assert abs(datetime.fromisoformat(told["timestamp"]) - moment).total_seconds() < 0.001
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.headers["content-type"] == "application/json"
    assert await scene.states(endpoint["id"]) == {"delivered": 1}


async def test_who_hears_of_what(scene: Scene, receiver: Receiver) -> None:
    """A service hears of all shows, a host of their own; both only of the types that they named."""
    every, own, some = (
        await scene.endpoint(f"{receiver.url}/every"),
        await scene.endpoint(f"{receiver.url}/own", owner=HOST),
        await scene.endpoint(f"{receiver.url}/some", "order.refunded"),
    )
    for show in ("sh_ann", "sh_bob"):
        await scene.tell(f"or_{show}", "order.paid", show)
        await scene.tell(f"or_{show}", "order.refunded", show)
    await settle(scene.worker())
    heard = {
        path: sorted(got.id for got in receiver.got if got.path == f"/hook/{path}")
        for path in ("every", "own", "some")
    }
    assert heard == {
        "every": ["or_sh_ann 0", "or_sh_ann 1", "or_sh_bob 0", "or_sh_bob 1"],
        "own": ["or_sh_ann 0", "or_sh_ann 1"],
        "some": ["or_sh_ann 1", "or_sh_bob 1"],
    }
    assert every["events"] == own["events"] != some["events"]


async def test_a_show_without_a_known_host_waits_and_then_goes_to_services(
    scene: Scene, receiver: Receiver
) -> None:
    """What nobody knows the host of holds nothing up; after ten minutes those who hear of all are told."""
    await scene.endpoint(f"{receiver.url}/own", owner=HOST)
    await scene.endpoint(f"{receiver.url}/every")
    await scene.tell("or_lost", show="sh_lost")
    await scene.tell("or_1")
    worker = scene.worker()
    await settle(worker)
    assert sorted(receiver.ids()) == ["or_1 0", "or_1 0"]
    scene.clock.move(minutes=11)
    await settle(worker)
    assert [(got.path, got.id) for got in receiver.got[2:]] == [("/hook/every", "or_lost 0")]


def hasty(now: int) -> ColumnElement[bool]:
    """Stand in for what is ready: nobody looks at a subject's earlier messages."""
    rows = webhook_deliveries.c
    return (rows.status == "waiting") & (rows.next_at <= now) & (rows.leased_until <= now) & true()


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "control"])
async def test_a_receiver_that_is_down_for_an_hour_misses_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    """Down for an hour, it gets everything after it, in order per order; another endpoint gets all at once.

    Control: where earlier messages are not looked at, a later one of the same order overtakes.
    """
    if broken:
        monkeypatch.setattr(deliveries, "_ready", hasty)
        monkeypatch.setattr(deliveries, "_hold_back", lambda *_: None)
    plan = {0: ["or_1", "or_2"], 10: ["or_2", "or_3"], 50: ["or_1", "or_3", "or_1"]}
    worker = scene.worker()
    async with Receiver() as well, Receiver() as ill:
        down = await scene.endpoint(ill.url)
        await scene.endpoint(well.url)
        await ill.down()
        for minute in range(105):
            for subject in plan.get(minute, []):
                await scene.tell(subject)
            if minute == 60:
                await ill.up()
            await settle(worker)
            assert len(well.got) == len(scene.everything()), "another endpoint waited"
            if minute < 60:
                assert not ill.got
            scene.clock.move(minutes=1 if minute < 70 else 5)
        everything = sorted(scene.everything())
        assert sorted(ill.ids()) == sorted(well.ids()) == everything
        assert await scene.states(down["id"]) == {"delivered": len(everything)}
        assert out_of_order(scene, well.ids()) == []
        assert bool(out_of_order(scene, ill.ids())) is broken


async def test_a_parked_message_lets_the_next_one_through(scene: Scene) -> None:
    """After the last of ten tries a message is parked, with what was answered; the order's next one is sent."""
    async with Receiver(lambda got: Say(500 if got.id == "or_1 0" else 200)) as receiver:
        endpoint = await scene.endpoint(receiver.url)
        await scene.tell("or_1")
        await scene.tell("or_1")
        worker = scene.worker()
        for _ in range(10):
            await settle(worker)
            scene.clock.move(minutes=27 * 60)
        assert receiver.ids() == ["or_1 0"] * 10 + ["or_1 1"]
        assert len({got.content for got in receiver.got[:10]}) == 1
        newer, older = await answer_from(scene, endpoint["id"])
        assert (newer["status"], newer["attempts"], newer["answer"]) == ("delivered", 1, 200)
        assert (older["status"], older["attempts"], older["answer"]) == ("parked", 10, 500)
        assert older["problem"] == "Answered 500."


async def test_a_redirect_is_a_failure_and_is_not_followed(scene: Scene, receiver: Receiver) -> None:
    """Where it leads to is never asked; the message is tried again where it was."""
    elsewhere = {"location": f"{receiver.url}/elsewhere"}
    receiver.answer = lambda _got: Say(307, elsewhere)
    endpoint = await scene.endpoint(receiver.url)
    await scene.tell("or_1")
    await settle(scene.worker())
    assert [got.path for got in receiver.got] == ["/hook"]
    (log,) = await answer_from(scene, endpoint["id"])
    assert (log["status"], log["answer"], log["attempts"]) == ("waiting", 307, 1)
    assert "redirects are not followed" in log["problem"]
    assert scene.clock.now + 5000 <= log["next_at"] <= scene.clock.now + 5500


async def test_410_disables_until_it_is_enabled_again(scene: Scene, receiver: Receiver) -> None:
    """After 410 nothing is sent or kept; enabled again it hears what is new, and a replay brings the rest."""
    receiver.answer = lambda _got: Say(410)
    endpoint = (await scene.endpoint(receiver.url))["id"]
    worker = scene.worker()
    first = await scene.tell("or_1")
    await settle(worker)
    view = await scene.webhooks.find(SERVICE, endpoint)
    assert view["status"] == "disabled"
    assert "410" in view["reason"]
    assert (view["deliveries"][0]["status"], view["deliveries"][0]["answer"]) == ("parked", 410)
    missed = await scene.tell("or_1")
    await settle(worker)
    assert receiver.ids() == [first]
    receiver.answer = lambda _got: Say()
    enabled = await scene.webhooks.enable(SERVICE, endpoint)
    assert (enabled["status"], "reason" in enabled) == ("enabled", False)
    await scene.tell("or_2")
    await settle(worker)
    assert receiver.ids() == [first, "or_2 0"]
    assert await scene.webhooks.replay(SERVICE, endpoint, 0) == (3, None)
    await settle(worker)
    assert sorted(receiver.ids()[2:]) == sorted([first, missed, "or_2 0"])
    assert out_of_order(scene, receiver.ids()[2:]) == []


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_obeyed(scene: Scene, receiver: Receiver, form: str) -> None:
    """After 429 with Retry-After nothing at all is sent to that endpoint before then; others go on."""
    worker = scene.worker()
    moment = datetime.fromtimestamp(scene.clock.now // 1000 + 600, UTC)
    wish = "600" if form == "seconds" else format_datetime(moment, usegmt=True)
    receiver.answer = lambda _got: Say(429, {"retry-after": wish})
    endpoint = await scene.endpoint(receiver.url)
    await scene.tell("or_1")
    await settle(worker)
    async with Receiver() as other:
        await scene.endpoint(other.url)
        await scene.tell("or_2")
        scene.clock.move(seconds=590)
        await settle(worker)
        assert receiver.ids() == ["or_1 0"]
        assert other.ids() == ["or_2 0"]
        receiver.answer = lambda _got: Say()
        scene.clock.move(seconds=11)
        await settle(worker)
        assert sorted(receiver.ids()) == ["or_1 0", "or_1 0", "or_2 0"]
    assert await scene.states(endpoint["id"]) == {"delivered": 2}


async def test_who_hangs_costs_the_others_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every place for those in trouble taken by receivers that hang, one that answers is served at once."""
    release = asyncio.Event()
    worker = scene.worker()
    async with Receiver(lambda _got: Say(hold=release)) as hanging, Receiver() as well:
        for number in range(18):
            await scene.webhooks.create(SERVICE, f"{hanging.url}/{number}", [])
        await scene.tell("or_1")
        with monkeypatch.context() as patched:
            patched.setattr(sending, "WHOLE_SECONDS", 0.2)
            await settle(worker)
        await scene.webhooks.create(HOST, well.url, [])
        scene.clock.move(minutes=60)
        async with asyncio.TaskGroup() as tasks:
            await worker.step(tasks)

            async def taken() -> bool:
                return await scene.under_way() == 16

            await wait_for(taken, "every place is taken")
            await scene.tell("or_2")
            await worker.step(tasks)
            await wait_for(lambda: well.ids() == ["or_2 0"], "who answers is served")
            await wait_for(taken, "no place was left for another one that hangs")
            release.set()


async def test_who_hangs_is_sent_one_message_at_a_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """To who answers go up to eight at once; to who hung the last time one."""
    monkeypatch.setattr(sending, "WHOLE_SECONDS", 0.2)
    worker = scene.worker()
    async with Receiver(lambda _got: Say(hold=asyncio.Event())) as hanging:
        endpoint = await scene.endpoint(hanging.url)
        for number in range(20):
            await scene.tell(f"or_{number}")
        for expected in (8, 9, 10):
            async with asyncio.TaskGroup() as tasks:
                await worker.step(tasks)
            log = await answer_from(scene, endpoint["id"])
            assert sum(each["attempts"] for each in log) == expected


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "control"])
async def test_two_workers_never_send_the_same_delivery_at_once(
    scene: Scene, migrated_url: str, monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    """Two processes deliver 40 messages to two endpoints, each once. Control: leases that end at once."""
    if broken:
        monkeypatch.setattr(deliveries, "LEASE_MS", 0)
    gate = asyncio.Event()

    def slow(_got: Got) -> Say:
        if len(receiver.got) >= 16:
            gate.set()
        return Say(hold=gate)

    async with Receiver(slow) as receiver, opened(migrated_url) as second:
        for path in ("a", "b"):
            await scene.endpoint(f"{receiver.url}/{path}")
        for number in range(40):
            await scene.tell(f"or_{number % 20}")
        one, two = scene.worker(), scene.worker(second)
        await asyncio.gather(settle(one), settle(two))
        sent = [f"{got.path} {got.id}" for got in receiver.got]
        assert (len(sent) > len(set(sent))) is broken
        for path in ("a", "b"):
            ids = [got.id for got in receiver.got if got.path == f"/hook/{path}"]
            assert broken or out_of_order(scene, ids) == []


async def test_who_dies_before_it_is_written_down_sends_it_again(scene: Scene, receiver: Receiver) -> None:
    """A worker that is killed while the receiver thinks leaves a lease; after it another sends the same id and body."""
    held = asyncio.Event()
    receiver.answer = lambda _got: Say(hold=held)
    endpoint = await scene.endpoint(receiver.url)
    message = await scene.tell("or_1")
    dying = asyncio.create_task(settle(scene.worker()))
    await wait_for(lambda: len(receiver.got) == 1, "it was sent")
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    held.set()
    receiver.answer = lambda _got: Say()
    heir = scene.worker()
    await settle(heir)
    assert len(receiver.got) == 1, "the lease holds"
    scene.clock.move(seconds=61)
    await settle(heir)
    first, second = receiver.got
    assert first.id == second.id == message
    assert first.content == second.content
    assert await scene.states(endpoint["id"]) == {"delivered": 1}


async def test_while_a_secret_is_replaced_both_sign(scene: Scene, receiver: Receiver) -> None:
    """For 24 h a receiver verifies with the old secret or the new one; afterwards with the new one alone."""
    endpoint = await scene.endpoint(receiver.url)
    fresh = await scene.webhooks.rotate(SERVICE, endpoint["id"])
    worker = scene.worker()
    await scene.tell("or_1")
    await settle(worker)
    for secret in (endpoint["secret"], fresh["secret"]):
        receiver.got[0].verified(secret)
    assert len(receiver.got[0].headers["webhook-signature"].split()) == 2
    scene.clock.move(minutes=24 * 60 + 1)
    await scene.tell("or_2")
    await settle(worker)
    assert len(receiver.got[1].headers["webhook-signature"].split()) == 1


async def test_a_replay_sends_what_is_named_again(scene: Scene, receiver: Receiver) -> None:
    """Everything since a moment comes again under its first id, of the types and shows that the endpoint hears of."""
    endpoint = await scene.endpoint(receiver.url, "order.paid", owner=HOST)
    worker = scene.worker()
    await scene.tell("or_1")
    scene.clock.move(minutes=1)
    since = scene.clock.now
    await scene.tell("or_1")
    await scene.tell("or_1", "order.refunded")
    await scene.tell("or_2", show="sh_bob")
    await settle(worker)
    assert receiver.ids() == ["or_1 0", "or_1 1"]
    assert await scene.webhooks.replay(HOST, endpoint["id"], since) == (1, None)
    await settle(worker)
    assert receiver.ids() == ["or_1 0", "or_1 1", "or_1 1"]


async def test_a_long_replay_tells_where_to_go_on(
    scene: Scene, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay is bounded; from the moment it names the next one goes on, and none is left out."""
    endpoint = (await scene.endpoint(receiver.url))["id"]
    for number in range(5):
        await scene.tell(f"or_{number}")
        scene.clock.move(seconds=1)
    worker = scene.worker()
    await settle(worker)
    monkeypatch.setattr(deliveries, "REPLAY_LIMIT", 3)
    count, following = await scene.webhooks.replay(SERVICE, endpoint, 0)
    assert count == 3
    assert following is not None
    assert await scene.webhooks.replay(SERVICE, endpoint, following) == (2, None)
    await settle(worker)
    assert sorted(receiver.ids()) == sorted(2 * scene.everything())


async def test_what_is_old_is_removed(scene: Scene, receiver: Receiver) -> None:
    """After 30 days a message and its deliveries are gone; younger ones stay. Counts are kept meanwhile."""
    endpoint = (await scene.endpoint(receiver.url))["id"]
    worker = scene.worker()
    await scene.tell("or_1")
    await settle(worker)
    scene.clock.move(minutes=29 * 24 * 60)
    young = await scene.tell("or_2")
    await settle(worker)
    scene.clock.move(minutes=2 * 24 * 60)
    await worker.keep()
    assert [each["id"] for each in await answer_from(scene, endpoint)] == [young]
    assert await scene.webhooks.replay(SERVICE, endpoint, 0) == (1, None)


async def test_a_worker_runs_until_it_is_ended(scene: Scene, receiver: Receiver) -> None:
    """Left to itself it finds what is new without being told, and leaves nothing behind when it is cancelled."""
    await scene.endpoint(receiver.url)
    running = asyncio.create_task(scene.worker().run())
    told: list[Any] = [await scene.tell("or_1")]
    await wait_for(lambda: receiver.ids() == told, "the first one is delivered")
    told.append(await scene.tell("or_1"))
    await wait_for(lambda: receiver.ids() == told, "and the next one")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
