"""Which URLs lead to a cluster, and which clusters are good enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.store.cluster import Cluster
from server.store.embedded import Embedded
from server.store.redis import UnsupportedServerError, connect, require_supported
from tests.server import free_port
from tests.store.cluster.clients import hasty
from tests.store.cluster.nodes import HOST

if TYPE_CHECKING:
    from pathlib import Path

    from server.store.redis import Redis
    from tests.store.cluster.nodes import Nodes


async def test_a_cluster_is_supported(client: Redis) -> None:
    """A cluster of the private server's program fulfils what we ask of others."""
    await require_supported(client)


async def test_a_node_that_is_away_keeps_nobody_from_starting(nodes: Nodes) -> None:
    """A cluster is judged by the nodes that answer, and refused for what one of them says."""
    away, evicting, _ = nodes.primaries
    async with hasty(nodes) as client:
        with away.stopped():
            await require_supported(client)
            evicting.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            try:
                with pytest.raises(UnsupportedServerError, match="allkeys-lru"):
                    await require_supported(client)
            finally:
                evicting.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_url_must_say_that_it_is_a_cluster(nodes: Nodes) -> None:
    """A node of a cluster behind a plain URL is refused with what to add."""
    client = connect(nodes.primaries[0].url)
    with pytest.raises(UnsupportedServerError, match="add cluster=true"):
        await require_supported(client)
    await client.aclose()


async def test_a_url_must_not_say_so_in_vain(tmp_path: Path) -> None:
    """A server that is in no cluster, behind a URL that says it is, is refused."""
    with Embedded.start(tmp_path) as alone:
        client = connect(alone.url)
        port = free_port()
        await client.config_set("port", port)
        clustered = connect(f"redis://{HOST}:{port}?cluster=true")
        with pytest.raises(UnsupportedServerError, match="does not tell its slots"):
            await require_supported(clustered)
        await clustered.aclose()
        await client.aclose()


def test_every_node_has_what_the_url_says() -> None:
    """User, secret, encryption and limits of the URL hold for each node; without a port it is the usual one."""
    client = connect("rediss://me:s%40cret@one,two:7001/0?cluster=true&socket_timeout=2&max_connections=3")
    assert isinstance(client, Cluster)
    for address in (("one", 6379), ("two", 7001), ("three", 7002)):
        pool: Any = client.slots.node(address).connection_pool
        connection = pool.make_connection()
        assert (connection.host, connection.port) == address
        assert (pool.connection_kwargs["username"], pool.connection_kwargs["password"]) == ("me", "s@cret")
        assert (connection.retry.get_retries(), connection.socket_timeout, pool.max_connections) == (0, 2, 3)
        assert "SSL" in type(connection).__name__


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("unix:///tmp/s?cluster=true", "not a unix socket"),
        ("redis://h/2?cluster=true", "one database"),
        ("redis://h?db=1&cluster=true", "one database"),
        ("redis://h?cluster=maybe", "neither true nor false"),
        ("redis://h?cluster=true&retry=3", "nothing is ever sent twice"),
        ("redis://one,two", "add cluster=true"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str, complaint: str) -> None:
    """What no cluster has, and what would break the promise, is refused when the client is made."""
    with pytest.raises(ValueError, match=complaint):
        connect(url)


def test_a_url_may_say_that_it_is_none() -> None:
    """`cluster=false` is a plain client."""
    assert not isinstance(connect("redis://h?cluster=false"), Cluster)
