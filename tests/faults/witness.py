"""Viewers who come back whenever their connection ends, and what must be true of all that they were told.

Promise under test: every event of the log once and in order, or an explicit new start (close 3010, a snapshot).
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from websockets.exceptions import InvalidHandshake

from server.client import ClosedError, LiveClient
from server.errors import CLOSE_POSITION_LOST
from server.protocol.codec import Codec
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.stage import Stage

AGAIN_SECONDS = 0.05  # before a viewer comes back
LONGEST_STAY_SECONDS = 0.6  # of the restless
ABORTED = 0.5  # of their leaves
SETTLED_SECONDS = 30.0

Message = dict[str, Any]


@dataclass(slots=True)
class Stay:
    """One connection: the place it came back to, all that was said, and the server's close code, 0 for none."""

    since: Message | None
    messages: list[Message]
    code: int = 0


def is_event(message: Message) -> bool:
    """Whether a message is an event of the log."""
    return "offset" in message and message["type"] != "welcome"


def count(viewer: LiveClient) -> int:
    """Return how many watch, as a viewer was told last."""
    told = [message["count"] for message in viewer.messages if message["type"] == "viewers.updated"]
    newest: int = told[-1] if told else viewer.welcome.get("snapshot", {}).get("viewers", 0)
    return newest


def complaints(stays: list[Stay]) -> list[str]:
    """Return a sentence for each event that a viewer missed or got twice without being told to start over."""
    found: list[str] = []
    epoch, offset = (
        "",
        -1,
    )  # where the viewer stands; an empty epoch: they were told to start over, or never began
    for stay in stays:
        if not stay.messages:
            continue
        welcome = stay.messages[0]
        if not welcome["recovered"]:
            epoch, offset = welcome["epoch"], welcome["offset"]
            if "snapshot" not in welcome:
                found.append(f"a new start at {offset} without a snapshot")
        elif welcome["epoch"] != epoch or stay.since != {"epoch": epoch, "offset": offset}:
            found.append(f"recovered from {stay.since} although at {epoch} {offset}")
        elif welcome["offset"] != offset + welcome["missed"]:
            found.append(f"{welcome['missed']} missed between {offset} and {welcome['offset']}")
        for message in filter(is_event, stay.messages):
            if message["offset"] != offset + 1:
                found.append(f"{message['offset']} after {offset}")
            offset = message["offset"]
        found += backwards(stay.messages)
        if stay.code == CLOSE_POSITION_LOST:
            epoch = ""
    return found


def backwards(messages: list[Message]) -> Iterator[str]:
    """Yield a sentence for each stock number that is older than one before it, the welcome's own among them."""
    shown = messages[0].get("snapshot", {}).get("drops", ()) if messages else ()
    newest: dict[str, int] = {drop["id"]: drop["revision"] for drop in shown}
    for message in messages:
        if message["type"] == "stock.updated":
            drop, revision = message["drop_id"], message["revision"]
            if revision < newest.get(drop, 0):
                yield f"revision {revision} of {drop} after {newest[drop]}"
            newest[drop] = revision


@dataclass(slots=True)
class Witness:
    """One viewer. A restless one leaves after a short while, now politely, now by falling off the network."""

    stage: Stage
    codec: Codec
    chance: random.Random | None = None  # of the restless
    stays: list[Stay] = field(default_factory=list)
    client: LiveClient | None = None  # while connected
    token: str = ""
    _since: Message | None = None

    @property
    def starts(self) -> int:
        """How often they began with a snapshot."""
        return sum(not stay.messages[0]["recovered"] for stay in self.stays if stay.messages)

    @property
    def codes(self) -> list[int]:
        """How the server ended their connections."""
        return [stay.code for stay in self.stays if stay.code]

    @property
    def events(self) -> list[Message]:
        """All events in the order in which they came."""
        return [message for stay in self.stays for message in filter(is_event, stay.messages)]

    def stands_at(self, epoch: str, offset: int) -> bool:
        """Whether they are connected and have seen the log up to there."""
        return self.client is not None and self.client.place == {"epoch": epoch, "offset": offset}

    async def watch(self) -> None:
        """Watch until cancelled."""
        self.token = self.token or self.stage.viewer()
        while True:
            stay = Stay(self._since, [])
            self.stays.append(stay)
            try:
                await self._stay(stay)
            except ClosedError as closed:
                stay.code = closed.code
            except (InvalidHandshake, OSError, TimeoutError):
                pass  # not taken at the moment
            if stay.code == CLOSE_POSITION_LOST:
                self._since = None
            await asyncio.sleep(AGAIN_SECONDS)

    async def _stay(self, stay: Stay) -> None:
        client = None
        try:
            async with self.stage.watching(self.token, codec=self.codec, since=self._since) as client:
                stay.messages = client.messages
                self.client = client
                await self._sit(client)
        finally:
            self.client = None
            if client is not None:
                self._since = client.place  # as it is now: more may have come while they left

    async def _sit(self, client: LiveClient) -> None:
        try:
            async with asyncio.timeout(self._patience()):
                await client.until(lambda _each: False, seconds=3600)
        except TimeoutError:
            if self.chance is not None and self.chance.random() < ABORTED:
                client._socket.transport.abort()

    def _patience(self) -> float | None:
        return None if self.chance is None else self.chance.random() * LONGEST_STAY_SECONDS


@dataclass(frozen=True, slots=True)
class Crowd:
    """All witnesses of a show: some stay for as long as they may, some come and go."""

    staying: list[Witness]
    restless: list[Witness]

    @property
    def everybody(self) -> list[Witness]:
        """The witnesses."""
        return self.staying + self.restless

    async def settle(self, epoch: str, offset: int) -> None:
        """Let everybody sit down, and wait until they have seen the log up to there."""
        for witness in self.restless:
            witness.chance = None
        for witness in self.everybody:
            await wait_for(
                lambda witness=witness: witness.stands_at(epoch, offset),  # type: ignore[misc]  # bound per turn
                f"everybody stands at {offset}",
                SETTLED_SECONDS,
            )

    def complaints(self) -> list[str]:
        """Return what is wrong with what anybody was told, and where two were not told the same."""
        found = [
            f"viewer {number}: {complaint}"
            for number, witness in enumerate(self.everybody)
            for complaint in complaints(witness.stays)
        ]
        said: dict[int, Message] = {}
        for witness in self.everybody:
            found += [
                f"two stories about {event['offset']}"
                for event in witness.events
                if said.setdefault(event["offset"], event) != event
            ]
        return found


@asynccontextmanager
async def crowd(stage: Stage, staying: int = 12, restless: int = 8) -> AsyncIterator[Crowd]:
    """Give witnesses of a show, in both codecs, once all who stay have been welcomed."""
    codecs = list(Codec)
    seed = random.getrandbits(32)
    one = Crowd(
        [Witness(stage, codecs[number % 2]) for number in range(staying)],
        [Witness(stage, codecs[number % 2], random.Random(seed + number)) for number in range(restless)],  # noqa: S311  moments, no secrets
    )
    tasks = [asyncio.create_task(witness.watch()) for witness in one.everybody]
    try:
        await wait_for(lambda: all(witness.client for witness in one.staying), "everybody is here")
        yield one
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended
