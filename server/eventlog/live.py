"""One sharded subscription for all shows of a process: events in order without a gap, live numbers as they come.

Pub/sub may lose messages (a cut connection, an output buffer killed by Redis, a silent network), so it is never
trusted alone. Every event carries its offset: a hole is filled from the log, and a check every few seconds finds
what nobody announced. A process that does not hear its own echo is not ready and subscribes anew. What the log no
longer holds cannot be mended: the listener is told `lost`, and its viewers start over.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import structlog

from server.clock import monotonic
from server.errors import Problem
from server.eventlog import stream
from server.ids import new_gateway
from server.store.keys import key
from server.store.redis import RedisError, reaching

if TYPE_CHECKING:
    from server.store.redis import PubSub, Redis
    from server.store.redis_clock import RedisClock

CHECK_SECONDS = 2.0  # between position checks and echoes
DEAF_SECONDS = 6.0  # without an echo for so long the subscription is made anew
RETRY_SECONDS = 0.5
CONFIRM_SECONDS = 5.0  # a subscription that Redis does not confirm in this time has failed
POLL_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Who is told. Calls come from one task, in order; they must not wait."""

    def event(self, show: str, entry: stream.Entry) -> None:
        """Take the show's next event of the log: offsets are gapless and never repeat."""

    def live(self, show: str, kind: str, name: str, packed: bytes) -> None:
        """Take a live number: `s` stock of drop `name`, `c` viewers, `r` reactions; or `v`, for viewer `name` only."""

    def lost(self, show: str) -> None:
        """Know that events are gone for good: whoever follows the show must start over."""


class Feed:
    """One show's events in order: `place` is the newest that the listener has."""

    def __init__(self, show: str) -> None:
        self.show = show
        self.place: stream.Place | None = None
        self.ready = asyncio.Event()
        self.lock = asyncio.Lock()


class Live:
    """The process' ear. `follow` and `leave` shows; `run` does the listening until it is cancelled."""

    def __init__(self, client: Redis, subscriber: Redis, listener: Listener, clock: RedisClock) -> None:
        self._client = client
        self._subscriber = subscriber
        self._listener = listener
        self._clock = clock
        self._feeds: dict[str, Feed] = {}
        self._pubsub: PubSub | None = None
        self._echo = key("echo", gateway=new_gateway())
        self._heard_at = 0.0
        self._asking = asyncio.Lock()

    @property
    def hears(self) -> bool:
        """Whether the subscription's own echo came back lately."""
        return monotonic() - self._heard_at < DEAF_SECONDS

    async def follow(self, show: str) -> None:
        """Return when the show's events are being received; what happens from now on reaches the listener.

        Raises TimeoutError where Redis does not confirm in time. A show that is gone has no events.
        """
        feed = self._feeds.get(show)
        if feed is None:
            feed = self._feeds[show] = Feed(show)
            await self._ask_for(show)
        async with asyncio.timeout(CONFIRM_SECONDS):
            await feed.ready.wait()

    async def leave(self, show: str) -> None:
        """Stop following a show."""
        if self._feeds.pop(show, None) is not None:
            await self._ask_for(show)

    async def _ask_for(self, show: str) -> None:
        """Subscribe or unsubscribe, as the show is wanted now: whoever came last has decided, in any order."""
        async with self._asking:
            if self._pubsub is not None:
                channel = key("live", show=show)
                with suppress(RedisError):
                    if show in self._feeds:
                        await self._pubsub.ssubscribe(channel)
                    else:
                        await self._pubsub.sunsubscribe(channel)

    async def run(self) -> None:
        """Listen for ever, subscribing anew after every failure."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._check_for_ever())
            while True:
                try:
                    await self._listen()
                except (RedisError, Problem, OSError) as error:
                    log.warning("subscription.lost", reason=type(error).__name__)
                    await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        channels = {key("live", show=show): show for show in self._feeds}
        async with self._subscriber.pubsub() as pubsub:
            await pubsub.ssubscribe(self._echo, *channels)
            self._pubsub = pubsub
            # Shows that came while the subscription was being made.
            late = [key("live", show=show) for show in self._feeds if show not in channels.values()]
            if late:
                await pubsub.ssubscribe(*late)
            began = monotonic()
            try:
                while monotonic() - max(began, self._heard_at) < DEAF_SECONDS:
                    message = await pubsub.get_message(timeout=POLL_SECONDS)
                    if message is not None:
                        await self._take(message["type"], message["channel"].decode(), message["data"])
            finally:
                self._pubsub = None
        log.warning("subscription.deaf", seconds=DEAF_SECONDS)

    async def _take(self, kind: str, channel: str, data: bytes) -> None:
        if channel == self._echo:
            self._heard_at = monotonic()
            return
        feed = self._feeds.get(_show_of(channel))
        if feed is None:
            return
        if kind == "ssubscribe":
            # From here on nothing of the channel is missed: what the log holds until now is the feed's place.
            await self._catch_up(feed)
        elif kind == "smessage":
            head, _, packed = data.partition(b"\n")
            mark, name = chr(head[0]), head[1:].decode()
            if mark == "e":
                await self._advance(feed, stream.Entry(int(name), packed))
            else:
                self._listener.live(feed.show, mark, name, packed)

    async def _advance(self, feed: Feed, entry: stream.Entry) -> None:
        async with feed.lock:
            if feed.place is None or entry.offset <= feed.place.offset:
                return
            if entry.offset == feed.place.offset + 1:
                self._tell(feed, entry)
                return
        await self._catch_up(feed)

    async def _catch_up(self, feed: Feed) -> None:
        """Bring a feed to the log's top; tell `lost` where events in between are gone."""
        async with feed.lock:
            top = await stream.top(self._client, feed.show)
            if top is None:
                feed.ready.set()
                return
            known, feed.place = feed.place, feed.place or top
            if known is not None and (known.epoch != top.epoch or known.offset > top.offset):
                self._lose(feed, top)
            while feed.place.offset < top.offset:
                entries = await stream.after(self._client, feed.show, feed.place.offset)
                if not entries or entries[0].offset != feed.place.offset + 1:
                    self._lose(feed, top)
                    break
                for entry in entries:
                    self._tell(feed, entry)
            feed.ready.set()

    def _tell(self, feed: Feed, entry: stream.Entry) -> None:
        assert feed.place is not None  # noqa: S101  callers hold the lock and have a place
        feed.place = stream.Place(feed.place.epoch, entry.offset)
        try:
            self._listener.event(feed.show, entry)
        except Exception:
            # Whoever did not get this event must not go on as if they had.
            self._listener.lost(feed.show)
            raise

    def _lose(self, feed: Feed, top: stream.Place) -> None:
        log.warning("position.lost", show=feed.show)
        feed.place = top
        self._listener.lost(feed.show)

    async def _check_for_ever(self) -> None:
        """Send the echo, look at the clock, and whether any log is ahead of what was announced."""
        while True:
            try:
                with reaching("sending the echo"):
                    await self._client.spublish(self._echo, b"echo")
                await self._clock.sync()
                for feed in list(self._feeds.values()):
                    top = await stream.top(self._client, feed.show)
                    if feed.place is not None and top is not None and top != feed.place:
                        await self._catch_up(feed)
            except (RedisError, Problem, OSError) as error:
                log.warning("position.unchecked", reason=type(error).__name__)
            await asyncio.sleep(CHECK_SECONDS)


def _show_of(channel: str) -> str:
    return channel.partition("{")[2].partition("}")[0]
