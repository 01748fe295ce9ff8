"""A worker process that is killed between sending and writing down: the message comes again, under the same id."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from server.ledger.engines import FILE_NAME
from server.ledger.tables import webhook_deliveries
from server.store.embedded import Embedded
from tests.houses import house_at
from tests.server import ServerProcess
from tests.waiting import wait_for
from tests.webhooks.receiver import Got, Receiver, Say
from tests.webhooks.scene import Scene, local

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

LEAVE_SECONDS = 20.0
WORKS_SECONDS = 40.0  # for a worker to start and to deliver
FIRST = "or_1 0"  # the message that is on its way when the worker dies
KINDS = ("order.paid", "order.fulfilled", "order.refunded")


class Estate:
    """A scene on a ledger and a store that worker processes share."""

    def __init__(self, scene: Scene, data: Path, store: str) -> None:
        self.scene = scene
        self.ledger = data / FILE_NAME
        self._settings = ServerProcess(data, settings={"REDIS_URL": store})

    @contextmanager
    def worker(self, module: str = "server") -> Iterator[subprocess.Popen[bytes]]:
        """Run `livedrop work`; who is not killed leaves in good order."""
        with self._settings.log.open("ab") as log:
            command = [sys.executable, "-m", module, "work"]
            process = subprocess.Popen(command, env=self._settings.environment(), stdout=log, stderr=log)
        try:
            yield process
            if process.returncode is None:
                process.terminate()
                assert process.wait(LEAVE_SECONDS) == 0, self._settings.log.read_text()
        finally:
            process.kill()
            process.wait()

    async def end_leases(self) -> None:
        """Let what a dead worker was sending be anybody's, as a minute later."""
        freed = update(webhook_deliveries).values(leased_until=0)
        await self.scene.ledger.write(lambda connection: connection.execute(freed))


@pytest.fixture
async def estate(tmp_path: Path) -> AsyncIterator[Estate]:
    """Give an estate of its own: what works on it would work on all shows of a shared one."""
    with Embedded.start(tmp_path / "store") as store:
        async with house_at(store.url, tmp_path / "data", database_url="") as house:
            sender = local()
            scene = Scene(house.ledger, sender)
            await scene.open()
            yield Estate(scene, tmp_path / "data", store.url)
            await sender.aclose()


async def killed_in_the_middle(
    estate: Estate, receiver: Receiver, module: str = "server", *, answered: bool
) -> dict[str, Any]:
    """Tell of two orders, kill a worker that has sent the first message, and let another one end it.

    `answered`: the receiver has said 200 and the worker has heard it; nothing can be written down meanwhile. Return the
    endpoint.
    """
    scene = estate.scene
    with closing(sqlite3.connect(estate.ledger, isolation_level=None)) as ledger:

        def answer(got: Got) -> Say:
            if got.id != FIRST:
                return Say()
            if not answered:
                return Say(hold=asyncio.Event())
            ledger.execute("BEGIN IMMEDIATE")
            return Say()

        receiver.answer = answer
        endpoint = await scene.endpoint(receiver.url)
        for kind in KINDS:
            await scene.tell("or_1", kind)
        await scene.tell("or_2")
        await scene.tell("or_2", "order.cancelled")
        with estate.worker(module) as worker:
            await wait_for(
                lambda: FIRST in (receiver.taken if answered else receiver.ids()),
                "it was sent",
                WORKS_SECONDS,
            )
            worker.kill()
            assert worker.wait() == -signal.SIGKILL
        receiver.answer = lambda _got: Say()
    await estate.end_leases()
    with estate.worker(module):

        async def ended() -> bool:
            return set(await scene.states(endpoint["id"])) == {"delivered"}

        await wait_for(ended, "nothing is left to deliver", WORKS_SECONDS)
    return endpoint


def all_taken(estate: Estate, receiver: Receiver) -> None:
    """Assert that the receiver has taken every message, those of one order in their order, repeats in their place."""
    for subject, told in estate.scene.told.items():
        taken = [name for name, _ in groupby(each for each in receiver.taken if each in told)]
        assert taken == told, f"{subject}: taken were {taken}"


@pytest.mark.parametrize("answered", [False, True], ids=["before the answer", "after the answer"])
async def test_what_was_not_written_down_comes_again(
    estate: Estate, receiver: Receiver, *, answered: bool
) -> None:
    """Sent, then SIGKILL, then another worker: the same id and body, signed again; what is later comes after it."""
    endpoint = await killed_in_the_middle(estate, receiver, answered=answered)
    all_taken(estate, receiver)
    first, second = (got for got in receiver.got if got.id == FIRST)
    assert first.content == second.content
    assert first.verified(endpoint["secret"]) == second.verified(endpoint["secret"])
    assert [each for each in receiver.ids() if each in estate.scene.told["or_1"]] == [
        FIRST,
        FIRST,
        "or_1 1",
        "or_1 2",
    ]
    assert await estate.scene.states(endpoint["id"]) == {"delivered": 5}


async def test_what_is_written_down_too_early_is_lost(estate: Estate, receiver: Receiver) -> None:
    """Negative control: a worker that records before it sends has told nobody of the first message, and it is found."""
    await killed_in_the_middle(estate, receiver, "tests.webhooks.forgetful", answered=False)
    assert receiver.ids().count(FIRST) == 1
    with pytest.raises(AssertionError, match="or_1: taken were"):
        all_taken(estate, receiver)
