"""The store: whether it can be trusted with stock, is quick, keeps what it has, and takes our scripts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from server.cli.doctor.finding import Finding, fine, graver, warning, wrong
from server.cli.doctor.looking import Look
from server.clock import monotonic, now_ms
from server.store.cluster import Cluster
from server.store.redis import POLICY, RedisError, reaching, unfit
from server.store.redis_clock import RedisClock
from server.store.scripts import Scripts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from server.store.redis import Redis

PINGS = 200
PING_SECONDS = 3.0  # for all of them: a slow store gets fewer
SLOW_MS = 5.0  # for half of the answers: each step of a show waits for one
SLOWEST_MS = 50.0  # for 99 of 100
CLOCK_MS = 1000
MEGABYTE = 1 << 20
SCARCE, SHORT = 0.25, 0.10  # of maxmemory that is left
REACH = "Start it, or correct REDIS_URL: address, password, TLS, firewall."

Info = dict[str, Any]


def version(told: Mapping[str, Any], *, clustered: bool) -> Finding:
    """Judge what a server says of itself: its version, and whether it is one of a cluster."""
    name, number = (
        ("Valkey", told["valkey_version"])
        if "valkey_version" in told
        else (
            "Redis",
            told.get("redis_version", "?"),
        )
    )
    about = {key: value for key, value in told.items() if key != "maxmemory_policy"}
    refusal = unfit(about, clustered=clustered)
    if refusal:
        return wrong("version", f"{name} {number}", f"{refusal}.")
    return fine("version", f"{name} {number}" + (", in a cluster" if clustered else ""))


def role(told: Mapping[str, Any]) -> Finding:
    """Judge whether it takes writes."""
    if told.get("role", "master") != "master":
        return wrong("role", "a replica", "Name the primary in REDIS_URL: a replica takes no reservations.")
    return fine("role", f"primary with {told.get('connected_slaves', 0)} replicas")


def eviction(told: Mapping[str, Any]) -> Finding:
    """Judge whether it may throw keys away."""
    policy = str(told.get("maxmemory_policy", POLICY))
    if policy != POLICY:
        advice = f"CONFIG SET maxmemory-policy {POLICY}, and in its file: stock and holds are thrown away otherwise."
        return wrong("eviction", policy, advice)
    return fine("eviction", policy)


def persistence(told: Mapping[str, Any], appendfsync: str, *, production: bool) -> Finding:
    """Judge what a restart would leave; `appendfsync` is empty where the server does not tell it."""
    if not told.get("aof_enabled"):
        advice = "Set appendonly yes: a restart loses every reservation, and shows have to be rebuilt."
        return graver("persistence", "appendonly no", advice, production=production)
    found = f"appendonly yes, appendfsync {appendfsync or 'not told'}"
    if told.get("aof_last_write_status", "ok") != "ok":
        advice = "Look at its disk: full, or broken. If a flush failed it needs BGREWRITEAOF, or a new start, then."
        return wrong("persistence", f"{found}, the last write failed", advice)
    if appendfsync == "no" or (appendfsync == "everysec" and production):
        advice = (
            "Set appendfsync always: a crash of its machine loses what was reserved since the last flush."
        )
        return warning("persistence", found, advice)
    return fine("persistence", found)


def memory(told: Mapping[str, Any]) -> Finding:
    """Judge what is left before it takes no more."""
    used, most = int(told.get("used_memory", 0)), int(told.get("maxmemory", 0))
    whole = int(told.get("total_system_memory", 0))
    found = f"{used // MEGABYTE} MB used"
    if not most:
        of = f" of a machine with {whole // MEGABYTE} MB" if whole else ""
        if whole and used > whole // 2:
            return warning("memory", f"{found}{of}, no maxmemory", "Give it more memory, or move shows away.")
        return fine("memory", f"{found}{of}, no maxmemory")
    left = max(0, most - used)
    found = f"{found}, {left // MEGABYTE} MB left under maxmemory"
    if left < SHORT * most:
        return wrong("memory", found, "Raise maxmemory now: when it is full, nobody can reserve.")
    if left < SCARCE * most:
        return warning("memory", found, "Raise maxmemory before the next show.")
    return fine("memory", found)


def latency(seconds: Sequence[float]) -> Finding:
    """Judge round trips; half and 99 of 100 of them are told."""
    ordered = sorted(seconds)
    half, most = (1000 * ordered[int(len(ordered) * part)] for part in (0.5, 0.99))
    found = f"p50 {half:.2f} ms, p99 {most:.2f} ms of {len(ordered)} pings"
    if half > SLOW_MS or most > SLOWEST_MS:
        advice = "Bring store and servers together: each step of a show waits for one such round trip."
        return warning("latency", found, advice)
    return fine("latency", found)


def clock(ahead_ms: int) -> Finding:
    """Judge the difference between the store's clock, by which deadlines go, and this machine's."""
    found = f"{abs(ahead_ms)} ms {'ahead of' if ahead_ms >= 0 else 'behind'} this machine"
    if abs(ahead_ms) > CLOCK_MS:
        advice = (
            "Let both keep their time (NTP): deadlines go by the store's clock, tokens by this machine's."
        )
        return warning("clock", found, advice)
    return fine("clock", found)


def scripts_taken(count: int) -> Finding:
    """Say that the store has compiled the scripts."""
    return fine("scripts", f"{count} scripts load")


def looks(client: Redis, *, production: bool) -> list[Look]:
    """Return the looks at a store."""
    return [
        Look("store", partial(_described, client, production), REACH),
        Look("store: latency", partial(_pinged, client), REACH),
        Look("store: clock", partial(_timed, client), REACH),
        Look("store: scripts", partial(_loaded, client), "Allow its user SCRIPT LOAD and EVALSHA."),
    ]


async def _described(client: Redis, production: bool) -> list[Finding]:  # noqa: FBT001  bound by name above
    clustered = isinstance(client, Cluster)
    found: list[Finding] = []
    with reaching("asking the store about itself"):
        for node in await client.nodes() if isinstance(client, Cluster) else [client]:
            told, appendfsync = await _told(node)
            if clustered and told.get("role") != "master":
                continue
            name = f"store {_address(node)}" if clustered else "store"
            judged = [
                version(told, clustered=clustered),
                role(told),
                eviction(told),
                persistence(told, appendfsync, production=production),
                memory(told),
            ]
            found += [_named(name, finding) for finding in judged]
    return found


async def _told(node: Redis) -> tuple[Info, str]:
    """Return a node's INFO and its appendfsync; a hosted one may keep the latter to itself."""
    told: Info = {}
    for section in ("server", "memory", "persistence", "replication", "cluster"):
        told |= await node.info(section)
    try:
        settings = await node.config_get("appendfsync")
    except RedisError:
        return told, ""
    texts = {_text(name): _text(value) for name, value in settings.items()}
    return told, texts.get("appendfsync", "")


async def _pinged(client: Redis) -> list[Finding]:
    taken: list[float] = []
    began = monotonic()
    with reaching("a ping"):
        await client.ping()  # connecting is not what is measured
        while len(taken) < PINGS and monotonic() - began < PING_SECONDS:
            asked = monotonic()
            await client.ping()
            taken.append(monotonic() - asked)
    return [_named("store", latency(taken))]


async def _timed(client: Redis) -> list[Finding]:
    asking = RedisClock(client)
    await asking.sync()
    return [_named("store", clock(asking.now_ms() - now_ms()))]


async def _loaded(client: Redis) -> list[Finding]:
    """Have the store compile every script, as the first server would; no key is touched."""
    scripts = Scripts(client)
    with reaching("loading the scripts"):
        for name in scripts.names():
            await client.script_load(scripts[name].source)
    return [_named("store", scripts_taken(len(scripts.names())))]


def _named(name: str, finding: Finding) -> Finding:
    return Finding(f"{name}: {finding.check}", finding.found, finding.verdict, finding.advice)


def _address(node: Redis) -> str:
    known: dict[str, Any] = node.connection_pool.connection_kwargs
    return f"{known.get('host', '')}:{known.get('port', '')}"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
