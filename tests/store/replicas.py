"""A primary, its replica and three sentinels for tests: real processes on free ports, with short timeouts.

All of them want passwords. The sentinels know each other and the replica from the start, instead of finding out.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from server.store import binary
from server.store.leash import leashed
from tests.server import free_port
from tests.store.cluster.nodes import ANSWER_SECONDS, HOST, Node
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "shop"
PASSWORD, SENTINELS_PASSWORD = "of-the-store", "of-the-sentinels"
SENTINELS, QUORUM = 3, 2


@dataclass(slots=True, eq=False)
class Member(Node):
    """One server or sentinel process; it keeps its port when it is started again."""

    password: str = PASSWORD

    @property
    def url(self) -> str:
        """Where it listens, for a client that asks nobody."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def ask(self, *words: str | int) -> Any:
        """Send it one command and return the answer in text, numbers and lists."""
        with Redis(
            HOST,
            self.port,
            password=self.password,
            protocol=2,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        ) as client:
            return client.execute_command(*words)

    def told(self) -> dict[str, Any]:
        """Return what it says of its part; nothing where it does not answer."""
        with suppress(RedisError):
            return dict(self.ask("INFO", "replication"))
        return {}

    def serves(self) -> bool:
        """Whether it answers and has loaded its data: before that it tells its part already, and takes no orders."""
        with suppress(RedisError):
            return bool(self.ask("PING"))
        return False

    @property
    def role(self) -> str:
        """`master` or `slave`; empty where it does not answer."""
        return str(self.told().get("role", ""))


@dataclass(slots=True, eq=False)
class Guarded:
    """A store of two servers that sentinels guard. Who is the primary is asked anew each time."""

    servers: list[Member]
    sentinels: list[Member] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where Livedrop finds the store; an option may be added with an ampersand."""
        places = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://:{PASSWORD}@{places}/{NAME}/0?sentinel_password={SENTINELS_PASSWORD}"

    def primary_by(self, sentinel: Member) -> Member | None:
        """Return who is the primary, by one sentinel."""
        with suppress(RedisError):
            told = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
            return next((server for server in self.servers if told and str(server.port) == told[1]), None)
        return None

    @property
    def primary(self) -> Member:
        """The primary, by whichever sentinel answers."""
        return next(filter(None, map(self.primary_by, self.sentinels)))

    @property
    def replica(self) -> Member:
        """The other one."""
        primary = self.primary
        return next(server for server in self.servers if server is not primary)

    def whole(self) -> bool:
        """Whether all sentinels agree on a primary that is one, and the other server follows it."""
        agreed = {self.primary_by(sentinel) for sentinel in self.sentinels}
        if len(agreed) != 1 or None in agreed:
            return False
        (primary,) = agreed
        assert primary is not None
        others = [server.told() for server in self.servers if server is not primary]
        follows = {"role": "slave", "master_port": primary.port, "master_link_status": "up"}
        return primary.role == "master" and all(follows.items() <= other.items() for other in others)

    def replaced(self, former: Member) -> bool:
        """Whether most sentinels name another primary, and that one says so itself."""
        named = [self.primary_by(sentinel) for sentinel in self.sentinels]
        others = [each for each in named if each not in {None, former}]
        return len(others) >= QUORUM and all(each is not None and each.role == "master" for each in others)

    def mend(self) -> None:
        """Start who is not running, let the other server follow the primary, and return when all agree."""
        for member in (*self.servers, *self.sentinels):
            if member.process.poll() is not None:
                member.start()
        wait_until(lambda: all(server.serves() for server in self.servers), "both servers answer")
        wait_until(lambda: all(map(self.primary_by, self.sentinels)), "all sentinels answer")
        primary = self.primary
        for server in self.servers:
            if server is not primary and server.role == "master":
                server.ask("REPLICAOF", HOST, primary.port)
        wait_until(self.whole, "the store is whole again")


@contextmanager
def guarded(folder: Path, *, down_after_ms: int = 500, **settings: str) -> Iterator[Guarded]:
    """Give a store under sentinels that hold a silent server for dead after so long."""
    ports = [free_port() for _ in range(2)]
    with ExitStack() as stack:
        store = Guarded([])
        for number, port in enumerate(ports):
            follow = {"replicaof": f"{HOST} {ports[0]}"} if number else {}
            store.servers.append(_server(folder / f"server-{number}", port, {**follow, **settings}))
        places = [free_port() for _ in range(SENTINELS)]
        for number in range(SENTINELS):
            store.sentinels.append(
                _sentinel(folder / f"sentinel-{number}", number, places, ports, down_after_ms)
            )
        for member in (*store.servers, *store.sentinels):
            member.start()
            stack.callback(member.end)
        wait_until(store.whole, "the store is whole")
        yield store


def _server(folder: Path, port: int, settings: dict[str, str]) -> Member:
    folder.mkdir(parents=True)
    lines = {
        "bind": HOST,
        "port": str(port),
        "requirepass": PASSWORD,
        "masterauth": PASSWORD,
        "repl-diskless-sync-delay": "0",
        "repl-ping-replica-period": "1",
        "dir": str(folder),
        "logfile": str(folder / "log"),
        "save": '""',
        "appendonly": "yes",
        "maxmemory-policy": "noeviction",
        **settings,
    }
    # In a file, because sentinels change it when they make a replica of a primary.
    (folder / "conf").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    return Member(port, 0, leashed([str(binary.find()), str(folder / "conf")]))


def _sentinel(folder: Path, number: int, places: list[int], ports: list[int], down_after_ms: int) -> Member:
    folder.mkdir(parents=True)
    ids = [f"{each + 1:040x}" for each in range(len(places))]
    lines = [
        f"bind {HOST}",
        f"port {places[number]}",
        f"requirepass {SENTINELS_PASSWORD}",
        f"dir {folder}",
        f"logfile {folder / 'log'}",
        f"sentinel myid {ids[number]}",
        f"sentinel sentinel-pass {SENTINELS_PASSWORD}",
        f"sentinel monitor {NAME} {HOST} {ports[0]} {QUORUM}",
        f"sentinel auth-pass {NAME} {PASSWORD}",
        f"sentinel down-after-milliseconds {NAME} {down_after_ms}",
        f"sentinel failover-timeout {NAME} {4 * down_after_ms}",
        f"sentinel known-replica {NAME} {HOST} {ports[1]}",
        *(
            f"sentinel known-sentinel {NAME} {HOST} {place} {name}"
            for place, name in zip(places, ids, strict=True)
            if place != places[number]
        ),
    ]
    (folder / "conf").write_text("\n".join(lines) + "\n")
    command = leashed([str(binary.find()), str(folder / "conf"), "--sentinel"])
    return Member(places[number], 0, command, password=SENTINELS_PASSWORD)
