"""`no_fast_path_skips_the_atomic_check`: what a process refuses by itself, it refuses rightly."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.flows.named.broken import BLIND, STUCK, TALKATIVE, broken_stage, second_door
from tests.server import ServerProcess, own_server
from tests.stage import Stage
from tests.waiting import wait_for
from tests.wire import NO_TLS, shared_show, stage_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.client import LiveClient

HIDDEN_SECONDS = 0.25  # for which stock that came back may go unnoticed
STRANGERS = 12
ROUNDS = 5
PAUSE_SECONDS = 0.01  # between two tries of one stranger

Message = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give the server through whose door units come back."""
    with own_server(tmp_path_factory.mktemp("gate"), TALKATIVE) as process:
        yield process


@pytest.fixture(scope="module")
def other(server: ServerProcess) -> Iterator[ServerProcess]:
    """Give another process on the same data and stores, that learns of it from the store alone."""
    process = ServerProcess(server.data, settings=server.settings).start()
    yield process
    assert process.stop() == 0, process.log.read_text()


@pytest.fixture(scope="module")
def show(server: ServerProcess) -> Iterator[str]:
    """Give the module's show."""
    yield from shared_show(server)


@pytest.fixture
async def stage(server: ServerProcess, show: str) -> AsyncIterator[Stage]:
    """Give a stage on it, at the first server's door."""
    async for each in stage_of(server, show):
        yield each


@pytest.fixture
async def elsewhere(other: ServerProcess, show: str) -> AsyncIterator[Stage]:
    """Give a stage on it, at the other server's door."""
    async for each in stage_of(other, show):
        yield each


async def gated(stage: Stage) -> int:
    """Return how many asks a server has refused by itself."""
    shown = (await stage.http.get("/metrics")).text
    count = re.search(r"^livedrop_gated_total (\S+)$", shown, re.MULTILINE)
    return int(float(count[1])) if count else 0


@asynccontextmanager
async def strangers(stage: Stage, size: int = STRANGERS) -> AsyncIterator[list[LiveClient]]:
    """Give viewers who have nothing."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(stage.watching()) for _ in range(size)]


async def refuse(stage: Stage, drop: str, crowd: list[LiveClient]) -> None:
    """Let strangers ask for what is gone, until the server refuses some of them by itself."""
    before = await gated(stage)

    async def shut() -> bool:
        answers = await asyncio.gather(*(stranger.reserve(drop) for stranger in crowd))
        assert {answer.get("code") for answer in answers} == {"out-of-stock"}
        assert {answer["available"] for answer in answers} == {0}
        return await gated(stage) > before

    await wait_for(shut, "the gate is shut")


async def repeats(stage: Stage) -> None:
    """Repeat an id that was applied in the midst of asks that are refused by the gate."""
    drop, holder = await stage.drop(1, waitlist=False), stage.viewer()
    async with stage.watching(holder) as viewer, strangers(stage) as crowd:
        held = (await viewer.reserve(drop, operation="once"))["reservation"]

        async def amid_refusals() -> bool:
            """Repeat it among strangers; tell whether the gate was still shut, which nobody's asking prolongs."""
            await refuse(stage, drop, crowd)
            before = await gated(stage)
            asked = [stranger.reserve(drop) for stranger in crowd]
            asked.insert(STRANGERS // 2, viewer.reserve(drop, operation="once"))
            answers = await asyncio.gather(*asked)
            repeated = answers.pop(STRANGERS // 2)
            assert repeated["type"] == "reservation", f"the repeat was refused: {repeated}"
            assert (repeated["reservation"], repeated["replayed"]) == (held, True)
            assert {answer.get("code") for answer in answers} == {"out-of-stock"}
            return await gated(stage) > before

        for _ in range(ROUNDS):
            await wait_for(amid_refusals, "a repeat comes while the gate is shut")


async def test_a_repeat_meets_its_hold_at_a_shut_gate(stage: Stage) -> None:
    """An id that was applied returns its hold, also while everybody else is refused without a look at the stock."""
    await repeats(stage)


async def test_a_gate_that_refuses_repeats_is_found(faulty: ServerProcess) -> None:
    """Negative control: where the gate does not look who was served before, a repeat hears that all is gone."""
    async with broken_stage(faulty, BLIND) as stage:
        with pytest.raises(AssertionError, match="the repeat was refused"):
            await repeats(stage)


async def test_an_open_gate_awards_nothing(stage: Stage, elsewhere: Stage) -> None:
    """A process that has not heard yet that all is gone asks the store, which has: the last unit goes once."""
    async with strangers(stage, 4) as here, strangers(elsewhere, 4) as there:
        for _ in range(ROUNDS):
            drop = await stage.drop(1, waitlist=False)
            answers = await asyncio.gather(
                *(viewer.reserve(drop) for pair in zip(here, there, strict=True) for viewer in pair)
            )
            assert sorted(answer["type"] for answer in answers) == ["error"] * 7 + ["reservation"]
            assert stage.numbers(await stage.stock(drop)) == (0, 1, 0)


async def hidden(stage: Stage, elsewhere: Stage) -> None:
    """Give a unit back at one door while strangers press at the other: 250 ms later one of them has it."""
    drop = await stage.drop(1, waitlist=False)
    async with strangers(stage, 1) as (holder,), strangers(elsewhere) as crowd:
        last, *pressing = crowd
        for _ in range(ROUNDS):
            held = (await holder.reserve(drop))["reservation"]["id"]
            await refuse(elsewhere, drop, crowd)
            over = asyncio.Event()
            tasks = [asyncio.create_task(press(stranger, drop, over)) for stranger in pressing]
            await holder.release(held)
            await asyncio.sleep(HIDDEN_SECONDS)  # the claim: who asks so much later is not refused in vain
            outcomes = [(last, await last.reserve(drop))]
            over.set()
            outcomes += zip(pressing, await asyncio.gather(*tasks), strict=True)
            taken = [
                (who, answer["reservation"]["id"]) for who, answer in outcomes if "reservation" in answer
            ]
            assert len(taken) == 1, "a unit that had come back was hidden"
            await taken[0][0].release(taken[0][1])


async def press(stranger: LiveClient, drop: str, over: asyncio.Event) -> Message:
    """Ask until it is over, or until there is something; return the last answer."""
    while True:
        answer = await stranger.reserve(drop)
        if over.is_set() or answer["type"] == "reservation":
            return answer
        await asyncio.sleep(PAUSE_SECONDS)


async def test_the_gate_hides_nothing_for_long(stage: Stage, elsewhere: Stage) -> None:
    """A unit that comes back in another process can be taken here 250 ms later."""
    await hidden(stage, elsewhere)


async def test_a_stuck_gate_is_found(faulty: ServerProcess) -> None:
    """Negative control: a gate that believes for a minute, and does not look, hides what came back."""
    async with broken_stage(faulty, STUCK, BLIND) as stage, second_door(stage) as elsewhere:
        with pytest.raises(AssertionError, match="hidden"):
            await hidden(stage, elsewhere)


async def test_restocked_units_pass_the_gate(stage: Stage, elsewhere: Stage) -> None:
    """The restock's own answer opens the gate of every process within 250 ms, for as many as there are."""
    drop = await stage.drop(1, waitlist=False)
    async with strangers(elsewhere) as crowd:
        assert (await crowd[0].reserve(drop))["type"] == "reservation"
        await refuse(elsewhere, drop, crowd[1:])
        await stage.move(drop, "restock", quantity=5)
        await asyncio.sleep(HIDDEN_SECONDS)  # the claim
        answers = await asyncio.gather(*(stranger.reserve(drop) for stranger in crowd[1:]))
        assert sum(answer["type"] == "reservation" for answer in answers) == 5


async def test_without_the_gate_the_store_refuses(tmp_path: Path) -> None:
    """`LIVEDROP_SOLD_OUT_GATE=false`: the same refusals, and none of them is this process' own."""
    with own_server(tmp_path, {"LIVEDROP_SOLD_OUT_GATE": "false", **TALKATIVE}) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
            stage = Stage(server, http)
            await stage.open()
            drop = await stage.drop(1, waitlist=False)
            async with strangers(stage) as crowd:
                assert (await crowd[0].reserve(drop))["type"] == "reservation"
                for _ in range(ROUNDS):
                    answers = await asyncio.gather(*(stranger.reserve(drop) for stranger in crowd[1:]))
                    assert {answer.get("code") for answer in answers} == {"out-of-stock"}
            assert await gated(stage) == 0
