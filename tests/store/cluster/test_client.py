"""The cluster's client: whom it asks, what it repeats, and what it never does twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, ResponseError  # noqa: A004  the library's, not the built-in

from server.errors import Problem
from server.store.redis import RedisError, connect, reaching
from server.store.slots import slot_of
from tests.server import free_port
from tests.store.cluster.clients import hasty, library_client, refused
from tests.store.cluster.nodes import HOST
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.store.redis import Redis
    from tests.store.cluster.nodes import Node, Nodes

# -- whom it asks


async def test_each_key_is_where_the_cluster_has_it(nodes: Nodes, client: Redis) -> None:
    """Keys of all three nodes are written and read, and stand on the node that owns them; answers are bytes."""
    for node in nodes.primaries:
        key = nodes.key_on(node)
        await client.set(key, "v")
        assert await client.get(key) == b"v"
        assert node.ask("GET", key) == "v"


async def test_a_script_goes_where_its_keys_are(nodes: Nodes, client: Redis) -> None:
    """EVALSHA finds its node by the script's first key, and SCRIPT LOAD reaches all primaries."""
    sha = await client.script_load("return redis.call('INCR', KEYS[1])")
    for node in nodes.primaries:
        assert await client.evalsha(sha, 1, nodes.key_on(node)) == 1


async def test_what_has_no_key_is_asked_of_any_node_or_refused(client: Redis) -> None:
    """PING and TIME are any node's; what would be answered for one node alone is a bug and says so."""
    assert await client.ping()
    assert (await client.time())[0] > 0
    for command in (("SCAN", 0), ("DBSIZE",), ("CONFIG GET", "save"), ("EVAL", "return 1", 0)):
        with pytest.raises(ValueError, match=f"^{command[0]} has no key"):
            await client.execute_command(*command)  # type: ignore[no-untyped-call]  # the library's own gap


async def test_one_of_the_named_nodes_is_enough(nodes: Nodes) -> None:
    """Whichever node of the URL answers tells of all others; where none does, callers hear `unavailable`."""
    nobody = f"redis://{HOST}:{free_port()}"
    client = connect(f"{nobody},{HOST}:{nodes.primaries[2].port}?cluster=true")
    for node in nodes.primaries:
        assert not await client.exists(nodes.key_on(node))
    await client.aclose()
    client = connect(f"{nobody}?cluster=true")
    assert HOST not in (await refused(client, "GET", "k")).detail
    await client.aclose()


# -- pipelines


async def test_a_pipeline_reaches_all_nodes_and_keeps_its_order(nodes: Nodes, client: Redis) -> None:
    """The answers of commands that went to three nodes come in the order in which they were given."""
    keys = [nodes.key_on(node) for node in nodes.primaries * 3]
    async with client.pipeline(transaction=False) as pipe:
        for number, key in enumerate(keys):
            pipe.set(key, number)
        await pipe.execute()
        for key in reversed(keys):
            pipe.get(key)
        assert await pipe.execute() == [b"%d" % number for number in reversed(range(len(keys)))]
        assert await pipe.execute() == []


async def test_a_transaction_is_one_slots(nodes: Nodes, client: Redis) -> None:
    """A transaction is carried out where its slot is; one across slots is a bug, and nothing of it happens."""
    node = nodes.primaries[1]
    tag = nodes.key_on(node)
    async with client.pipeline(transaction=True) as pipe:
        pipe.set(f"{{{tag}}}:a", 1)
        pipe.incr(f"{{{tag}}}:a")
        assert await pipe.execute() == [True, 2]
        pipe.incr(f"{{{tag}}}:a")
        pipe.incr(nodes.key_on(node))
        with pytest.raises(ValueError, match="keys of 2 slots"):
            await pipe.execute()
    assert await client.get(f"{{{tag}}}:a") == b"2"


async def test_a_pipeline_tells_what_failed(nodes: Nodes) -> None:
    """Where one node stands still the others' answers come all the same; whoever wants none without all is told."""
    still, *others = nodes.primaries
    keys = [nodes.key_on(node) for node in (still, *others)]
    async with hasty(nodes) as client:
        with still.stopped():
            async with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.exists(key)
                failure, *answers = await pipe.execute(raise_on_error=False)
                assert isinstance(failure, RedisError)
                assert answers == [0, 0]
                pipe.exists(keys[0])
                with pytest.raises(RedisError):
                    await pipe.execute()


# -- slots that move


async def test_a_slot_that_has_moved_is_followed(nodes: Nodes, client: Redis) -> None:
    """A command for a slot that is elsewhere by now is carried out there, once; also in pipelines and transactions."""
    source, target = nodes.primaries[:2]
    key = nodes.key_on(source)
    slot = slot_of(key)
    assert await client.incr(key) == 1
    nodes.move(slot, source, target)
    assert await client.incr(key) == 2
    nodes.move(slot, target, source)
    async with client.pipeline(transaction=False) as pipe:
        pipe.incr(key)
        pipe.incr(nodes.key_on(target))
        assert await pipe.execute() == [3, 1]
    nodes.move(slot, source, target)
    async with client.pipeline(transaction=True) as pipe:
        pipe.incr(key)
        pipe.incr(key)
        assert await pipe.execute() == [4, 5]
    nodes.move(slot, target, source)
    assert source.ask("GET", key) == "5"


async def test_a_key_is_found_on_either_side_of_a_move(nodes: Nodes, client: Redis) -> None:
    """While its slot moves a key is asked for where it is, by many at once, and counted up once by each."""
    source, target = nodes.primaries[:2]
    key = nodes.key_on(source)
    slot = slot_of(key)
    await client.set(key, 0)
    nodes.begin_move(slot, source, target)
    assert await client.incr(key) == 1
    nodes.move_keys(slot, source, target)
    assert sorted(await asyncio.gather(*(client.incr(key) for _ in range(50)))) == list(range(2, 52))
    async with client.pipeline(transaction=False) as pipe:
        pipe.incr(key)
        assert await pipe.execute() == [52]
    nodes.end_move(slot, target)
    assert await client.incr(key) == 53
    nodes.move(slot, target, source)


async def test_asking_elsewhere_fails_with_connections_shared_otherwise(nodes: Nodes) -> None:
    """Negative control: redis-py sends ASKING on one connection and the command on the next, and gives up."""
    source, target = nodes.primaries[:2]
    key = nodes.key_on(source)
    async with library_client(nodes, retry=Retry(NoBackoff(), 0)) as client:
        await asyncio.gather(*(client.incr(nodes.key_on(target)) for _ in range(2)))
        await client.set(key, 0)
        nodes.begin_move(slot_of(key), source, target)
        nodes.move_keys(slot_of(key), source, target)
        told = await asyncio.gather(*(client.incr(key) for _ in range(50)), return_exceptions=True)
    nodes.end_move(slot_of(key), target)
    nodes.move(slot_of(key), target, source)
    assert any(isinstance(answer, Exception) for answer in told)


async def test_keys_apart_are_unavailable_until_they_are_together(nodes: Nodes, client: Redis) -> None:
    """What needs two keys of a slot on the move hears `unavailable` (TRYAGAIN), and nothing of it was done."""
    source, target = nodes.primaries[:2]
    tag = nodes.key_on(source)
    slot = slot_of(tag)
    script = "redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[2])"
    both = (f"{{{tag}}}:a", f"{{{tag}}}:b")
    assert await client.eval(script, 2, *both) == 1
    nodes.begin_move(slot, source, target)
    assert await client.eval(script, 2, *both) == 2
    nodes.move_keys(slot, source, target, most=1)
    assert "cannot do this at the moment" in (await refused(client, "EVAL", script, 2, *both)).detail
    async with client.pipeline(transaction=True) as pipe:
        pipe.incr(both[0])
        pipe.incr(both[1])
        with pytest.raises(Problem), reaching("a test"):
            await pipe.execute()
    nodes.move_keys(slot, source, target)
    assert await client.eval(script, 2, *both) == 3
    nodes.end_move(slot, target)
    assert await client.eval(script, 2, *both) == 4
    nodes.move(slot, target, source)


# -- what is never done twice


async def test_a_missing_answer_is_applied_once_and_unavailable(nodes: Nodes) -> None:
    """A command that a node takes and does not answer in time ends in `unavailable`, and is applied once."""
    node = nodes.primaries[1]
    key = nodes.key_on(node)
    async with hasty(nodes) as client:
        await client.set(key, 0)
        with node.stopped():
            assert "no answer in time" in (await refused(client, "INCR", key)).detail
        await wait_for(lambda: node.ask("GET", key) == "1", "it was applied")
        assert await client.incr(key) == 2


async def test_the_library_would_apply_it_twice(nodes: Nodes) -> None:
    """Negative control: redis-py's own client repeats the same command, and each one is applied."""
    node = nodes.primaries[1]
    key = nodes.key_on(node)
    async with library_client(nodes, socket_timeout=0.2) as client:
        await client.set(key, 0)
        with node.stopped():
            asking = asyncio.ensure_future(client.incr(key))
            await asyncio.wait({asking}, timeout=0.9)
        await asyncio.gather(asking, return_exceptions=True)
        await wait_for(lambda: int(node.ask("GET", key)) >= 2, "what was sent again is applied")


# -- what befalls one node


async def in_flight(client: Any, node: Node, key: str) -> asyncio.Task[Any]:
    """Return a command that waits for its answer on a node."""
    waiting = asyncio.create_task(client.execute_command("BLPOP", key, 5))
    await wait_for(lambda: node.ask("INFO", "clients")["blocked_clients"] == 1, "it waits on the node")
    return waiting


async def test_a_slot_that_nobody_serves_disturbs_no_other_node(nodes: Nodes, client: Redis) -> None:
    """CLUSTERDOWN is `unavailable`; what waits for another node's answer goes on waiting; it mends by itself."""
    node, other = nodes.primaries[:2]
    key, queue = nodes.key_on(node), nodes.key_on(other)
    slot = slot_of(key)
    assert not await client.exists(key)
    waiting = await in_flight(client, other, queue)
    node.ask("CLUSTER", "DELSLOTS", slot)
    await refused(client, "INCR", key)
    async with client.pipeline(transaction=False) as pipe:
        pipe.exists(key)
        pipe.llen(nodes.key_on(other))
        unserved, answer = await pipe.execute(raise_on_error=False)
    assert isinstance(unserved, RedisError)
    assert answer == 0
    node.ask("CLUSTER", "ADDSLOTS", slot)
    other.ask("RPUSH", queue, "v")
    assert tuple(await waiting) == (queue.encode(), b"v")

    async def served() -> bool:
        with reaching("a test"):
            return bool(await client.incr(key) == 1)

    await wait_for(served, "the slot is served again")


async def test_the_library_would_cut_what_waits_on_other_nodes(nodes: Nodes) -> None:
    """Negative control: in redis-py's own client the same CLUSTERDOWN ends connections to the other nodes."""
    node, other = nodes.primaries[:2]
    key, queue = nodes.key_on(node), nodes.key_on(other)
    slot = slot_of(key)
    async with library_client(nodes, retry=Retry(NoBackoff(), 0)) as client:
        assert not await client.exists(key)
        waiting = await in_flight(client, other, queue)
        node.ask("CLUSTER", "DELSLOTS", slot)
        with pytest.raises(ResponseError):
            await client.incr(key)
        node.ask("CLUSTER", "ADDSLOTS", slot)
        with pytest.raises(RedisError):
            await waiting


async def test_a_node_that_stands_still_holds_up_only_its_own_keys(nodes: Nodes) -> None:
    """While one node stands still, commands to the others are answered, and it is asked again when it goes on."""
    still, other, _ = nodes.primaries
    theirs, ours = nodes.key_on(other), nodes.key_on(still)
    async with hasty(nodes, seconds=2) as client:
        with still.stopped():
            hanging = [asyncio.ensure_future(client.exists(ours)) for _ in range(20)]
            for _ in range(100):
                assert not await client.exists(theirs)
            assert not any(asked.done() for asked in hanging)
            await asyncio.gather(*hanging, return_exceptions=True)
            assert await client.time()

        async def answers() -> bool:
            with suppress(RedisError):
                return await client.exists(ours) == 0
            return False

        await wait_for(answers, "it is asked again", 3)


async def test_nothing_is_sent_to_a_node_that_gives_no_answers(nodes: Nodes) -> None:
    """After one missing answer nobody waits for that node again, and nothing reaches it, until it lives."""
    still = nodes.primaries[0]
    key = nodes.key_on(still)
    async with hasty(nodes) as client:
        await client.set(key, 0)
        with still.stopped():
            await refused(client, "INCR", key)
            asked = [asyncio.ensure_future(refused(client, "INCR", key)) for _ in range(50)]
            problems = await asyncio.gather(*asked)
        # Who had waited for an answer would say TimeoutError.
        assert {type(problem.__cause__) for problem in problems} == {ConnectionError}
        await wait_for(lambda: still.ask("GET", key) == "1", "what had been sent is applied")
