"""Who owns what in a cluster: its nodes, the map of its slots, when that is read anew, and who is not waited for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    ConnectionError,  # noqa: A004  the library's name for it
    MovedError,
    RedisError,
    SlotNotCoveredError,
    TimeoutError,  # noqa: A004  likewise
)

from server.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redis.asyncio import Redis

LOOK_SECONDS = 1.0  # a node that does not tell the map, or give a sign of life, in this time is passed over
LOOK_PAUSE_SECONDS = 0.1  # between two looks, however many commands fail meanwhile
SIGN_PAUSE_SECONDS = 0.2  # between two questions for a sign of life

Address = tuple[str, int]


def seeds(url: str) -> list[str] | None:
    """Return the plain URLs of the nodes that a cluster's URL names, or None where it is no cluster's.

    A cluster's says so, and may name several nodes: `redis://:secret@one:6379,two:6379?cluster=true`. Whichever
    answers tells of all others. Raises ValueError.
    """
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    user, at, places = parts.netloc.rpartition("@")
    match options.pop("cluster", ["false"])[-1].lower():
        case "true":
            pass
        case "false" if "," in places:
            raise ValueError("The Redis URL names several nodes: of a cluster, then add cluster=true")
        case "false":
            return None
        case _:
            raise ValueError("The Redis URL has an option `cluster` that is neither true nor false")
    if parts.scheme == "unix":
        raise ValueError("The nodes of a cluster have hosts and ports, not a unix socket")
    if {parts.path.strip("/"), *options.get("db", [])} - {"", "0"}:
        raise ValueError("A cluster has one database, 0")
    query = "&".join(option for option in parts.query.split("&") if not option.startswith("cluster="))
    return [urlunsplit(parts._replace(netloc=user + at + place, query=query)) for place in places.split(",")]


def slot_of(key: str | bytes) -> int:
    """Return a key's slot: by its hash tag, where it has one."""
    return key_slot(key.encode() if isinstance(key, str) else key)


def elsewhere(redirection: AskError, asked: Address) -> Address:
    """Return where a node sends us (ASK, MOVED); a host that it does not name is its own."""
    return redirection.host or asked[0], redirection.port


class SlotMap:
    """The map, and a plain client for every node: `make` makes them, `seeds` are asked first for all others.

    It is read at the first need, after a redirection, and before a node is asked again that failed; in between it may
    be wrong, and a node that is asked in error says so. A node that left an answer out is sent nothing until it gives
    a sign of life: otherwise all who work on many shows would wait for it again and again.
    A node that was known once is kept, only its idle connections are closed: there are as many as the cluster ever
    had addresses.
    """

    def __init__(self, seeds: Sequence[Address], make: Callable[[str, int], Redis]) -> None:
        self._make = make
        self._nodes = {
            seed: make(*seed) for seed in seeds
        }  # in the order in which they are asked for the map
        self._owners: list[Address | None] = []  # by slot; empty until somebody has told
        self._listed: list[Address] = []  # primaries, and replicas in touch with theirs, as told last
        self._doubted: set[Address] = set()
        self._silent: dict[Address, float] = {}  # and when each may be asked for a sign of life
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")

    async def aclose(self) -> None:
        """Close the connections to all nodes."""
        await asyncio.gather(*(node.aclose() for node in self._nodes.values()))

    def node(self, address: Address) -> Redis:
        """Return the plain client of a node."""
        if address not in self._nodes:
            self._nodes[address] = self._make(*address)
        return self._nodes[address]

    async def owner(self, slot: int) -> Address:
        """Return who owns a slot, as far as is known; a look at the map comes first where that is in doubt."""
        owner = self._owners[slot] if self._owners else None
        if owner is None or owner in self._doubted:
            await self.look()
            owner = self._owners[slot]
        if owner is None:
            raise SlotNotCoveredError(f"Nobody serves slot {slot}")
        return owner

    async def primaries(self) -> list[Address]:
        """Return all who own slots."""
        if not self._owners:
            await self.look()
        return sorted({owner for owner in self._owners if owner is not None})

    async def everybody(self) -> list[Address]:
        """Return all primaries, and the replicas that are in touch with theirs, as they are now."""
        await self.look()
        return self._listed

    def steadiest(self) -> Address:
        """Return the node whose last failure was the longest ago."""
        return next(iter(self._nodes))

    def failed(self, address: Address, failure: Exception | None = None) -> None:
        """Note that a node failed: it may own its slots no longer."""
        self._doubted.add(address)
        self._nodes[address] = self._nodes.pop(address)
        if isinstance(failure, TimeoutError):
            self._silent[address] = monotonic()

    async def reach(self, address: Address) -> Redis:
        """Return the client of a node that may be sent a command, or raise ConnectionError: then nothing was sent."""
        if address in self._silent and not await self._lives(address):
            self._doubted.add(address)
            raise ConnectionError("A node of the cluster gives no answers; nothing was sent to it")
        return self.node(address)

    async def _lives(self, address: Address) -> bool:
        """Ask a silent node for a sign of life, unless somebody does, or just has."""
        if self._silent[address] > monotonic():
            return False
        self._silent[address] = monotonic() + LOOK_SECONDS + SIGN_PAUSE_SECONDS
        with suppress(RedisError, OSError):  # asyncio's TimeoutError is one, too
            async with asyncio.timeout(LOOK_SECONDS):
                await self.node(address).ping()
            self._silent.pop(address, None)
            return True
        self._silent[address] = monotonic() + SIGN_PAUSE_SECONDS
        return False

    async def moved(self, moved: MovedError, asked: Address) -> None:
        """Note a slot's new owner, and look what else has changed."""
        await self.look()
        self._owners[moved.slot_id] = elsewhere(moved, asked)  # who was asked for the map may not know it yet

    async def look(self) -> None:
        """Read the map anew, unless somebody just has; where nobody tells it the old one stays.

        Where there is no old one either: ConnectionError, or what the last of them said.
        """
        async with self._looking:
            if monotonic() - self._looked_at >= LOOK_PAUSE_SECONDS:
                try:
                    await self._look()
                finally:
                    self._looked_at = monotonic()
        if not self._owners:
            raise ConnectionError("No node of the cluster has told who owns what")

    async def _look(self) -> None:
        failure: Exception | None = None
        for address in list(self._nodes):
            try:
                rows = await self._told_by(address)
            except (RedisError, OSError) as error:  # asyncio's TimeoutError is one, too
                self.failed(address)
                failure = error
            else:
                if rows:  # none: a node that is in no cluster any more
                    self._take(address, rows)
                    await self._leave_others()
                    return
        if failure is not None and not self._owners:
            raise failure

    async def _told_by(self, address: Address) -> list[Any]:
        async with asyncio.timeout(LOOK_SECONDS):
            rows: list[Any] = await self.node(address).execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]  # untyped there
        return rows

    def _take(self, asked: Address, rows: Iterable[Any]) -> None:
        """Take rows of [first slot, last slot, primary, replica …], where a node is [host, port …]."""
        owners: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        listed: set[Address] = set()
        for first, last, *nodes in rows:
            places = [(host.decode() if host else asked[0], port) for host, port, *_ in nodes]
            owners[first : last + 1] = [places[0]] * (last + 1 - first)
            listed.update(places)
        self._owners, self._listed = owners, sorted(listed)
        self._doubted.clear()

    async def _leave_others(self) -> None:
        for address in self._nodes.keys() - self._listed:
            await self._nodes[address].connection_pool.disconnect(inuse_connections=False)
