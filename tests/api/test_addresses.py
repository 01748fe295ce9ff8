"""Units per network address: a limit over all who share one, told apart behind a proxy that is trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from server import ids
from tests.problems import assert_problem
from tests.server import own_server
from tests.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.server import ServerProcess

SETTINGS = {"LIVEDROP_UNITS_PER_ADDRESS": "2", "LIVEDROP_TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server that limits the units per address and believes what stands before it."""
    with own_server(tmp_path_factory.mktemp("addresses"), SETTINGS) as process:
        yield process


@pytest.fixture
async def stage(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show; after the test its books must balance."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        one = Stage(server, http)
        await one.open()
        yield one
        await one.audit()


async def take(
    stage: Stage, drop: str, address: str, quantity: int = 1, what: str = "reservations"
) -> httpx.Response:
    """Let a new viewer at an address take units of a drop, or queue for them."""
    path = f"/v1/shows/{stage.show}/drops/{drop}/{what}"
    return await stage.http.post(path, headers=headers_of(stage, address), json={"quantity": quantity})


def headers_of(stage: Stage, address: str) -> dict[str, str]:
    """Return the headers of a new viewer at an address."""
    token = f"Bearer {stage.viewer()}"
    return {"Authorization": token, "Idempotency-Key": ids.secret(8), "X-Forwarded-For": address}


async def test_all_who_share_an_address_have_one_limit(stage: Stage) -> None:
    """Two units of a drop per address, whoever asks; another address and another drop have their own."""
    drop, other = await stage.drop(9, limit_per_viewer=9), await stage.drop(9, limit_per_viewer=9)
    assert (await stage.stock(drop))["limit_per_address"] == 2
    for _ in range(2):
        assert (await take(stage, drop, "192.0.2.1")).status_code == 201
    refused = await take(stage, drop, "192.0.2.1")
    assert_problem(refused, 409, "limit-reached", "Asked for 1, the limit per network address is 2.")
    assert_problem(await take(stage, drop, "192.0.2.2", 3), 409, "limit-reached")
    assert (await take(stage, drop, "192.0.2.2", 2)).status_code == 201
    assert (await take(stage, other, "192.0.2.1", 2)).status_code == 201


async def test_an_ipv6_address_counts_with_its_network(stage: Stage) -> None:
    """Whoever has one IPv6 address has 2^64: they share one limit; the next network has its own."""
    drop = await stage.drop(9)
    for address, status in (("2001:db8::1", 201), ("2001:db8::2", 201), ("2001:db8::3", 409)):
        assert (await take(stage, drop, address)).status_code == status
    assert (await take(stage, drop, "2001:db8:0:1::1")).status_code == 201


async def test_a_place_in_the_queue_is_limited_too(stage: Stage) -> None:
    """Who could never be served because of their address does not queue."""
    drop = await stage.drop(2, limit_per_viewer=9)
    assert (await take(stage, drop, "192.0.2.1", 2)).status_code == 201
    refused = await take(stage, drop, "192.0.2.1", what="waitlist")
    assert_problem(refused, 409, "limit-reached", "network address")
    assert (await take(stage, drop, "192.0.2.9", what="waitlist")).json()["position"] == 1


async def test_who_pays_first_is_limited_too(stage: Stage) -> None:
    """What is bought without a hold counts for its address."""
    drop = await stage.drop(9, limit_per_viewer=9, mode="first_paid")
    for status in (201, 409):
        payment = {"method": "card", "token": "tok_ok"}
        body = {"items": [{"drop": drop, "quantity": 2}], "payment": payment}
        answer = await stage.http.post("/v1/checkout", headers=headers_of(stage, "192.0.2.1"), json=body)
        assert answer.status_code == status, answer.text
