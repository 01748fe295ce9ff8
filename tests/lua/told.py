"""What a show's channel and log were told while somebody listened."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from server.eventlog import stream
from server.store.answers import unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.store.redis import Redis

END = b"x\nend"  # what a listener waits for: everything before it has been heard

Fields = dict[str, Any]


@dataclass(slots=True)
class Told:
    """What went out: events of the log, live stocks, other live counts, and messages to one viewer."""

    events: list[Fields] = field(default_factory=list)
    stocks: list[Fields] = field(default_factory=list)
    counts: list[Fields] = field(default_factory=list)
    private: list[tuple[str, Fields]] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        """The types of the events, in order."""
        return [event["type"] for event in self.events]

    @property
    def nothing(self) -> bool:
        """Whether nobody was told anything."""
        return not (self.events or self.stocks or self.counts or self.private)

    @property
    def states(self) -> list[tuple[str, str]]:
        """The reservations that their viewers were told of, with their new states."""
        bodies = [body for _, body in self.private if body["type"] == "reservation"]
        return [(body["reservation"]["id"], body["reservation"]["state"]) for body in bodies]


async def read_log(client: Redis, show: str) -> list[tuple[int, bytes]]:
    """Return a show's log: offsets and packed events."""
    return [(entry.offset, entry.packed) for entry in await stream.after(client, show, 0)]


async def top_of(client: Redis, show: str) -> int:
    """Return the offset of a show's newest event, 0 where there is none."""
    place = await stream.top(client, show)
    return place.offset if place else 0


@asynccontextmanager
async def listening(client: Redis, show: str) -> AsyncIterator[Told]:
    """Listen to a show; `told` is filled on the way out.

    Asserts that what was published is, byte by byte, what the log took in, at the next offsets without a gap.
    """
    told, channel = Told(), key("live", show=show)
    before = await top_of(client, show)
    async with client.pubsub() as pubsub:
        await pubsub.ssubscribe(channel)
        yield told
        await client.spublish(channel, END)
        published: list[bytes] = []
        while (message := await pubsub.get_message(timeout=5)) is None or message["data"] != END:
            assert message is not None, "the channel is silent"
            if message["type"] == "smessage":
                published.append(message["data"])
    events = _sorted(published, told)
    fresh = [entry for entry in await read_log(client, show) if entry[0] > before]
    assert events == fresh, "the channel and the log disagree"
    offsets = list(range(before + 1, await top_of(client, show) + 1))
    told.events = [unpacked(packed) for _, packed in fresh]
    assert [offset for offset, _ in fresh] == [event["offset"] for event in told.events] == offsets


def _sorted(published: list[bytes], told: Told) -> list[tuple[int, bytes]]:
    """Sort what was heard by its mark into `told`, and return the events with their offsets."""
    events = []
    for data in published:
        head, _, packed = data.partition(b"\n")
        mark, name = chr(head[0]), head[1:].decode()
        if mark == "e":
            events.append((int(name), packed))
            continue
        body = unpacked(packed)
        if mark == "s":
            assert body["drop_id"] == name
            told.stocks.append(body)
        elif mark == "v":
            told.private.append((name, body))
        else:
            assert (mark, body["type"]) in {("c", "viewers.updated"), ("r", "reactions")}
            told.counts.append(body)
    return events
