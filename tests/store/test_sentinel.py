"""URLs of sentinels are read, and the options of the store and of its sentinels kept apart."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio.connection import SSLConnection

from server.settings import Settings, SettingsError
from server.store.redis import connect, connect_subscriber
from server.store.sentinel import GuidedConnection, GuidedTLSConnection, named, parted

URL = "redis+sentinel://ann:secret@one:1,two/shop/2?sentinel_password=other&socket_timeout=0.5"


def test_a_url_names_a_primary_and_its_sentinels() -> None:
    """Hosts with and without a port, the name, and the rest as an ordinary URL."""
    found = named(URL)
    assert found is not None
    assert (found.name, found.sentinels) == ("shop", (("one", 1), ("two", 26379)))
    assert found.url.startswith("redis://ann:secret@primary/2?")


def test_a_host_may_be_an_address() -> None:
    """IPv6 addresses stand in brackets."""
    found = named("rediss+sentinel://[::1]:5,10.0.0.1/shop")
    assert found is not None
    assert found.sentinels == (("::1", 5), ("10.0.0.1", 26379))


@pytest.mark.parametrize("url", ["redis://one:1/0", "rediss://one", "unix:///a", "redis://a,b?cluster=true"])
def test_other_urls_are_no_sentinels(url: str) -> None:
    """Whatever does not say so is none."""
    assert named(url) is None


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("redis+sentinel://one:1", "no primary"),
        ("redis+sentinel://one:1/", "no primary"),
        ("redis+sentinel://one:1,/shop", "without a host"),
        ("redis+sentinel://one:x/shop", "[Pp]ort"),
        ("redis+sentinel://one/shop?retry=3", "retry"),
        ("valkey+sentinel://one/shop", "scheme"),
    ],
)
def test_a_wrong_url_is_a_value_error(url: str, complaint: str) -> None:
    """It is refused when the client is made, by what is wrong with it."""
    with pytest.raises(ValueError, match=complaint):
        connect(url)


async def test_the_store_and_its_sentinels_have_options_of_their_own() -> None:
    """User, password, database and time-outs are the store's; `sentinel_…` the sentinels'; nothing is repeated."""
    for client in (connect(URL), connect_subscriber(URL)):
        pool: Any = client.connection_pool
        connection = pool.make_connection()
        assert type(connection) is GuidedConnection
        assert (connection.username, connection.password, connection.db) == ("ann", "secret", 2)
        assert connection.retry.get_retries() == 0
        first: Any = connection._finder._sentinels[0].connection_pool
        asked = first.make_connection()
        assert (asked.host, asked.port, asked.username, asked.password) == ("one", 1, None, "other")
        assert asked.retry.get_retries() == 0
        await client.aclose()


async def test_tls_is_for_all_of_them() -> None:
    """With `rediss+sentinel` the sentinels are asked over TLS as well, by the same authority."""
    client = connect("rediss+sentinel://one/shop?ssl_ca_certs=/ca.pem")
    pool: Any = client.connection_pool
    connection = pool.make_connection()
    assert type(connection) is GuidedTLSConnection
    first: Any = connection._finder._sentinels[0].connection_pool
    asked = first.make_connection()
    assert type(asked) is SSLConnection
    assert connection.ca_certs == asked.ca_certs == "/ca.pem"
    await client.aclose()


def test_options_are_parted() -> None:
    """What is the sentinels' is not the store's."""
    ours, theirs = parted({"host": "primary", "db": 1, "sentinel_username": "u", "sentinel_password": "p"})
    assert theirs == {"username": "u", "password": "p"}
    assert ours == {"db": 1, "connection_class": GuidedConnection}


def test_the_setting_takes_such_a_url() -> None:
    """`REDIS_URL` may name sentinels, and nothing that only looks like it."""
    assert Settings.load({"REDIS_URL": URL}).redis_url == URL
    with pytest.raises(SettingsError, match="REDIS_URL"):
        Settings.load({"REDIS_URL": "redis+sentry://one/shop"})
