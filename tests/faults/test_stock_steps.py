"""Many operations in one step of the store: what each of their callers hears where the step, or one of them, fails."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from server import ids
from server.store.keys import key
from tests.chaos.books import look
from tests.faults.conftest import a_scene
from tests.flows.named.broken import FORGETFUL, broken
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.client import LiveClient
    from tests.faults.conftest import Scene
    from tests.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEP = b"verbs"  # a word that every step of the inventory holds
OPERATIONS = 8  # in one step
WAITING = 256  # at most
FULL = WAITING // OPERATIONS  # bundles of a step each
CROWD = 20
KNOWN_SECONDS = 12.0  # a place in the line and an answer take five seconds each, at most

Message = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Give a scene whose server makes small steps and has a short line."""
    folder = tmp_path_factory.mktemp("steps")
    line = {"LIVEDROP_BATCH_OPERATIONS": str(OPERATIONS), "LIVEDROP_BATCH_WAITING": str(WAITING)}
    async with a_scene(folder, **line) as one:
        await acquaint(one)
        yield one


async def acquaint(scene: Scene) -> None:
    """Let the store get to know the script, so that a step is one command from here on."""
    async with scene.stage() as stage:
        await stage.reserve(stage.viewer(), await stage.drop(1))


class Asker:
    """One viewer and what they ask for."""

    def __init__(self, stage: Stage, name: str, client: LiveClient) -> None:
        self.stage = stage
        self.name = name
        self.client = client

    async def send(self, *drops: str) -> None:
        """Ask for a unit of a drop, or for a bundle of several, always under the same id, and do not wait."""
        if len(drops) == 1:
            await self.client.send({"type": "reserve", "id": "once", "drop": drops[0], "quantity": 1})
        else:
            items = [{"drop": drop, "quantity": 1} for drop in drops]
            await self.client.send({"type": "bundle", "id": "once", "items": items})

    def answers(self) -> list[Message]:
        """Return the answers so far."""
        return [message for message in self.client.messages if message.get("id") == "once"]

    async def answer(self, number: int = 1) -> Message:
        """Wait for an answer, the first one."""
        await self.client.until(lambda _: len(self.answers()) >= number, KNOWN_SECONDS)
        return self.answers()[number - 1]


@asynccontextmanager
async def askers(stage: Stage, size: int) -> AsyncIterator[list[Asker]]:
    """Give so many viewers."""
    async with AsyncExitStack() as stack:
        names = [f"asker-{number}" for number in range(size)]
        yield [
            Asker(stage, name, await stack.enter_async_context(stage.watching(stage.viewer(name))))
            for name in names
        ]


async def ask_again(crowd: list[Asker], *drops: str) -> list[Message]:
    """Let everybody repeat their id; all of them must be given their units now."""
    for asker in crowd:
        await asker.send(*drops)
    answers = [await asker.answer(number=2) for asker in crowd]
    assert {answer["type"] for answer in answers} <= {"reservation", "bundle"}
    return answers


async def taken(scene: Scene, stage: Stage, drop: str, units: int) -> None:
    """Wait until so many units are held, by a look past the relay."""

    async def held() -> bool:
        return bool((await scene.house.drops.find(stage.show, drop))["held"] == units)

    await wait_for(held, f"{units} units are held")


async def test_a_store_that_stands_still_leaves_nobody_waiting(scene: Scene) -> None:
    """Whoever is in a step or in the line hears `unavailable` in time; the same ids take once when it goes on."""
    async with scene.stage() as stage, askers(stage, CROWD) as crowd:
        drop = await stage.drop(100)
        with scene.store_stopped():
            for asker in crowd:
                await asker.send(drop)
            refused = [await asker.answer() for asker in crowd]
        assert {answer.get("code") for answer in refused} == {"unavailable"}
        await scene.hears()
        await ask_again(crowd, drop)
        assert stage.numbers(await stage.stock(drop)) == (100 - CROWD, CROWD, 0)
        assert all(len(asker.answers()) == 2 for asker in crowd)


async def lost_answers(scene: Scene) -> None:
    """End the connection behind every step until all have given up, then let everybody ask again."""
    async with scene.stage() as stage, askers(stage, CROWD) as crowd:
        drop = await stage.drop(100, limit_per_viewer=2)
        with scene.proxy.severing(STEP):
            for asker in crowd:
                await asker.send(drop)
            refused = [await asker.answer() for asker in crowd]
        assert {answer.get("code") for answer in refused} == {"unavailable"}
        await taken(scene, stage, drop, CROWD)
        await ask_again(crowd, drop)
        numbers = stage.numbers(await stage.stock(drop))
        assert numbers == (100 - CROWD, CROWD, 0), f"{numbers[1]} units were taken"


async def test_a_lost_answer_of_a_step_is_unavailable_to_all_of_it(scene: Scene) -> None:
    """The connection ends behind steps that were carried out: nobody knows it, and every repeat meets its hold."""
    await lost_answers(scene)


async def test_repeats_that_take_again_are_found(tmp_path: Path) -> None:
    """Negative control: where a step does not look whether an id was applied, the same repeats take twice."""
    listed = tmp_path / "faults"
    listed.touch()
    module = "tests.flows.named.broken"
    async with a_scene(tmp_path, module, FAULTS=str(listed), LIVEDROP_BATCH_OPERATIONS="8") as other:
        await acquaint(other)
        with broken(other.server, FORGETFUL):
            await acquaint(other)
            with pytest.raises(AssertionError, match=f"{2 * CROWD} units were taken"):
                await lost_answers(other)


async def test_who_gives_up_takes_nobody_with_them(scene: Scene) -> None:
    """Callers who leave while their operations wait: everybody else is answered, and who left may ask again."""
    async with (
        scene.stage() as stage,
        askers(stage, 1) as (first,),
        httpx.AsyncClient(base_url=scene.server.url, timeout=30) as http,
    ):
        drop = await stage.drop(100)
        tokens = [stage.viewer(f"caller-{number}") for number in range(CROWD)]
        path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"

        async def call(token: str) -> httpx.Response:
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "once"}
            return await http.post(path, headers=headers, json={"quantity": 1})

        with scene.proxy.holding(STEP):
            await first.send(drop)
            await taken(scene, stage, drop, 1)
            calls = [asyncio.create_task(call(token)) for token in tokens]
            await wait_for(lambda: begun(scene, CROWD), "all calls are under way")
            leaving, staying = calls[::2], calls[1::2]
            for each in leaving:
                each.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
        assert (await first.answer())["type"] == "reservation"
        assert {answer.status_code for answer in await asyncio.gather(*staying)} == {201}

        async def known() -> bool:
            answers = await asyncio.gather(*map(call, tokens))
            return {answer.status_code for answer in answers} == {201}

        await wait_for(known, "who left asks again and has their unit")
        assert stage.numbers(await stage.stock(drop)) == (100 - 1 - CROWD, 1 + CROWD, 0)


async def begun(scene: Scene, calls: int) -> bool:
    """Whether so many keyed requests run."""
    found = [each async for each in scene.house.client.scan_iter(key("idempotency", request="*"), count=1000)]
    runs = [await scene.house.client.hget(each, "run") for each in found]
    return sum(run is not None for run in runs) >= calls


async def test_a_full_line_says_so_at_once(scene: Scene) -> None:
    """Beyond the bound nobody waits in silence: `rate-limited`, when to come back, and nothing was sent."""
    async with scene.stage() as stage, askers(stage, 1 + FULL + CROWD) as (first, *crowd):
        drops = [await stage.drop(100) for _ in range(OPERATIONS)]
        with scene.proxy.holding(STEP):
            await first.send(drops[0])
            await taken(scene, stage, drops[0], 1)
            for asker in crowd:
                await asker.send(*drops)
            await wait_for(lambda: sum(bool(each.answers()) for each in crowd) == CROWD, f"{CROWD} are told")
            told = [each for each in crowd if each.answers()]
            for (answer,) in (each.answers() for each in told):
                assert answer["code"] == "rate-limited"
                assert answer["retry_after_ms"] > 0
                assert answer["message"] == (
                    f"{WAITING} operations are waiting in this show already; nothing was sent."
                )
        served = [each for each in crowd if each not in told]
        assert {(await each.answer())["type"] for each in served} == {"bundle"}
        assert stage.numbers(await stage.stock(drops[1])) == (100 - FULL, FULL, 0)
        assert not any(answer["replayed"] for answer in await ask_again(told, *drops))
        assert stage.numbers(await stage.stock(drops[1])) == (100 - FULL - CROWD, FULL + CROWD, 0)
        assert all(len(each.answers()) == (2 if each in told else 1) for each in crowd)


async def test_units_go_in_the_order_of_arrival(scene: Scene) -> None:
    """Over several steps, whoever was read first is awarded first."""
    async with scene.stage() as stage, askers(stage, 2 * CROWD) as crowd:
        drop = await stage.drop(2 * CROWD)
        order = random.sample(crowd, len(crowd))
        with scene.server_stopped():  # what comes meanwhile is read in the order in which it came
            for asker in order:
                await asker.send(drop)
        assert {(await asker.answer())["type"] for asker in order} == {"reservation"}
        picture = await look(scene.house.client, stage.show)
        assert len(picture.awards) >= 2 * CROWD // OPERATIONS
        awarded = [own for _number, own, _units, _rank in picture.awarded()]
        assert awarded == [ids.own_part(stage.show, asker.name, "once") for asker in order]
