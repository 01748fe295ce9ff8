"""A client of a cluster with the face of the plain one: each command goes to the node that owns its key.

Promise: like the plain client, it lets a command be carried out at most once. A command is sent again only where a
node said that it did not carry it out, and who would (MOVED, ASK). A lost answer, a slot between two nodes (TRYAGAIN)
and one that nobody serves (CLUSTERDOWN) are errors. What befalls one node costs the others nothing: each has a pool
of connections of its own, and only commands for a node in doubt wait for a new map.

redis-py's `RedisCluster` promises less, even with its repeating turned off: one CLUSTERDOWN and each fifth MOVED close
the connections to all nodes under whoever waits for an answer, and ASKING may go out on another connection than the
command that it is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ClusterError,
    ConnectionError,  # noqa: A004  the library's name for it
    MovedError,
    RedisError,
    TimeoutError,  # noqa: A004  likewise
)

from server.store.slots import SlotMap, elsewhere, slot_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.store.slots import Address

REDIRECTIONS = 5  # in a row, and then the cluster is taken to be in disorder
DOUBTFUL = (
    ConnectionError,
    TimeoutError,
    ClusterDownError,
)  # a node that fails so may own its slots no longer

ANYWHERE = frozenset({"INFO", "PING", "TIME"})  # one node's answer is as good as another's
EVERYWHERE = frozenset({"SCRIPT LOAD"})
# About all keys or none: what a single node does about them is not what was meant.
KEYLESS = frozenset({"DBSIZE", "FLUSHALL", "FLUSHDB", "KEYS", "RANDOMKEY", "SCAN", "WAIT"})
SCRIPTS = frozenset({"EVAL", "EVALSHA"})  # name, number of keys, keys

Command = tuple[tuple[Any, ...], Mapping[str, Any]]


class Cluster(Redis):
    """The client. `seeds` are nodes that know the others; `make` returns a plain client of one node.

    Whatever goes through `execute_command` and `pipeline` works; other ways to reach `connection_pool` do not.
    """

    def __init__(self, seeds: Sequence[Address], make: Callable[[str, int], Redis]) -> None:
        self.slots = SlotMap(seeds, make)
        super().__init__(connection_pool=self.slots.node(seeds[0]).connection_pool)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: ARG002, FBT001  the library's
        """Close the connections to all nodes."""
        await self.slots.aclose()

    async def nodes(self) -> list[Redis]:
        """Return a plain client of every node in the cluster: primaries, and replicas in touch with theirs."""
        return [self.slots.node(address) for address in await self.slots.everybody()]

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to whom it belongs and return the answer. Raises ValueError where that is nobody."""
        if args[0] in ANYWHERE:
            return await self._anywhere(args, options)
        if args[0] in EVERYWHERE:
            return await self._everywhere(args, options)
        slot = slot_of(_key(args))
        asking: Address | None = None
        for _ in range(REDIRECTIONS):
            address = asking or await self.slots.owner(slot)
            try:
                if asking:
                    return await self._ask(asking, args, options)
                return await self._send(address, args, options)
            except MovedError as moved:
                asking = None
                await self.slots.moved(moved, address)
            except AskError as ask:
                asking = elsewhere(ask, address)
        raise _disorder()

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:  # noqa: FBT001, FBT002  the library's
        """Return a pipeline that may reach many nodes; a transaction has keys of one slot and reaches one."""
        return Portions(self, self.connection_pool, self.response_callbacks, transaction, shard_hint)

    async def carry_out(self, commands: Sequence[Command]) -> list[Any]:
        """Return each command's answer, or the exception in its place; a node gets all of its own in one go."""
        answers: list[Any] = [None] * len(commands)
        portions: dict[Address, list[int]] = {}
        for number, (args, _options) in enumerate(commands):
            slot = slot_of(_key(args))
            try:
                portions.setdefault(await self.slots.owner(slot), []).append(number)
            except RedisError as error:
                answers[number] = error
        told = await asyncio.gather(
            *(self._portion(address, [commands[each] for each in own]) for address, own in portions.items())
        )
        for own, portion in zip(portions.values(), told, strict=True):
            for number, answer in zip(own, portion, strict=True):
                sent_on = isinstance(answer, AskError)  # and so not carried out; MOVED is one as well
                answers[number] = await self._alone(*commands[number]) if sent_on else answer
        return answers

    async def carry_out_as_one(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out a transaction. Where it raises a node's refusal, nothing was done; across slots: ValueError."""
        slots = {slot_of(_key(args)) for args, _options in commands}
        if len(slots) > 1:
            raise ValueError(f"A transaction with keys of {len(slots)} slots; on a cluster it has one")
        for _ in range(REDIRECTIONS):
            address = await self.slots.owner(*slots)
            try:
                return await self._together(address, commands, transaction=True)
            except MovedError as moved:
                await self.slots.moved(moved, address)
        raise _disorder()

    async def _send(self, address: Address, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        node = await self.slots.reach(address)
        try:
            return await node.execute_command(*args, **options)  # type: ignore[no-untyped-call]  # untyped there
        except DOUBTFUL as failure:
            self.slots.failed(address, failure)
            raise

    async def _ask(self, address: Address, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Send a command to the node that its slot is moving to: ASKING, on the same connection, is for it alone."""
        _, answer = await self._together(address, [(("ASKING",), {}), (args, options)], transaction=False)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _anywhere(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        address = self.slots.steadiest()
        try:
            return await self._send(address, args, options)
        except asyncio.CancelledError:  # it may have been too slow for the caller: the next one asks another
            self.slots.failed(address)
            raise

    async def _everywhere(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Send a command to every primary; those that fail are left out, unless all do."""
        answers = await asyncio.gather(
            *(self._send(address, args, options) for address in await self.slots.primaries()),
            return_exceptions=True,
        )
        for answer in answers:
            if not isinstance(answer, BaseException):
                return answer
        raise answers[0]

    async def _portion(self, address: Address, commands: Sequence[Command]) -> list[Any]:
        try:
            return await self._together(address, commands, transaction=False)
        except RedisError as error:
            return [error] * len(commands)

    async def _together(
        self, address: Address, commands: Sequence[Command], *, transaction: bool
    ) -> list[Any]:
        node = await self.slots.reach(address)
        async with node.pipeline(transaction=transaction) as pipe:
            for args, options in commands:
                pipe.execute_command(*args, **options)
            try:
                answers = await pipe.execute(raise_on_error=False)
            except DOUBTFUL as failure:
                self.slots.failed(address, failure)
                raise
        if any(isinstance(answer, DOUBTFUL) for answer in answers):
            self.slots.failed(address)
        return answers

    async def _alone(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        try:
            return await self.execute_command(*args, **options)
        except RedisError as error:
            return error


class Portions(Pipeline):
    """A pipeline whose commands are sorted by node when they are carried out."""

    def __init__(self, cluster: Cluster, *settings: Any) -> None:
        super().__init__(*settings)
        self._cluster = cluster

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002  the library's
        """Carry the commands out and return their answers in order; of several failures the first is raised."""
        commands, self.command_stack = self.command_stack, []
        if not commands:
            return []
        if self.is_transaction:
            answers = await self._cluster.carry_out_as_one(commands)
        else:
            answers = await self._cluster.carry_out(commands)
        for answer in answers:
            if raise_on_error and isinstance(answer, Exception):
                raise answer
        return answers


def _key(args: tuple[Any, ...]) -> str | bytes:
    """Return a command's first key; all others are in the same slot, or the node refuses."""
    if args[0] in SCRIPTS:
        keys = args[3:] if int(args[2]) else ()
    else:
        keys = () if args[0] in KEYLESS or " " in args[0] else args[1:]
    if not keys:
        raise ValueError(
            f"{args[0]} has no key that leads to one node of the cluster; ask the nodes themselves"
        )
    key: str | bytes = keys[0]
    return key


def _disorder() -> ClusterError:
    return ClusterError(f"Sent on {REDIRECTIONS} times and carried out nowhere")
