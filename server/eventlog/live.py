"""One ear for all shows of a process, on whatever nodes: events in order without a gap, live numbers as they come.

Pub/sub may lose messages (a cut connection, an output buffer killed by Redis, a silent network), so it is never
trusted alone. Every event carries its offset: a hole is filled from the log, and a check every few seconds finds
what nobody announced. A process that does not hear its own echo is not ready and subscribes anew. What the log no
longer holds cannot be mended: the listener is told `lost`, and its viewers start over.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from server import metrics
from server.clock import monotonic
from server.errors import Problem
from server.eventlog import stream
from server.eventlog.feed import Feed, Listener
from server.ids import new_gateway
from server.store.keys import key
from server.store.redis import RedisError, reaching
from server.store.subscriptions import listening

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.store.redis import Redis
    from server.store.redis_clock import RedisClock
    from server.store.subscription import Subscription
    from server.store.subscriptions import Subscriptions

__all__ = ["HISTORY_BYTES", "Listener", "Live"]

HISTORY_BYTES = 256 * 1024  # of events with which following begins
CHECK_SECONDS = 2.0  # between position checks, and between echoes
DEAF_SECONDS = 6.0  # without an echo for so long the subscription is made anew
RETRY_SECONDS = 0.5
CONFIRM_SECONDS = 5.0  # a subscription that Redis does not confirm in this time has failed
CHECK_SHOWS = 200  # whose places are asked for in one round trip

MESSAGE, CONFIRMED = b"smessage", b"ssubscribe"
EVENT = ord("e")  # the mark of an event among what is published
FAILURES = (RedisError, Problem, OSError)

log = structlog.get_logger(__name__)


class Live:
    """The process' ear. `follow` and `leave` shows; `run` does the listening until it is cancelled."""

    def __init__(self, client: Redis, subscriber: Redis, listener: Listener, clock: RedisClock) -> None:
        self._client = client
        self._subscriber = subscriber
        self._listener = listener
        self._clock = clock
        self._feeds: dict[bytes, Feed] = {}  # by channel: what is wanted
        self._asked: dict[bytes, Feed] = {}  # by channel: what the subscription was asked for
        self._others: dict[bytes, tuple[Callable[[bytes], None], Callable[[], None]]] = {}
        self._wants = asyncio.Event()  # the two may differ
        self._doubted: set[Feed] = set()  # to be compared with the log
        self._doubts = asyncio.Event()
        self._subscription: Subscription | Subscriptions | None = None
        self._echo = _new_echo()
        self._echoes = asyncio.Event()  # one is to be sent now
        self._heard_at = -math.inf

    @property
    def hears(self) -> bool:
        """Whether the subscription's own echo came back lately."""
        return monotonic() - self._heard_at < DEAF_SECONDS

    async def follow(self, show: str) -> None:
        """Return when the listener knows where the show stands; what happens from then on reaches them.

        Raises TimeoutError where Redis does not confirm in time. A show that is gone never begins.
        """
        channel = _channel(show)
        feed = self._feeds.get(channel)
        if feed is None:
            feed = self._feeds[channel] = Feed(show, self._listener)
            self._want()
        async with asyncio.timeout(CONFIRM_SECONDS):
            await feed.ready.wait()

    async def leave(self, show: str) -> None:
        """Stop following a show: from here on nothing is told of it."""
        feed = self._feeds.pop(_channel(show), None)
        if feed is not None:
            feed.left = True
            self._want()

    def also(self, channel: bytes, heard: Callable[[bytes], None], confirmed: Callable[[], None]) -> None:
        """Hear one more channel, that of no show; to be said before `run`. Neither function may wait.

        `confirmed` is called whenever the channel is heard from then on, so also after every cut.
        """
        self._others[channel] = heard, confirmed

    async def run(self) -> None:
        """Listen for ever, subscribing anew after every failure."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._echo_for_ever())
            tasks.create_task(self._ask_for_ever())
            tasks.create_task(self._mend_for_ever())
            while True:
                try:
                    await self._listen()
                except TimeoutError:
                    log.warning("subscription.deaf", seconds=DEAF_SECONDS)
                except FAILURES as error:
                    log.warning("subscription.lost", reason=type(error).__name__)
                metrics.EARS_LOST.inc()
                await asyncio.sleep(RETRY_SECONDS)

    # What is heard.

    async def _listen(self) -> None:
        """Hear until the connection is lost; raises TimeoutError when the echo stays away."""
        loop = asyncio.get_running_loop()
        self._echo = _new_echo()  # of another node of a cluster, where the last one's was away
        async with asyncio.timeout(DEAF_SECONDS) as patience, listening(self._subscriber) as subscription:
            try:
                await subscription.hear(self._echo)
                for other in self._others:  # one by one: a cluster has them in different places
                    await subscription.hear(other)
                self._subscription, self._asked = subscription, {}
                self._wants.set()
                while True:
                    kind, channel, data = await subscription.read()
                    if channel == self._echo and kind == MESSAGE:
                        self._heard_at = monotonic()
                        patience.reschedule(loop.time() + DEAF_SECONDS)
                    else:
                        self._hear(kind, channel, data)
            finally:
                self._subscription = None

    def _hear(self, kind: bytes, channel: bytes, data: bytes) -> None:
        feed = self._feeds.get(channel)
        try:
            if channel in self._others:
                self._hear_other(kind, channel, data)
            elif kind == CONFIRMED:
                self._confirm(channel, feed)
            elif kind == MESSAGE and feed is not None:
                self._take(feed, data)
        except Exception:  # a message that nobody understands costs itself; an event is found in the log
            log.exception("message.failed", channel=channel)

    def _hear_other(self, kind: bytes, channel: bytes, data: bytes) -> None:
        heard, confirmed = self._others[channel]
        if kind == CONFIRMED:
            confirmed()
        elif kind == MESSAGE:
            heard(data)

    def _confirm(self, channel: bytes, feed: Feed | None) -> None:
        """From here on a channel is heard: what came before is in the log."""
        if channel == self._echo:
            self._echoes.set()
        elif feed is not None:
            feed.confirmed = True
            self._doubt(feed)
            if feed.place is not None:
                self._listener.heard_anew(feed.show)

    def _take(self, feed: Feed, data: bytes) -> None:
        head, _, packed = data.partition(b"\n")
        if head[0] != EVENT:
            self._listener.live(feed.show, chr(head[0]), head[1:].decode(), packed)
        elif not self._advance(feed, stream.Entry(int(head[1:]), packed)):
            self._doubt(feed)

    def _advance(self, feed: Feed, entry: stream.Entry) -> bool:
        before = feed.place
        unbroken = feed.take(entry)
        if feed.place is not before and entry.at is not None:
            metrics.LOG_LAG_SECONDS.observe(max(0, self._clock.now_ms() - entry.at) / 1000)
        return unbroken

    # What is asked.

    def _want(self) -> None:
        metrics.FOLLOWED_SHOWS.set(len(self._feeds))
        self._wants.set()

    async def _ask_for_ever(self) -> None:
        """Ask the subscription for what is wanted now, many shows at once, whenever that changes."""
        while True:
            await self._wants.wait()
            self._wants.clear()
            if self._subscription is None:
                continue
            asked, self._asked = self._asked, self._feeds.copy()
            # A show that was left and is followed again is asked for again: the new feed needs its confirmation.
            new = [channel for channel, feed in self._feeds.items() if asked.get(channel) is not feed]
            old = [channel for channel in asked if channel not in self._feeds]
            try:
                await self._subscription.hear(*new)
                await self._subscription.leave(*old)
            except FAILURES as error:  # the connection is lost: whoever reads from it makes a new one
                log.warning("subscription.unasked", reason=type(error).__name__)

    async def _echo_for_ever(self) -> None:
        """Send the echo, look at the clock, and doubt every place, for an event may have been lost unannounced."""
        while True:
            try:
                with reaching("sending the echo"):
                    await self._client.spublish(self._echo, b"")
                await self._clock.sync()
            except FAILURES as error:
                log.warning("echo.unsent", reason=type(error).__name__)
            self._doubt(*(feed for feed in self._feeds.values() if feed.confirmed))
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._echoes.wait()
            self._echoes.clear()

    # What is read.

    def _doubt(self, *feeds: Feed) -> None:
        self._doubted.update(feeds)
        self._doubts.set()

    async def _mend_for_ever(self) -> None:
        """Compare doubted places with the log, and bring the listener to its top."""
        while True:
            await self._doubts.wait()
            self._doubts.clear()
            feeds = list(self._doubted)
            self._doubted.clear()
            for start in range(0, len(feeds), CHECK_SHOWS):
                try:
                    await self._mend(feeds[start : start + CHECK_SHOWS])
                except FAILURES as error:
                    log.warning("position.unchecked", reason=type(error).__name__)
                    self._doubt(*feeds[start:])
                    await asyncio.sleep(RETRY_SECONDS)
                    break

    async def _mend(self, feeds: list[Feed]) -> None:
        known = [feed.place for feed in feeds]
        tops = await stream.tops(self._client, [feed.show for feed in feeds])
        for feed, place, top in zip(feeds, known, tops, strict=True):
            try:
                if top is None:
                    feed.ready.set()
                elif isinstance(
                    top, stream.Place
                ):  # otherwise its node is away, and the next check asks again
                    await self._bring(feed, place, top)
            except (Problem, OSError):  # the store cannot say now, of no show
                raise
            except Exception:  # a bug, or a foreign write: one show must not keep the others waiting
                log.exception("position.unmended", show=feed.show)

    async def _bring(self, feed: Feed, known: stream.Place | None, top: stream.Place) -> None:
        """Bring a feed to the log's top, which was asked for when its place was `known`."""
        # Only the place of that time can be compared: what was told since may rightly be ahead of the answer.
        if known is not None and (known.epoch != top.epoch or known.offset > top.offset):
            feed.lose()
        while not feed.left and (feed.place is None or feed.place.offset < top.offset):
            if feed.place is None:
                tail = await stream.tail(self._client, feed.show, HISTORY_BYTES)
                whole = bool(tail) and tail[-1].offset >= top.offset
                place = stream.Place(top.epoch, tail[-1].offset) if whole else top
                feed.begin(place, tail if whole else [])
            else:
                entries = await stream.after(self._client, feed.show, feed.place.offset)
                if not entries or not all(self._advance(feed, entry) for entry in entries):
                    feed.lose()


def _new_echo() -> bytes:
    return key("echo", gateway=new_gateway()).encode()


def _channel(show: str) -> bytes:
    return key("live", show=show).encode()
