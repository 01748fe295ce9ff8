"""Local methods from the checkout to the paid order, over HTTP: a server, and a sandbox that tells it, or does not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server import ids
from server.payments.bank.process import note
from server.store.redis import connect
from tests.deadlines import end_lease
from tests.payments.sandboxes import KEY, SandboxProcess
from tests.server import ServerProcess, own_server
from tests.stage import Stage
from tests.waiting import wait_for
from tests.wire import NO_TLS, differences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PLACES = {
    "ideal": ("EUR", "NL"),
    "alipay": ("EUR", "CN"),
    "wechat_pay": ("CNY", "CN"),
    "upi": ("INR", "IN"),
    "boleto": ("BRL", "BR"),
    "pix": ("BRL", "BR"),
    "mpesa": ("KES", "KE"),
}
SOON_SECONDS = 10.0  # a worker looks at an order that waits for its buyer every 15 s: that is not who it was


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """Give a `livedrop sandbox` that was not told whom to tell."""
    one = SandboxProcess(tmp_path_factory.mktemp("bank"))
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture(scope="module")
def server(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server with its workers whose money is at that sandbox."""
    folder = tmp_path_factory.mktemp("local")
    with own_server(folder, {"LIVEDROP_SANDBOX_URL": sandbox.url}) as one:
        yield one


@asynccontextmanager
async def selling_in(server: ServerProcess, currency: str) -> AsyncIterator[Stage]:
    """Give a live show in a currency, with a mug that is priced in it."""
    feed = f"Handle,Title,Variant SKU,Variant Price\nmug-{currency},Mug,{currency},12.50\n"
    async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
        stage = Stage(server, http)
        imported = await stage.host("POST", f"/v1/catalog/import?currency={currency}", content=feed)
        assert imported.status_code == 200, imported.text
        made = await stage.host("POST", "/v1/shows", json={"title": "A test", "currency": currency})
        stage.show = made.json()["id"]
        assert (await stage.host("POST", f"/v1/shows/{stage.show}/start")).status_code == 200
        yield stage
        assert await differences(server, stage.show) == []


async def buy(stage: Stage, buyer: str, reservation: str, method: str) -> httpx.Response:
    """Pay a reservation by a method, where that is offered."""
    currency, country = PLACES[method]
    offered = await stage.call("GET", f"/v1/payments/methods?currency={currency}&country={country}", buyer)
    listed = {each["method"]: each["synchronous"] for each in offered.json()["items"]}
    assert listed[method] is False
    body = {
        "reservations": [reservation],
        "payment": {"method": method, "token": "tok_ok"},
        "shipping_address": {"country": country},
    }
    return await stage.call("POST", "/v1/checkout", buyer, key=ids.secret(8), json=body)


async def press(order: dict[str, Any], verdict: str) -> None:
    """Do the buyer's part on the page that the order names."""
    async with httpx.AsyncClient(verify=NO_TLS) as browser:
        page = await browser.get(order["action_url"])
        assert f'value="{verdict}"' in page.text
        assert (await browser.post(order["action_url"], data={"verdict": verdict})).status_code == 200


async def recorded(stage: Stage, order: str) -> str:
    """Return the order's status in the host's list, which asks no provider; empty where it is not there."""
    listed = await stage.host("GET", f"/v1/shows/{stage.show}/orders")
    return next((each["status"] for each in listed.json()["items"] if each["id"] == order), "")


@pytest.mark.parametrize("method", PLACES)
@pytest.mark.parametrize("who", ["webhook", "return", "worker"])
async def test_a_local_method_is_paid(
    server: ServerProcess, sandbox: SandboxProcess, method: str, who: str
) -> None:
    """202 with a page, nothing sold; once it is approved the webhook, the buyer or a worker alone makes the order."""
    hears = f"{server.url}/v1/payments/sandbox/webhook"
    note(sandbox.data, hears if who == "webhook" else "")
    async with selling_in(server, PLACES[method][0]) as stage:
        buyer, drop = stage.viewer(), await stage.drop(1, sku=PLACES[method][0])
        held = (await stage.reserve(buyer, drop)).json()["id"]
        answer = await buy(stage, buyer, held, method)
        assert answer.status_code == 202, answer.text
        order = answer.json()["order"]
        assert (order["status"], order["payment"]["status"]) == ("requires_action", "pending")
        assert stage.numbers(await stage.stock(drop)) == (0, 1, 0)
        await press(order, "approve")
        if who == "return":
            seen = await stage.call("GET", f"/v1/orders/{order['id']}", buyer)
            assert seen.json()["status"] == "paid", seen.text
        elif who == "worker":
            async with connect(server.store_url) as client:
                await end_lease(client, stage.show, order["id"])

        async def paid() -> bool:
            return await recorded(stage, order["id"]) == "paid"

        await wait_for(paid, "the order is paid", SOON_SECONDS)
        assert stage.numbers(await stage.stock(drop)) == (0, 0, 1)
        async with httpx.AsyncClient(base_url=sandbox.url, headers=KEY, verify=NO_TLS) as http:
            payment = (await http.get(f"/payments/{order['id']}")).json()
        assert (payment["status"], payment["captured"]) == ("captured", order["total"])


async def test_a_buyer_who_lets_a_voucher_lapse_pays_by_card(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    """The order is cancelled, the unit is still the buyer's, and the next payment, by card, is done at once."""
    note(sandbox.data, "")
    async with selling_in(server, "BRL") as stage:
        buyer, drop = stage.viewer(), await stage.drop(1, sku="BRL")
        held = (await stage.reserve(buyer, drop)).json()["id"]
        order = (await buy(stage, buyer, held, "boleto")).json()["order"]
        await press(order, "decline")
        seen = await stage.call("GET", f"/v1/orders/{order['id']}", buyer)
        assert seen.json()["status"] == "cancelled", seen.text
        assert (await stage.pay(buyer, held)).status_code == 201
        assert stage.numbers(await stage.stock(drop)) == (0, 0, 1)
