"""Sharded channels of a whole cluster: one subscription per node that owns any of them, read as one.

A node that fails, or is found deaf, costs the others nothing: its channels are asked for anew, at whoever owns them by
then. So are those of a slot that moves. Each time a channel is confirmed once more, which tells the reader that
messages may have been missed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import structlog
from redis.exceptions import MovedError, RedisError

from server import metrics
from server.errors import Problem
from server.store.cluster import Cluster
from server.store.redis import reaching
from server.store.slots import LOOK_PAUSE_SECONDS, slot_of
from server.store.subscription import WHAT, Subscription, is_sign

if TYPE_CHECKING:
    from types import TracebackType

    from server.store.redis import Redis
    from server.store.slots import Address
    from server.store.subscription import Push

SIGN_SECONDS = 2.0  # between two signs of life that a node is asked for
DEAF_SECONDS = 6.0  # a node that says nothing for so long is deaf
RETRY_SECONDS = 0.5
MOST_PUSHES = 1000  # that wait for the reader; a node that has more keeps them

MOVED_AWAY = b"sunsubscribe"  # what a node says of a channel that nobody has left: its slot is elsewhere now
FAILURES = (RedisError, Problem, OSError)

log = structlog.get_logger(__name__)


def listening(subscriber: Redis) -> Subscription | Subscriptions:
    """Return what hears sharded channels through this client, one server's or a cluster's: to be opened."""
    return Subscriptions(subscriber) if isinstance(subscriber, Cluster) else Subscription(subscriber)


class Subscriptions:
    """As `Subscription`, for all nodes of a cluster; it mends itself, so `read` has no failure to tell."""

    def __init__(self, subscriber: Cluster) -> None:
        self._slots = subscriber.slots
        self._wanted: set[bytes] = set()
        self._ears: dict[Address, Ear] = {}
        self._pushes: asyncio.Queue[Push] = asyncio.Queue(MOST_PUSHES)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._tasks.add(asyncio.create_task(self._ask_for_signs()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def hear(self, *channels: bytes) -> None:
        """Ask for channels; each is heard from its confirmation on, which comes through `read`, also when repeated."""
        self._wanted.update(channels)
        await self.settle(*channels)

    async def leave(self, *channels: bytes) -> None:
        """Ask to hear channels no longer; messages that are under way still come."""
        self._wanted.difference_update(channels)
        for channel in channels:
            for ear in list(self._ears.values()):
                await ear.leave(channel)

    async def read(self) -> Push:
        """Return what comes next: waits without limit, and not at all for what has been received already."""
        return self._pushes.get_nowait() if not self._pushes.empty() else await self._pushes.get()

    async def take(self, push: Push) -> None:
        """Take what a node said."""
        await self._pushes.put(push)

    async def settle(self, *channels: bytes) -> None:
        """Ask for channels where they belong, if they are still wanted."""
        for channel in channels:
            try:
                with reaching(WHAT):
                    home = await self._slots.owner(slot_of(channel))
            except Problem:  # nobody knows: whoever is asked in error says so, and it is settled again
                home = self._slots.steadiest()
            if channel in self._wanted:
                await self._ear(home).hear(channel)

    def _ear(self, address: Address) -> Ear:
        if address not in self._ears:
            self._ears[address] = ear = Ear(self, address, self._slots.node(address))
            task = asyncio.create_task(self._keep(address, ear))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._ears[address]

    async def _keep(self, address: Address, ear: Ear) -> None:
        """Listen to a node, anew after every failure, until nothing is wanted of it any more."""
        while True:
            try:
                await ear.listen()
            except FAILURES as error:
                log.warning("subscription.node_lost", reason=type(error).__name__)
            except Exception:  # a bug costs this node's channels half a second, and no other's
                log.exception("subscription.node_failed")
            metrics.EARS_LOST.inc()
            await asyncio.sleep(RETRY_SECONDS)
            await self.unsettle(address, ear.channels)
            if not ear.channels:
                del self._ears[address]
                return

    async def unsettle(self, address: Address, channels: set[bytes]) -> None:
        """Ask anew for channels that were a node's: they may have another owner now."""
        self._ears[address].channels = self._ears[address].channels - channels
        self._slots.failed(address)
        await self.settle(*channels)

    async def _ask_for_signs(self) -> None:
        while True:
            await asyncio.sleep(SIGN_SECONDS)
            for ear in list(self._ears.values()):
                await ear.ask_for_sign()


class Ear:
    """One node's subscription, while there is one, and the channels that are wanted of it."""

    def __init__(self, owner: Subscriptions, address: Address, node: Redis) -> None:
        self._owner = owner
        self._address = address
        self._node = node
        self._subscription: Subscription | None = None
        self.channels: set[bytes] = set()

    async def hear(self, channel: bytes) -> None:
        """Ask for a channel, now or once there is a subscription."""
        self.channels.add(channel)
        if self._subscription is not None:
            with suppress(*FAILURES):  # it is lost: the next one asks for all channels
                await self._subscription.hear(channel)

    async def leave(self, channel: bytes) -> None:
        """Ask for a channel no longer."""
        if channel in self.channels:
            self.channels.discard(channel)
            if self._subscription is not None:
                with suppress(*FAILURES):
                    await self._subscription.leave(channel)

    async def ask_for_sign(self) -> None:
        """Let the node say that it lives."""
        if self._subscription is not None:
            with suppress(*FAILURES):
                await self._subscription.ask_for_sign()

    async def listen(self) -> None:
        """Hear until the connection is lost or what was asked is refused; TimeoutError where no sign of life comes."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEAF_SECONDS) as patience, Subscription(self._node) as subscription:
            self._subscription = subscription
            try:
                for channel in list(self.channels):  # one by one: of several slots together they are refused
                    await subscription.hear(channel)
                while True:
                    try:
                        push = await subscription.read()
                    except MovedError as moved:
                        await asyncio.sleep(LOOK_PAUSE_SECONDS)  # until the map can be new
                        await self._unsettle(moved.slot_id)
                        continue
                    if is_sign(push):
                        patience.reschedule(loop.time() + DEAF_SECONDS)
                    elif push[0] == MOVED_AWAY and push[1] in self.channels:
                        await self._unsettle(slot_of(push[1]))
                    else:
                        await self._owner.take(push)
            finally:
                self._subscription = None

    async def _unsettle(self, slot: int) -> None:
        moved = {channel for channel in self.channels if slot_of(channel) == slot}
        await self._owner.unsettle(self._address, moved)
