"""A store behind TLS: with an authority of one's own, and with clients that must show who they are.

The bundled Valkey speaks no TLS, so a relay in front of it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import pytest_asyncio

from server.errors import Code, Problem
from server.inventory.outcomes import Held
from server.store.redis import connect, connect_subscriber, reaching, require_supported
from server.store.subscription import Subscription
from tests.houses import house_at, live_show, numbers, open_drop
from tests.store.authority import Authority
from tests.store.relay import HOST, Relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.store.embedded import Embedded


class Behind:
    """A store behind TLS, and what its clients need."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder, "authority")
        self.stranger = Authority(folder, "stranger")
        self.server = self.authority.sign("server", HOST)
        self.client = self.authority.sign("client")
        self.intruder = self.stranger.sign("intruder")
        self.elsewhere = self.authority.sign("elsewhere", "192.0.2.1")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Behind:
    return Behind(tmp_path_factory.mktemp("certificates"))


@pytest_asyncio.fixture
async def relay(private_valkey: Embedded, certificates: Behind) -> AsyncIterator[Relay]:
    """Give a relay that wants certificates of its clients."""
    context = certificates.authority.serving(certificates.server, of_clients=True)
    async with Relay(private_valkey.url, context) as one:
        yield one


def url(relay: Relay, **options: Path) -> str:
    """Return where the store is behind a relay, with options of TLS."""
    words = "&".join(f"{name}={quote(str(value))}" for name, value in options.items())
    return f"rediss://{HOST}:{relay.port}/0?{words}"


def trusted(relay: Relay, certificates: Behind) -> str:
    """Return the URL of somebody whom the store lets in."""
    return url(
        relay,
        ssl_ca_certs=certificates.authority.certificate,
        ssl_certfile=certificates.client.certificate,
        ssl_keyfile=certificates.client.key,
    )


async def test_units_are_sold_over_tls(relay: Relay, certificates: Behind, tmp_path: Path) -> None:
    """With the authority and the client's own certificate in the URL everything is as without TLS."""
    async with house_at(trusted(relay, certificates), tmp_path) as house:
        await require_supported(house.client)
        show = await live_show(house)
        drop = await open_drop(house, show, 2)
        assert isinstance(await house.holds.reserve(show, "ann", "op", drop, 1), Held)
        assert await numbers(house, show, drop) == (1, 1, 0)
    assert relay.taken > 0


async def test_events_are_heard_over_tls(relay: Relay, certificates: Behind) -> None:
    """The subscription is encrypted as well."""
    subscriber, client = (
        connect_subscriber(trusted(relay, certificates)),
        connect(trusted(relay, certificates)),
    )
    async with Subscription(subscriber) as subscription:
        await subscription.hear(b"ld:{x}:live")
        kind, *_ = await subscription.read()
        assert kind == b"ssubscribe"
        await client.spublish("ld:{x}:live", "hello")
        assert tuple(await subscription.read()) == (b"smessage", b"ld:{x}:live", b"hello")
    await subscriber.aclose()
    await client.aclose()


async def test_a_server_that_nobody_vouches_for_is_refused(
    private_valkey: Embedded, certificates: Behind
) -> None:
    """Another authority, or a certificate for another host: `unavailable`, and nothing is sent."""
    for own, trusts in (
        (certificates.server, certificates.stranger),
        (certificates.elsewhere, certificates.authority),
    ):
        async with Relay(private_valkey.url, certificates.authority.serving(own)) as relay:
            client = connect(url(relay, ssl_ca_certs=trusts.certificate))
            with pytest.raises(Problem) as caught, reaching("a test"):
                await client.ping()
            assert caught.value.code is Code.UNAVAILABLE
            await client.aclose()


async def test_clients_that_nobody_vouches_for_are_refused(relay: Relay, certificates: Behind) -> None:
    """Where the store wants to know its clients: none without a certificate, and none with a stranger's."""
    plain = {"ssl_ca_certs": certificates.authority.certificate}
    intruder = {
        "ssl_certfile": certificates.intruder.certificate,
        "ssl_keyfile": certificates.intruder.key,
    }
    for options in (plain, {**plain, **intruder}):
        client = connect(url(relay, **options))
        with pytest.raises(Problem) as caught, reaching("a test"):
            await client.ping()
        assert caught.value.code is Code.UNAVAILABLE
        await client.aclose()


async def test_plain_text_is_no_way_in(relay: Relay) -> None:
    """Who does not speak TLS hears nothing but `unavailable`."""
    client = connect(f"redis://{HOST}:{relay.port}/0?socket_timeout=1")
    with pytest.raises(Problem) as caught, reaching("a test"):
        await client.ping()
    assert caught.value.code is Code.UNAVAILABLE
    await client.aclose()
