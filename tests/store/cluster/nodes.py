"""A real cluster for tests: three primaries of the server program that Livedrop itself starts, and their replicas.

Each node is a process of its own on free ports; slots are given out and moved with the cluster's own commands.
"""

from __future__ import annotations

import signal
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.exceptions import RedisError
from redis.retry import Retry

from server.store import binary
from server.store.leash import leashed
from server.store.slots import slot_of
from tests.server import free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
PRIMARIES = 3
ANSWER_SECONDS = 5.0
MOVE_MS = 5_000


@dataclass(slots=True, eq=False)
class Node:
    """One server process, primary or replica; it keeps its name and its place when it is started again."""

    port: int
    bus_port: int
    command: list[str]
    process: subprocess.Popen[bytes] = field(init=False)
    id: str = ""  # its name in the cluster

    def start(self) -> None:
        """Start it; whether it answers yet is another question."""
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def url(self) -> str:
        """Where it listens, for a client that knows nothing of clusters."""
        return f"redis://{HOST}:{self.port}/0"

    def ask(self, *words: str | int) -> Any:
        """Send it one command and return the answer in text, numbers and lists."""
        once = Retry(NoBackoff(), 0)
        with Redis(
            HOST, self.port, socket_timeout=ANSWER_SECONDS, retry=once, decode_responses=True
        ) as client:
            return client.execute_command(*words)

    def told(self) -> dict[str, Any]:
        """Return what it says of itself and of the cluster; nothing where it does not answer."""
        try:
            return {**self.ask("CLUSTER INFO"), **self.ask("INFO", "replication")}
        except RedisError:
            return {}

    def end(self) -> None:
        """End it at once, also where it stands still; harmless when repeated."""
        self.process.kill()
        self.process.wait()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let it stand still."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Nodes:
    """A cluster. Which of its nodes are primaries is asked anew each time, of those that run."""

    everybody: list[Node]
    _numbers: count[int] = field(default_factory=count, repr=False)

    @property
    def url(self) -> str:
        """Where Livedrop finds it; an option may be added with an ampersand."""
        return f"redis://{','.join(f'{HOST}:{node.port}' for node in self.everybody)}?cluster=true"

    @property
    def primaries(self) -> list[Node]:
        """The nodes that take writes."""
        return [node for node in self.everybody if node.told().get("role") == "master"]

    def owner(self, key: str) -> Node:
        """Return who owns a key, as the first node that runs says."""
        witness = next(node for node in self.everybody if node.told())
        told = witness.ask("CLUSTER", "SLOTS")
        port = next(primary[1] for first, last, primary, *_ in told if first <= slot_of(key) <= last)
        return next(node for node in self.everybody if node.port == port)

    def key_on(self, node: Node) -> str:
        """Return a key that a primary owns, a new one each time."""
        return next(key for key in map("key-{}".format, self._numbers) if self.owner(key) is node)

    def replica_of(self, primary: Node) -> Node:
        """Return a primary's replica."""
        (told,) = primary.ask("CLUSTER", "REPLICAS", primary.id)
        return next(node for node in self.everybody if told.startswith(node.id))

    def begin_move(self, slot: int, source: Node, target: Node) -> None:
        """Let a slot be on the move: its keys are still where they were."""
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

    def move_keys(self, slot: int, source: Node, target: Node, most: int = 1_000_000) -> None:
        """Move keys of a slot from its source."""
        keys: list[str] = source.ask("CLUSTER", "GETKEYSINSLOT", slot, most)
        if keys:
            source.ask("MIGRATE", HOST, target.port, "", 0, MOVE_MS, "KEYS", *keys)

    def end_move(self, slot: int, target: Node) -> None:
        """Let everybody know a slot's new owner."""
        for node in (target, *self.primaries):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def move(self, slot: int, source: Node, target: Node) -> None:
        """Move a slot with all that is in it."""
        self.begin_move(slot, source, target)
        self.move_keys(slot, source, target)
        self.end_move(slot, target)

    def settled(self) -> bool:
        """Whether all know each other and find every slot served, and replicas are up to date."""
        told = [node.told() for node in self.everybody]
        whole = {"cluster_state": "ok", "cluster_known_nodes": str(len(told)), "cluster_slots_ok": str(SLOTS)}
        return all(
            whole.items() <= each.items() and each.get("master_link_status", "up") == "up" for each in told
        )


@contextmanager
def three_nodes(folder: Path, *, replicas: bool = False, node_timeout_ms: int = 5_000) -> Iterator[Nodes]:
    """Give a cluster of three primaries, each with a replica where wanted, that serves all slots."""
    with ExitStack() as stack:
        cluster = Nodes([])
        for number in range(PRIMARIES * 2 if replicas else PRIMARIES):
            node = _node(folder / f"node-{number}", node_timeout_ms)
            node.start()
            stack.callback(node.end)
            cluster.everybody.append(node)
        _join(cluster)
        yield cluster


def _node(folder: Path, node_timeout_ms: int) -> Node:
    folder.mkdir(parents=True)
    port, bus_port = free_port(), free_port()
    settings = {
        "bind": HOST,
        "port": port,
        "cluster-port": bus_port,
        "cluster-enabled": "yes",
        "cluster-node-timeout": node_timeout_ms,
        "cluster-require-full-coverage": "no",
        "cluster-allow-replica-migration": "no",
        "repl-diskless-sync-delay": 0,
        "dir": folder,
        "logfile": folder / "log",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return Node(port, bus_port, leashed([str(binary.find()), *words]))


def _join(cluster: Nodes) -> None:
    for epoch, node in enumerate(cluster.everybody, 1):
        wait_until(lambda node=node: bool(node.told()), "a node answers")  # type: ignore[misc]  # bound per turn
        node.id = node.ask("CLUSTER", "MYID")
        node.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for other in cluster.everybody[: epoch - 1]:
            node.ask("CLUSTER", "MEET", HOST, other.port, other.bus_port)
    bounds = [SLOTS * number // PRIMARIES for number in range(PRIMARIES + 1)]
    primaries, replicas = cluster.everybody[:PRIMARIES], cluster.everybody[PRIMARIES:]
    for primary, first, after in zip(primaries, bounds, bounds[1:], strict=False):
        primary.ask("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
    for primary, replica in zip(primaries, replicas, strict=False):
        wait_until(
            lambda node=replica, other=primary: other.id in node.ask("CLUSTER", "NODES"),  # type: ignore[misc]  # likewise
            "a replica knows its primary",
        )
        replica.ask("CLUSTER", "REPLICATE", primary.id)
    wait_until(cluster.settled, "the cluster serves all slots")
