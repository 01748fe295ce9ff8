"""Who waits for units that come back: they get them in their order, nobody else, and only while there is an offer."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.flows.named.broken import broken_stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.client import LiveClient
    from tests.server import ServerProcess
    from tests.stage import Stage

QUEUE = 5
NEWCOMERS = 6
PAUSE_SECONDS = 0.02  # between two tries of one newcomer
PATIENCE_SECONDS = 2.0  # until somebody is promoted who should be

Message = dict[str, Any]


async def join(client: LiveClient, drop: str, quantity: int = 1) -> Message:
    """Join a drop's queue and return the answer."""
    answer = await client.request({"type": "waitlist.join", "drop": drop, "quantity": quantity})
    assert answer["type"] == "waitlist", answer
    return answer


async def take(client: LiveClient, drop: str, quantity: int = 1) -> str:
    """Take units and return the reservation."""
    answer = await client.reserve(drop, quantity)
    assert answer["type"] == "reservation", answer
    reservation: str = answer["reservation"]["id"]
    return reservation


def promotions(client: LiveClient, drop: str) -> list[Message]:
    """Return the reservations that a viewer was promoted to, oldest first."""
    told = [message for message in client.messages if message["type"] == "waitlist.promoted"]
    return [message["reservation"] for message in told if message["drop"] == drop]


async def promoted(client: LiveClient, drop: str, times: int = 1) -> Message:
    """Wait until a viewer was promoted so often; return the newest reservation that came of it."""
    got: list[Message] = await client.until(lambda seen: promotions(seen, drop)[times - 1 :])
    return got[0]


async def place(stage: Stage, token: str, drop: str) -> Message:
    """Return a viewer's place as the HTTP door shows it."""
    shown = await stage.call("GET", f"/v1/shows/{stage.show}/drops/{drop}/waitlist", token)
    assert shown.status_code == 200, shown.text
    fields: Message = shown.json()
    return fields


class Queue:
    """A sold-out drop of one unit, whose holder is at the door, and viewers who wait for it."""

    def __init__(self, stage: Stage, stack: AsyncExitStack) -> None:
        self.stage = stage
        self.stack = stack
        self.drop = ""
        self.tokens: list[str] = []
        self.waiting: list[LiveClient] = []

    async def form(self, size: int, **terms: Any) -> str:
        """Let somebody take the only unit and others join; return the holder's reservation."""
        self.drop = await self.stage.drop(1, **terms)
        self.holder = await self.stack.enter_async_context(self.stage.watching())
        held = await take(self.holder, self.drop)
        for number in range(size):
            self.tokens.append(self.stage.viewer())
            self.waiting.append(await self.stack.enter_async_context(self.stage.watching(self.tokens[-1])))
            answer = await join(self.waiting[-1], self.drop)
            assert (answer["position"], answer["length"]) == (number + 1, number + 1)
        return held


async def test_cancel_returns_the_unit(stage: Stage) -> None:
    """Given back, forgotten or declined, a unit goes to the next who waits; with nobody left, back into stock."""
    async with AsyncExitStack() as stack:
        queue = Queue(stage, stack)
        held = await queue.form(3, hold_seconds=3)
        first, second, third = queue.waiting
        await queue.holder.release(held)
        lapsing = await promoted(first, queue.drop)
        assert (lapsing["state"], lapsing["quantity"]) == ("held", 1)
        assert [each["state"] for each in first.reservations.values()] == ["held"]
        given_back = await promoted(second, queue.drop)
        assert given_back["expires_at"] >= lapsing["expires_at"] + 3000
        await second.release(given_back["id"])
        last = await promoted(third, queue.drop)
        numbers = await stage.stock(queue.drop)
        assert (*stage.numbers(numbers), numbers["waitlist_length"]) == (0, 1, 0, 0)
        await third.release(last["id"])
    assert stage.numbers(await stage.stock(queue.drop)) == (1, 0, 0)


async def test_a_place_given_up_takes_no_unit_with_it(stage: Stage) -> None:
    """Who leaves the queue is not promoted; the places behind move up, and the unit goes to the next."""
    async with AsyncExitStack() as stack:
        queue = Queue(stage, stack)
        held = await queue.form(2)
        left = await queue.waiting[0].request({"type": "waitlist.leave", "drop": queue.drop})
        assert (left["type"], left["position"]) == ("waitlist", 0)
        assert (await place(stage, queue.tokens[1], queue.drop))["position"] == 1
        await queue.holder.release(held)
        await promoted(queue.waiting[1], queue.drop)
        assert promotions(queue.waiting[0], queue.drop) == []


async def overtaking(stage: Stage) -> None:
    """Give one unit back again and again while newcomers try to catch it; only who waits may get it, in their order."""
    async with AsyncExitStack() as stack:
        queue = Queue(stage, stack)
        held = await queue.form(QUEUE)
        newcomers = [await stack.enter_async_context(stage.watching()) for _ in range(NEWCOMERS)]
        holder = queue.holder
        for waiting in queue.waiting:
            over = asyncio.Event()
            catching = [asyncio.create_task(catch(newcomer, queue.drop, over)) for newcomer in newcomers]
            await holder.release(held)
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await promoted(waiting, queue.drop)
            over.set()
            assert not any(await asyncio.gather(*catching)), "a newcomer got the unit of somebody who waits"
            assert promotions(waiting, queue.drop), "who has waited longest was not served"
            held, holder = promotions(waiting, queue.drop)[0]["id"], waiting
        assert stage.numbers(await stage.stock(queue.drop)) == (0, 1, 0)


async def catch(newcomer: LiveClient, drop: str, over: asyncio.Event) -> bool:
    """Ask for a unit until it is over; return whether there was one."""
    while not over.is_set():
        if (await newcomer.reserve(drop))["type"] == "reservation":
            return True
        await asyncio.sleep(PAUSE_SECONDS)
    return False


async def test_no_starvation(stage: Stage) -> None:
    """However many press at the moment in which a unit comes back: it goes to who has waited longest."""
    await overtaking(stage)


async def test_units_that_newcomers_catch_are_found(faulty: ServerProcess) -> None:
    """Negative control: where what comes back is simply there again, a newcomer gets it."""
    async with broken_stage(faulty, "nobody is promoted") as stage:
        with pytest.raises(AssertionError, match="a newcomer got"):
            await overtaking(stage)


async def test_a_queue_that_is_served_from_its_end_is_found(faulty: ServerProcess) -> None:
    """Negative control: where who came last is served first, who came first waits in vain."""
    async with broken_stage(faulty, "the newest is served first") as stage:
        with pytest.raises(AssertionError, match="longest was not served"):
            await overtaking(stage)


async def test_who_wants_many_is_not_passed_by_who_wants_few(stage: Stage) -> None:
    """The first in the queue gets what comes back, bit by bit, before anybody behind gets anything."""
    drop = await stage.drop(4, limit_per_viewer=4)
    async with AsyncExitStack() as stack:
        holder, greedy, modest, patient = [
            await stack.enter_async_context(stage.watching()) for _ in range(4)
        ]
        held = [await take(holder, drop, 2), await take(holder, drop, 1), await take(holder, drop, 1)]
        await join(greedy, drop, 3)
        await join(modest, drop)
        await join(patient, drop)
        await holder.release(held[0])
        assert (await promoted(greedy, drop))["quantity"] == 2
        assert (await greedy.request({"type": "waitlist.join", "drop": drop, "quantity": 1}))["position"] == 1
        await holder.release(held[1])
        assert (await promoted(greedy, drop, 2))["quantity"] == 1
        assert promotions(modest, drop) == []
        await holder.release(held[2])
        assert (await promoted(modest, drop))["quantity"] == 1
        assert promotions(patient, drop) == []
    assert stage.numbers(await stage.stock(drop)) == (0, 4, 0)


async def test_a_repeat_in_part_returns_what_its_first_run_gave(stage: Stage) -> None:
    """The same id, asked again after the rest has come too: the first reservation, and nothing more is taken."""
    drop = await stage.drop(2, limit_per_viewer=3)
    async with stage.watching() as holder, stage.watching() as viewer:
        held = await take(holder, drop)
        part = {"type": "reserve", "id": "part", "drop": drop, "quantity": 2, "part": True}
        first = await viewer.request(dict(part))
        assert (first["reservation"]["quantity"], first["waiting"]["position"]) == (1, 1)
        assert (await viewer.request(dict(part)))["reservation"] == first["reservation"]
        await holder.release(held)
        rest = await promoted(viewer, drop)
        assert (rest["quantity"], rest["id"] == first["reservation"]["id"]) == (1, False)
        repeated = await viewer.request(dict(part))
        assert (repeated["reservation"], repeated["replayed"]) == (first["reservation"], True)
    assert stage.numbers(await stage.stock(drop)) == (0, 2, 0)


async def test_who_may_not_have_more_does_not_block_the_queue(stage: Stage) -> None:
    """The first in the queue has reached the show's limit elsewhere: who stands behind is served."""
    made = await stage.host(
        "POST", "/v1/shows", json={"title": "A limited show", "currency": "EUR", "limit_per_viewer": 1}
    )
    show, stage.show = stage.show, made.json()["id"]
    try:
        await stage.host("POST", f"/v1/shows/{stage.show}/start")
        async with AsyncExitStack() as stack:
            queue = Queue(stage, stack)
            held = await queue.form(2)
            other = await stage.drop(1)
            await take(queue.waiting[0], other)
            await queue.holder.release(held)
            await promoted(queue.waiting[1], queue.drop)
            assert promotions(queue.waiting[0], queue.drop) == []
        assert stage.numbers(await stage.stock(queue.drop)) == (0, 1, 0)
    finally:
        stage.show = show


# -- where there is no offer any more


async def close(stage: Stage, drop: str) -> None:
    """Close the drop."""
    await stage.move(drop, "close")


async def pause(stage: Stage, drop: str) -> None:
    """Pause the drop."""
    await stage.move(drop, "pause")


async def pause_show(stage: Stage, _drop: str) -> None:
    """Pause the show."""
    assert (await stage.host("POST", f"/v1/shows/{stage.show}/pause")).status_code == 200


async def unserved(stage: Stage, stop: Callable[[Stage, str], Awaitable[None]]) -> None:
    """Stop a drop while somebody waits, let a unit come back, and see that it stays there."""
    async with AsyncExitStack() as stack:
        queue = Queue(stage, stack)
        held = await queue.form(2)
        await stop(stage, queue.drop)
        await queue.holder.release(held)
        assert stage.numbers(await stage.stock(queue.drop)) == (1, 0, 0)
        signal = await stage.drop(1, opened=False)  # an event behind all that the release could have told
        for waiting in queue.waiting:
            await waiting.until(
                lambda seen: any(each.get("drop", {}).get("id") == signal for each in events(seen))
            )
            assert promotions(waiting, queue.drop) == []


def events(client: LiveClient) -> list[Message]:
    """Return the events that tell of a drop's beginning."""
    return [message for message in client.messages if message["type"] == "drop.scheduled"]


async def test_closed_drop_is_not_served(stage: Stage) -> None:
    """What comes back after the close goes to nobody, however long they have waited."""
    await unserved(stage, close)


async def test_a_closed_drop_that_is_served_is_found(faulty: ServerProcess) -> None:
    """Negative control: where the promotion does not ask whether the drop is open, it serves a closed one."""
    async with broken_stage(faulty, "closed drops are served") as stage:
        with pytest.raises(AssertionError, match=re.escape("(0, 1, 0) == (1, 0, 0)")):
            await unserved(stage, close)


@pytest.mark.parametrize(("stop", "go_on"), [(pause, "drop"), (pause_show, "show")], ids=["drop", "show"])
async def test_a_paused_drop_is_served_when_it_goes_on(
    stage: Stage, stop: Callable[[Stage, str], Awaitable[None]], go_on: str
) -> None:
    """What comes back in a pause waits with those who wait; with the resume the first of them has it."""
    async with AsyncExitStack() as stack:
        queue = Queue(stage, stack)
        held = await queue.form(2)
        await stop(stage, queue.drop)
        await queue.holder.release(held)
        assert stage.numbers(await stage.stock(queue.drop)) == (1, 0, 0)
        if go_on == "drop":
            await stage.move(queue.drop, "resume")
        else:
            assert (await stage.host("POST", f"/v1/shows/{stage.show}/resume")).status_code == 200
        await promoted(queue.waiting[0], queue.drop)
        assert promotions(queue.waiting[1], queue.drop) == []
        assert stage.numbers(await stage.stock(queue.drop)) == (0, 1, 0)


async def test_deleted_offer_makes_no_phantoms(stage: Stage) -> None:
    """A closed drop has no queue any more: no length, no places, nobody who can join, and no limit that they fill."""
    async with AsyncExitStack() as stack:
        queue = Queue(stage, stack)
        await queue.form(3)
        assert (await figures(stage))["waitlist"] >= 3
        before = (await figures(stage))["waitlist"]
        await stage.move(queue.drop, "close")
        assert (await figures(stage))["waitlist"] == before - 3
        assert (await stage.stock(queue.drop))["waitlist_length"] == 0
        for token, waiting in zip(queue.tokens, queue.waiting, strict=True):
            shown = await place(stage, token, queue.drop)
            assert (shown["position"], shown["length"]) == (0, 0)
            async with stage.watching(token) as again:
                assert again.welcome["snapshot"]["waitlist"] == []
            answer = await waiting.request({"type": "waitlist.join", "drop": queue.drop, "quantity": 1})
            assert answer["code"] == "drop-closed"
        other = await stage.drop(3)
        for waiting in queue.waiting:
            await take(waiting, other)


async def figures(stage: Stage) -> Message:
    """Return the show's figures."""
    shown: Message = (await stage.host("GET", f"/v1/shows/{stage.show}/metrics")).json()
    return shown
