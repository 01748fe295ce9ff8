"""Leaving at any moment: the `async with` ends when it is told to, and nothing of it runs on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from server.client import LiveDrop, LiveDropError, credential
from tests.browser.cable import Cable
from tests.client.test_show import client
from tests.client.wires import URL, Exchange, FakeWire, friendly, welcome

if TYPE_CHECKING:
    from tests.stage import Stage

TURNS = 24  # of the loop, from entering to a program in the middle of its work
LEAVE_SECONDS = 5.0


async def use(live: LiveDrop) -> None:
    """Be a program that waits for several things at once."""
    async with live, asyncio.TaskGroup() as group:
        group.create_task(live.reserve("dr_a_b"))
        async for _message in live:
            await live.react("heart")


async def read(live: LiveDrop) -> list[dict[str, Any]]:
    """Return all that can be read."""
    return [message async for message in live]


async def left(task: asyncio.Task[None]) -> None:
    """Cancel a task; it must end by that, and leave none behind."""
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=LEAVE_SECONDS)
    assert done, "it does not end"
    assert task.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("turns", range(TURNS))
async def test_cancelled_at_any_turn_of_the_loop(turns: int) -> None:
    """Before hello, before the welcome, while asking, while reading, while away: cancelled means over."""
    connections = iter(range(10))

    def play(wire: FakeWire, message: dict[str, str]) -> None:
        friendly(wire, message)
        if message["type"] == "hello" and next(connections) == 0:
            wire.close(1006)

    task = asyncio.create_task(
        use(LiveDrop(URL, "sh_a", "token", chance=lambda: 0.0, dial=Exchange(play).dial))
    )
    for _ in range(turns):
        await asyncio.sleep(0)
    await left(task)


async def stubborn() -> str:
    """Return a token even when told to stop: what `asyncio.wait_for` could do before Python 3.12."""
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        return "token"
    return "late"


async def test_a_token_function_that_swallows_the_cancellation() -> None:
    """A function of the program's own that goes on when told to stop cannot keep the client."""
    task = asyncio.create_task(use(LiveDrop(URL, "sh_a", stubborn, dial=Exchange(friendly).dial)))
    for _ in range(5):
        await asyncio.sleep(0)
    await left(task)


async def test_without_the_guard_it_would_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without a look at the cancellations the client runs on."""
    monkeypatch.setattr(credential, "_cancellations", lambda: 0)
    monkeypatch.setattr(f"{__name__}.LEAVE_SECONDS", 0.2)
    exchange = Exchange(friendly)
    task = asyncio.create_task(use(LiveDrop(URL, "sh_a", stubborn, dial=exchange.dial)))
    for _ in range(5):
        await asyncio.sleep(0)
    with pytest.raises(AssertionError, match="does not end"):
        await left(task)
    assert exchange.hellos
    everything = asyncio.all_tasks() - {asyncio.current_task()}
    for each in everything:
        each.cancel()
    await asyncio.wait(everything)


async def test_leaving_a_network_that_does_not_answer(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The goodbye of a dead network is not waited for: leaving takes no longer than its own limit."""
    monkeypatch.setattr("server.client.wire.CLOSE_SECONDS", 0.3)
    async with Cable(stage.server.port) as cable:
        async with client(stage, url=cable.url) as live:
            cable.lose_answers()
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 3
        assert live.connection.state == "ended"


async def test_who_waits_for_an_answer_is_told_when_it_is_over() -> None:
    """Operations that wait when the `async with` ends are answered with `unavailable`; iterations end."""
    async with LiveDrop(URL, "sh_a", "token", dial=Exchange(friendly).dial) as live:
        asking = asyncio.create_task(live.reserve("dr_a_b"))
        reading = asyncio.create_task(read(live))
        await asyncio.sleep(0)
    with pytest.raises(LiveDropError) as over:
        await asking
    assert over.value.unknown
    assert [message["type"] for message in await reading] == ["welcome"]


async def test_who_has_left_asks_for_nothing_more(stage: Stage) -> None:
    """After the end neither an operation nor a request is made."""
    async with client(stage) as live:
        await live.request("GET", f"/v1/shows/{stage.show}")
    for late in (live.reserve("dr_a_b"), live.request("GET", f"/v1/shows/{stage.show}")):
        with pytest.raises(LiveDropError) as refused:
            await late
        assert refused.value.code == "unavailable"


async def test_a_bug_is_not_hidden() -> None:
    """A server that breaks the protocol in a way nobody thought of ends the client loudly."""
    seen: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["message"]))

    def play(wire: FakeWire, _message: dict[str, str]) -> None:
        senseless = welcome(0)
        del senseless["epoch"]
        wire.say(senseless)

    with pytest.raises(KeyError):
        async with LiveDrop(URL, "sh_a", "token", dial=Exchange(play).dial):
            pass
    assert seen == ["A LiveDrop has failed."]
