"""The door to Redis: how clients are made, what their failures mean, which servers are good enough.

Promise: a client of this module sends each command at most once. redis-py would by default send it again
after a cut connection or a timeout, and so apply a mutation twice; here a lost answer becomes `unavailable`
("unknown") and whoever knows the operation id decides about repeating. What Redis *answered* with an error of
ours (a bug in a script, a wrong type) is not translated: it must be seen.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from server.errors import Problem, unavailable
from server.store.cluster import Cluster
from server.store.sentinel import Finder, Guided, named, parted
from server.store.slots import seeds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

# What the other rooms may know of redis-py: its types; they import them from here.
__all__ = [
    "PubSub",
    "Redis",
    "RedisError",
    "UnsupportedServerError",
    "connect",
    "connect_subscriber",
    "described",
    "meaning",
    "reaching",
    "require_supported",
]

DEFAULT_HOST, DEFAULT_PORT = "localhost", 6379
POOL_CONNECTIONS = 64  # per client, on a cluster per node; whoever comes when all are busy waits
POOL_WAIT_SECONDS = 2.0  # and after this long gets `unavailable`
ANSWER_SECONDS = 5.0  # a command without an answer for so long has an unknown outcome
CONNECT_SECONDS = 3.0
SENTINEL_SECONDS = 1.0  # for a sentinel, both to connect and to answer: there are others

REDIS_MINIMUM = (7, 0)
VALKEY_MINIMUM = (7, 2)
POLICY = "noeviction"

# Options that a URL could carry and that would break the promise above, or the bytes that everybody expects.
REFUSED_OPTIONS = frozenset({"retry", "retry_on_timeout", "retry_on_error", "decode_responses", "encoding"})

# Answers that redis-py has no class for, by their first word: Redis is there but cannot do it now.
UNABLE_WORDS = frozenset(
    {"BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"}
)

UNABLE = (
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.ClusterError,
    exceptions.RedisClusterException,
    exceptions.TryAgainError,
    exceptions.AskError,  # and MovedError below it: a single-node client that met a cluster in motion
    exceptions.NoPermissionError,
)


class UnsupportedServerError(Exception):
    """The Redis at the given URL is too old, or may throw keys away; the sentence says what to change."""


def connect(url: str) -> Redis:
    """Return the client for reads and mutations at a redis://, rediss:// or unix:// URL.

    With the option `cluster=true` the URL names one or more nodes of a cluster (`redis://one:6379,two:6379?…`), and a
    redis+sentinel:// URL the sentinels of a primary (`redis+sentinel://one:26379,two:26379/NAME`).
    It connects on first use. Answers are bytes; no command is ever carried out twice. Close it with `aclose()`.
    Raises ValueError on a bad URL.
    """
    return _client(url, socket_timeout=ANSWER_SECONDS)


def connect_subscriber(url: str) -> Redis:
    """Return a client for pub/sub: it may wait for ever for the next message. Raises ValueError on a bad URL.

    It does not reconnect by itself: who was away has missed messages and must read the log first. Nor does it look
    whether the connection still lives: who listens sends messages to themselves.
    """
    # The older protocol, in which redis-py hands a message over as it came; of RESP3's it makes a text for its log.
    return _client(url, socket_timeout=None, protocol=2)


def _client(url: str, **settings: Any) -> Redis:
    guarded = named(url)
    if guarded is not None:
        ours, theirs = parted(_options(guarded.url))
        hasty = {
            "socket_timeout": SENTINEL_SECONDS,
            "socket_connect_timeout": SENTINEL_SECONDS,
            "protocol": 2,
        }
        sentinels = [
            _plain({**theirs, "host": host, "port": port}, hasty) for host, port in guarded.sentinels
        ]
        finder = Finder(guarded.name, sentinels)
        return Guided(finder, _pool(ours, {**settings, "finder": finder}))
    nodes = seeds(url)
    if nodes is None:
        return _plain(_options(url), settings)
    options = _options(nodes[0])

    def node(host: str, port: int) -> Redis:
        return _plain({**options, "host": host, "port": port}, settings)

    return Cluster([_address(_options(each)) for each in nodes], node)


def _options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_url(url))
    refused = sorted(REFUSED_OPTIONS & options.keys())
    if refused:
        raise ValueError(
            f"The Redis URL sets {', '.join(refused)}; answers are bytes and nothing is ever sent twice"
        )
    return options


def _address(options: dict[str, Any]) -> tuple[str, int]:
    return options.get("host", DEFAULT_HOST), options.get("port", DEFAULT_PORT)


def _plain(options: dict[str, Any], settings: dict[str, Any]) -> Redis:
    return Redis.from_pool(_pool(options, settings))


def _pool(options: dict[str, Any], settings: dict[str, Any]) -> BlockingConnectionPool:
    defaults = {
        "max_connections": POOL_CONNECTIONS,
        "timeout": POOL_WAIT_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        **settings,
    }
    fixed = {
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        # Otherwise the pool would no longer look whether an idle connection is still alive.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    return BlockingConnectionPool(**{**defaults, **options, **fixed})


def meaning(error: Exception, what: str) -> Problem | None:
    """Return what a failure of redis-py means to a caller of `what`, or None where it is a bug of ours.

    Sentences name no host and no command: they reach the public. The error itself stays the Problem's cause.
    """
    if isinstance(error, exceptions.TimeoutError):
        return unavailable(f"{what}: no answer in time; whether it was applied is unknown")
    if isinstance(error, exceptions.BusyLoadingError):
        return unavailable(f"{what}: the store is still loading its data", retry_after_ms=1_000)
    if isinstance(error, exceptions.ConnectionError | exceptions.InvalidResponse):
        return unavailable(f"{what}: the connection to the store failed; whether it was applied is unknown")
    if isinstance(error, UNABLE) or _first_word(error) in UNABLE_WORDS:
        return unavailable(f"{what}: the store cannot do this at the moment", retry_after_ms=1_000)
    return None


def _first_word(error: Exception) -> str:
    return str(error).partition(" ")[0] if isinstance(error, exceptions.ResponseError) else ""


class reaching:  # noqa: N801  reads as a word: `with reaching("reserve"): await …`
    """A context that turns failures of Redis into the `unavailable` Problem; `what` opens its sentence.

    A plain context, fit to be held over an `await`. Errors that are bugs of ours pass through as they are.

    It also brings back cancellations that were swallowed inside: redis-py sends under `asyncio.wait_for`, and before
    Python 3.12 that forgets a cancellation which comes as the sending ends. A worker would run on for ever.
    """

    __slots__ = ("_cancellations", "what")

    def __init__(self, what: str) -> None:
        self.what = what
        self._cancellations = 0

    def __enter__(self) -> None:
        self._cancellations = _cancellations()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (error is None or isinstance(error, Exception)) and _cancellations() > self._cancellations:
            raise asyncio.CancelledError
        if isinstance(error, Exception):
            problem = meaning(error, self.what)
            if problem is not None:
                raise problem from error


def _cancellations() -> int:
    """Return how often the running task was asked to stop and has not yet done so."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


async def require_supported(client: Redis) -> None:
    """Return if the server can be trusted with stock, else raise UnsupportedServerError with what to change.

    Needs Redis ≥ 7.0 or Valkey ≥ 7.2 (sharded channels, one clock per script) and the `noeviction` policy,
    because an evicted key is a lost order. Of a cluster every node is asked that can be, for those that are away must
    not keep the others' shows from being sold. Raises the `unavailable` Problem where nobody can be asked.
    """
    clustered = isinstance(client, Cluster)
    with reaching("asking the store for its version"):
        told = await _told(client, "server", "memory", "cluster")
    for each in told:
        refusal = unfit(each, clustered=clustered)
        if refusal:
            raise UnsupportedServerError(refusal)


async def described(client: Redis) -> list[dict[str, Any]]:
    """Return what every server that can be asked tells of its memory and its disk. Raises `unavailable`: none can."""
    with reaching("asking the store for its state"):
        return await _told(client, "memory", "persistence")


async def _told(client: Redis, *sections: str) -> list[dict[str, Any]]:
    """Return the INFO of all nodes that can be asked; where none can, raise why."""
    answers = await asyncio.gather(*(_described(node, sections) for node in await _nodes(client)))
    told = [answer for answer in answers if not isinstance(answer, Exception)]
    if not told:
        raise next(answer for answer in answers if isinstance(answer, Exception))
    return told


async def _nodes(client: Redis) -> list[Redis]:
    try:
        return await client.nodes() if isinstance(client, Cluster) else [client]
    except exceptions.ResponseError as error:
        raise UnsupportedServerError(
            f"The Redis URL says cluster=true, and the server does not tell its slots: {error}"
        ) from error


async def _described(node: Redis, sections: Sequence[str]) -> dict[str, Any] | Exception:
    """Return a node's INFO, or why it cannot be asked."""
    told: dict[str, Any] = {}
    try:
        for section in sections:
            told |= await node.info(section)
    except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
        return error
    return told


def unfit(told: Mapping[str, Any], *, clustered: bool = False) -> str | None:
    """Return why a server that tells this in its INFO cannot be used, as one of a cluster or alone; None if it can."""
    valkey = told.get("valkey_version")
    product, minimum = ("Valkey", VALKEY_MINIMUM) if valkey else ("Redis", REDIS_MINIMUM)
    version = str(valkey or told.get("redis_version", "0"))
    if _numbers(version) < minimum:
        needed = ".".join(map(str, minimum))
        return f"{product} {version} is too old: {product} {needed} or newer is needed"
    policy = told.get("maxmemory_policy", POLICY)
    if policy != POLICY:
        return (
            f"{product} has the maxmemory-policy {policy} and may throw stock and holds away; "
            f"change it: CONFIG SET maxmemory-policy {POLICY}"
        )
    if told.get("cluster_enabled") and not clustered:
        return f"{product} is a node of a cluster; say so in the Redis URL: add cluster=true to its options"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: "8.1.8" is (8, 1, 8), "7.2-rc1" is (7, 2)."""
    numbers = []
    for part in version.partition("-")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
