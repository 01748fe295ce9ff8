"""The process that walks an order dies by SIGKILL at every act of every step, and after every answer of each.

The places are read off the saga's own table. Whoever comes next finds the record, and finishes or undoes the order: the
units are sold or back, the ledger agrees, and the money has moved once or not at all.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from server import ids
from server.checkout.steps import BEGINS, TABLE, Heard, Step
from server.errors import Code, Problem
from server.ledger.database import Ledger
from server.payments.provider import Status
from server.store.embedded import Embedded
from tests.checkout.buying import balanced, ledger, record, request, resume, state, stock
from tests.faults.ways import Leg, Way, ways
from tests.houses import house_at
from tests.server import ServerProcess
from tests.till import Till, share

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.app import House
    from server.checkout.saga import Request

UNITS = 2  # of the drop: the buyer's, or those of who took them meanwhile
WAYS = ways()
pytestmark = pytest.mark.asyncio(loop_scope="module")
STEPS = [way for way in WAYS if way.heard is None and BEGINS[way.step] is way.act]


@dataclass(slots=True)
class Undertaker:
    """The process whose children die."""

    process: subprocess.Popen[str]

    def send(self, job: dict[str, object]) -> int:
        """Let a child do a job and return its exit code."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def undertaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undertaker]:
    environment = ServerProcess(tmp_path_factory.mktemp("crashes")).environment()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.dying"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    yield Undertaker(process)
    process.communicate(timeout=10)
    assert process.returncode == 0


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Give the house in which others go on with what the dead left."""
    folder = tmp_path_factory.mktemp("crashes")
    with Embedded.start(folder) as store:
        async with house_at(store.url, folder / "data") as house:
            yield house


def runs(way: Way) -> list[list[Leg]]:
    """Return what each process does on a way: one ends where it dies, and where nothing is left to do for now."""
    last = Leg(way.step, way.act, way.heard)
    legs, done = [*way.legs, last], [0]
    for at, (leg, following) in enumerate(pairwise(legs), 1):
        if leg.heard is None or (leg.heard is Heard.DONE and following.step is Step.ACTING):
            done.append(at)
    return [legs[begin:end] for begin, end in pairwise([*done, len(legs)])]


async def die_on(way: Way, undertaker: Undertaker, house: House) -> tuple[Request, Till]:
    """Let one process after the other go the way with a new order; the last one dies at its end."""
    journal = house.settings.data / f"journal {ids.secret(6)}"
    till = Till(journal)
    share(till, house)
    one = await request(house, quantity=UNITS)
    for number, legs in enumerate(runs(way)):
        last = number == len(runs(way)) - 1
        told = [[leg.act, leg.heard or "", ""] for leg in legs]
        if last:
            told[-1][2] = "dies"
        job = {
            "url": house.settings.redis_url,
            "data": str(house.settings.data),
            "journal": str(journal),
            "request": asdict(one),
            "resumes": number > 0,
            "legs": told,
        }
        dies = last or legs[-1].heard is None
        assert undertaker.send(job) == (-signal.SIGKILL if dies else 0), f"{way.name}: {legs}"
    return one, till


async def come_to_an_end(house: House, till: Till, one: Request) -> None:
    """Let workers come by; a buyer who has to act, or a provider that thinks, says yes at last."""
    await resume(house, one)
    left = await record(house, one)
    if left is not None and left["step"] in {Step.CLAIMED, Step.ACTING}:
        till.say(one.order, Status.AUTHORIZED)
        await resume(house, one)


async def all_is_well(house: House, till: Till, one: Request, way: Way) -> None:
    """Assert that the order is where it should be, and that units, books and money agree."""
    left = await record(house, one)
    assert left is None or left["step"] == "undone"
    assert till.captures[one.order] <= 1
    assert await balanced(house, one.show)
    if not way.undone:
        assert await ledger(house, one) == ("paid", "captured")
        assert await stock(house, one) == (0, 0, UNITS)
        assert till.captured == {one.order}
        return
    unheard = (Step.CLAIMED, Heard.NO)  # its own caller was to hear of it, and nobody else
    assert await ledger(house, one) in [("cancelled", "voided"), ("", "")]
    assert await ledger(house, one) != ("", "") or unheard in {(leg.step, leg.heard) for leg in way.legs}
    assert one.order in till.of(Status.VOIDED, Status.DECLINED) or till.asked("refunded", one.order)
    back = Step.REFUSED is way.step or (way.step, way.heard) == (Step.COMMITTED, Heard.REFUSED)
    assert await stock(house, one) == ((UNITS, 0, 0) if back else (0, UNITS, 0))
    assert await state(house, one) == ("released" if back else "expired" if way.lost else "held")


@pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])
async def test_killed_anywhere(way: Way, undertaker: Undertaker, shop: House) -> None:
    """Killed here, an order is finished or undone by the next who comes: once, and nothing is left over."""
    one, till = await die_on(way, undertaker, shop)
    await come_to_an_end(shop, till, one)
    await all_is_well(shop, till, one, way)
    await come_to_an_end(shop, till, one)  # another worker who comes late finds nothing to do
    await all_is_well(shop, till, one, way)


@contextmanager
def a_store(folder: Path) -> Iterator[list[Embedded]]:
    """Give a store that can be killed; whoever takes its place stands in the list."""
    held = [Embedded.start(folder, "always")]
    try:
        yield held
    finally:
        held[0].stop()


def kill(held: list[Embedded], folder: Path) -> None:
    """Kill the store and start it again on its data."""
    assert held[0].pid is not None
    os.kill(held[0].pid, signal.SIGKILL)
    held[0].stop()
    held[0] = Embedded.start(folder, "always")


async def test_the_store_is_killed_too(undertaker: Undertaker, tmp_path: Path) -> None:
    """At each step the process dies and the store with it: what was acknowledged is there again, and it goes on."""
    with a_store(tmp_path / "store") as held:
        async with house_at(held[0].url, tmp_path / "data") as house:
            dead = [(way, await die_on(way, undertaker, house)) for way in STEPS]
        kill(held, tmp_path / "store")
        async with house_at(held[0].url, tmp_path / "data") as house:
            for way, (one, till) in dead:
                share(till, house)
                assert (await record(house, one))["step"] == way.step
                await come_to_an_end(house, till, one)
                await all_is_well(house, till, one, way)


@pytest.mark.parametrize("way", STEPS, ids=[way.step for way in STEPS])
async def test_the_ledger_refuses(
    way: Way, undertaker: Undertaker, shop: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the ledger takes nothing the order stays at the step that needs it; then it goes on by itself."""
    one, till = await die_on(way, undertaker, shop)
    with monkeypatch.context() as patch:

        async def down(*_args: object) -> None:
            raise Problem(Code.UNAVAILABLE, "the ledger does not answer")

        patch.setattr(Ledger, "write", down)
        await come_to_an_end(shop, till, one)
        left = await record(shop, one)
        assert left["step"] in {Step.FINALIZED, Step.COMMITTED, Step.UNDOING, Step.REFUSED}
        assert await balanced(shop, one.show)
    await come_to_an_end(shop, till, one)
    await all_is_well(shop, till, one, way)


async def test_a_worker_that_forgets_to_look_is_found(undertaker: Undertaker, shop: House) -> None:
    """Negative control: where nobody comes after the dead process, the same look finds what it left behind."""
    way = next(way for way in STEPS if way.step is Step.AUTHORIZED)
    one, till = await die_on(way, undertaker, shop)
    with pytest.raises(AssertionError):
        await all_is_well(shop, till, one, way)
    await come_to_an_end(shop, till, one)
    await all_is_well(shop, till, one, way)


async def test_every_act_is_killed_before_and_after_each_answer() -> None:
    """The ways are as many as the table says: nothing is left out."""
    assert len(WAYS) == len(TABLE) + sum(map(len, TABLE.values()))
    assert {way.step for way in STEPS} == set(Step)
