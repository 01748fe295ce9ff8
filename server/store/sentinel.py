"""A client of whichever server is the primary now, by what its sentinels say.

Promise: like the plain client, it lets a command be carried out at most once. A new connection asks who the primary is
and makes sure of it (ROLE) before anything else is sent. Where the sentinels name another one, the connections to the
old one end at once, also where it still lives: who waits for an answer there hears that it is unknown. READONLY says
that nothing was done, and costs its connection. Where no sentinel answers, the primary known last stays.

Left to others: what a primary acknowledged and its successor never got. `workers/recorder.py` finds that.

redis-py's own `Sentinel` trusts the first that answers, and asks when it connects, not while connections live: whoever
stays connected to a primary that was cut off and replaced would go on writing there.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakSet

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import (
    ConnectionError,  # noqa: A004  the library's name for it
    ReadOnlyError,
    RedisError,
)

from server.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import ConnectionPool

MARK = "+sentinel"  # in the URL's scheme
DEFAULT_PORT = 26379
OWN = "sentinel_"  # how the options of the sentinels themselves begin
LOOK_SECONDS = 1.0  # a sentinel that does not answer in this time is passed over
PAUSE_SECONDS = 1.0  # between two looks while all is well
DOUBT_PAUSE_SECONDS = 0.1  # and where the primary is in doubt, however many connections fail meanwhile
ROLE_SECONDS = 3.0

Address = tuple[str, int]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Named:
    """What a URL names: the primary by its name, and its sentinels. From `url` the options of both can be read."""

    name: str
    sentinels: tuple[Address, ...]
    url: str


def named(url: str) -> Named | None:
    """Return what a sentinels' URL names, or None where it is another kind of URL. Raises ValueError.

    `redis+sentinel://user:password@one:26379,two/NAME/0?sentinel_password=…`, or `rediss+sentinel://` where all of them
    speak TLS. User, password and options are the store's; of the sentinels are those that begin with `sentinel_`.
    """
    parts = urlsplit(url)
    scheme, mark, _ = parts.scheme.partition(MARK)
    if not mark:
        return None
    user, at, places = parts.netloc.rpartition("@")
    name, _, database = parts.path.strip("/").partition("/")
    if not name:
        raise ValueError("The Redis URL names sentinels and no primary: it ends with /NAME, theirs for it")
    plain = urlunsplit((scheme, f"{user}{at}primary", f"/{database}", parts.query, ""))
    return Named(name, tuple(_address(place) for place in places.split(",")), plain)


def _address(place: str) -> Address:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError("The Redis URL names a sentinel without a host")
    return parts.hostname, parts.port or DEFAULT_PORT


def parted(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of the store, and those of its sentinels: their own, and all that TLS needs."""
    theirs = {name.removeprefix(OWN): value for name, value in options.items() if name.startswith(OWN)}
    ours = {name: value for name, value in options.items() if not name.startswith(OWN)}
    tls = {name: value for name, value in ours.items() if name.startswith("ssl_")}
    secure = ours.get("connection_class") is SSLConnection
    if secure:
        theirs |= {**tls, "connection_class": SSLConnection}
    ours["connection_class"] = GuidedTLSConnection if secure else GuidedConnection
    return {each: value for each, value in ours.items() if each not in {"host", "port"}}, theirs


class Finder:
    """Knows who the primary is. `sentinels` are plain clients; the connections that it guides end when that changes.

    It looks while anybody connects, and once a second from then on until it is closed.
    """

    def __init__(self, name: str, sentinels: Sequence[Redis]) -> None:
        self.name = name
        self.connections: WeakSet[GuidedConnection] = WeakSet()
        self._sentinels = sentinels
        self._known: Address | None = None
        self._doubted = False
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._watching: asyncio.Task[None] | None = None

    async def address(self) -> Address:
        """Return where the primary is, as far as is known. Raises ConnectionError where no sentinel ever told."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        if self._known is None or self._doubted:
            await self.look()
        if self._known is None:
            raise ConnectionError("No sentinel has told who the primary is")
        return self._known

    def doubt(self) -> None:
        """Note that the primary failed, or is none: who connects next asks first."""
        self._doubted = True

    async def look(self) -> None:
        """Ask the sentinels, unless somebody just has; where none of them tells, what was known stays."""
        async with self._looking:
            if monotonic() - self._looked_at < DOUBT_PAUSE_SECONDS:
                return
            try:
                told = await self._told()
            finally:
                self._looked_at = monotonic()
            if told:
                self._doubted = False
                _epoch, address = max(told)
                self._take(address)

    async def aclose(self) -> None:
        """Look no more, and close the connections to the sentinels."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.gather(*(sentinel.aclose() for sentinel in self._sentinels))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await self.look()
            except Exception:  # a bug must not leave everybody with a primary of the past
                log.exception("sentinel.look_failed")

    async def _told(self) -> list[tuple[int, Address]]:
        """Return (epoch, address) by each sentinel, as soon as most of them have told: the newest epoch is right."""
        asking = [asyncio.create_task(self._told_by(sentinel)) for sentinel in self._sentinels]
        told: list[tuple[int, Address]] = []
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    for each in asyncio.as_completed(asking):
                        answer = await each
                        told += [answer] if answer else []
                        if len(told) * 2 > len(asking):
                            break
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        return told

    async def _told_by(self, sentinel: Redis) -> tuple[int, Address] | None:
        """Return what one sentinel says; None where it does not answer, or does not know of such a primary."""
        try:
            place = await sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)  # type: ignore[no-untyped-call]  # untyped there
            flat = await sentinel.execute_command("SENTINEL", "MASTER", self.name)  # type: ignore[no-untyped-call]  # likewise
        except (RedisError, OSError):
            return None
        if not place:
            return None
        told = dict(zip(flat[::2], flat[1::2], strict=True))
        return int(told[b"config-epoch"]), (place[0].decode(), int(place[1]))

    def _take(self, address: Address) -> None:
        before, self._known = self._known, address
        if before is None or before == address:
            return
        log.warning("sentinel.primary_changed", name=self.name, before=before, now=address)
        for connection in list(self.connections):
            connection.leave_unless(address)


class GuidedConnection(Connection):
    """A connection to whoever is the primary at the time, which the server itself must confirm."""

    def __init__(self, *, finder: Finder, **settings: Any) -> None:
        super().__init__(**settings)
        self._finder = finder
        finder.connections.add(self)

    def leave_unless(self, address: Address) -> None:
        """End it, unless it leads there. It is not closed in good order: somebody may wait for an answer on it."""
        if (self.host, self.port) != address and self._writer is not None:
            self._writer.transport.abort()

    async def _connect(self) -> None:
        self.host, self.port = await self._finder.address()
        try:
            await super()._connect()  # type: ignore[no-untyped-call]  # untyped there
        except OSError:  # asyncio's TimeoutError is one, too
            self._finder.doubt()
            raise

    async def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  the library's
        """Introduce ourselves, and raise ConnectionError where the other side is not the primary (any more)."""
        await super().on_connect_check_health(check_health=check_health)
        await self.send_command("ROLE", check_health=False)
        told = await self.read_response(timeout=ROLE_SECONDS)  # None, where it does not come in time
        if not told or told[0] != b"master":
            self._finder.doubt()
            raise ConnectionError(
                "Who the sentinels call the primary is none, or silent; nothing was sent to it"
            )

    async def read_response(self, *args: Any, **settings: Any) -> Any:
        """Return the next answer; after READONLY, which says that nothing was done, the connection ends."""
        try:
            return await super().read_response(*args, **settings)
        except ReadOnlyError:
            self._finder.doubt()
            self.mark_for_reconnect()  # type: ignore[no-untyped-call]  # untyped there
            raise


class GuidedTLSConnection(GuidedConnection, SSLConnection):
    """The same over TLS."""


class Guided(Redis):
    """The client: plain, but for the connections of its pool, and for what it closes."""

    def __init__(self, finder: Finder, pool: ConnectionPool) -> None:
        self._finder = finder
        super().__init__(connection_pool=pool)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: ARG002, FBT001  the library's
        """Close the connections to the primary and to the sentinels."""
        await self._finder.aclose()
        await self.connection_pool.aclose()
