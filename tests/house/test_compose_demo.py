"""docs/compose.demo.yaml: the parts of compose.yaml in development, and one sandbox that they and the buyers reach."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.auth import Role
from tests.composed import COMPOSE, DEMO, SERVICES, usual, worker
from tests.payments.sandboxes import SandboxProcess
from tests.server import ServerProcess
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARTS = ("migrate", "server", "worker")
SANDBOX: dict[str, Any] = DEMO["services"]["sandbox"]
PORT = 8100  # the sandbox's own, inside and, unless another one is published, outside


def test_the_parts_are_those_of_production() -> None:
    """It changes nothing of any part but its settings, the same for each, and adds the sandbox alone."""
    services = DEMO["services"]
    assert services.keys() - SERVICES.keys() == {"sandbox"}
    for name in PARTS:
        assert services[name].keys() == {"environment"}
        assert services[name]["environment"] == {
            "LIVEDROP_ENV": "development",
            "LIVEDROP_SANDBOX_URL": f"http://sandbox:{PORT}",
        }
    assert set(services) == {*PARTS, "sandbox"}
    assert SANDBOX["build"] == SERVICES["server"]["build"]
    assert SANDBOX["image"] == SERVICES["server"]["image"]


def test_production_has_no_sandbox() -> None:
    """What compose.yaml starts alone is production, and names no sandbox."""
    for name in PARTS:
        settings = SERVICES[name]["environment"]
        assert settings["LIVEDROP_ENV"] == "production"
        assert "LIVEDROP_SANDBOX_URL" not in settings
    assert "sandbox" not in SERVICES


def test_the_sandbox_is_where_the_others_and_the_buyers_look() -> None:
    """It has the servers' secret and a volume; its port is published on this machine alone, where its pages are."""
    assert SANDBOX["environment"]["LIVEDROP_SECRET"] == SERVICES["server"]["environment"]["LIVEDROP_SECRET"]
    assert {volume.split(":")[0] for volume in SANDBOX["volumes"]} <= set(DEMO["volumes"])
    assert DEMO["volumes"].keys().isdisjoint(COMPOSE["volumes"])
    assert [usual(port) for port in SANDBOX["ports"]] == [f"127.0.0.1:{PORT}:{PORT}"]
    options = dict(zip(SANDBOX["command"][1::2], SANDBOX["command"][2::2], strict=True))
    assert SANDBOX["command"][0] == "sandbox"
    assert usual(options["--page-url"]) == f"http://localhost:{PORT}"
    assert options["--webhook-url"] == "http://server:8000/v1/payments/sandbox/webhook"
    published = [re.findall(r"\$\{\w+:-8100\}", text) for text in (*SANDBOX["ports"], options["--page-url"])]
    assert published == [["${LIVEDROP_SANDBOX_PUBLISH:-8100}"]] * 2


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """Give server, worker and sandbox with the commands and settings of the two files, but for where they are."""
    one = ServerProcess(tmp_path / "data", options=tuple(SERVICES["server"]["command"][1:]))
    bank = SandboxProcess(tmp_path / "bank")
    bank.options = tuple(
        usual(word)
        .replace("http://server:8000", one.url)
        .replace(f"localhost:{PORT}", f"localhost:{bank.port}")
        for word in SANDBOX["command"][1:]
    )
    settings = DEMO["services"]["server"]["environment"]
    one.settings = {
        name: value.replace(f"http://sandbox:{PORT}", bank.url) for name, value in settings.items()
    }
    try:
        bank.start()
        one.start()
        try:
            with worker(one):
                yield one
        finally:
            assert one.stop() == 0, one.log.read_text()
    finally:
        bank.stop()


@pytest.fixture
def host(server: ServerProcess) -> Iterator[httpx.Client]:
    """Give a client with the host's token."""
    token = {"Authorization": f"Bearer {server.token(Role.HOST, 'host')}"}
    with httpx.Client(base_url=f"{server.url}/v1", headers=token, timeout=10) as http:
        yield http


def test_it_can_be_tried_out(server: ServerProcess, host: httpx.Client) -> None:
    """A buyer pays by iDEAL: the page is at this machine's own address, and approving it makes the order by webhook."""
    feed = "Handle,Title,Variant SKU,Variant Price\nmug,Enamel Mug,MUG,12.50\n"
    host.post("/catalog/import?format=shopify&currency=EUR", content=feed).raise_for_status()
    show = host.post("/shows", json={"title": "Tonight", "currency": "EUR"}).json()["id"]
    host.post(f"/shows/{show}/start").raise_for_status()
    drop = host.post(f"/shows/{show}/drops", json={"sku": "MUG", "quantity": 3}).json()["id"]
    host.post(f"/shows/{show}/drops/{drop}/open").raise_for_status()
    buyer = {
        "Authorization": f"Bearer {server.token(Role.VIEWER, 'buyer', show)}",
        "Idempotency-Key": "one",
    }
    held = host.post(f"/shows/{show}/drops/{drop}/reservations", json={"quantity": 1}, headers=buyer)
    body = {
        "reservations": [held.json()["id"]],
        "payment": {"method": "ideal", "token": "tok_ok"},
        "shipping_address": {"country": "NL"},
    }
    answer = host.post("/checkout", json=body, headers=buyer)
    assert answer.status_code == 202, answer.text
    page = answer.json()["order"]["action_url"]
    assert page.startswith("http://localhost:")
    httpx.post(page, data={"verdict": "approve"}).raise_for_status()

    def status() -> list[str]:
        return [order["status"] for order in host.get(f"/shows/{show}/orders").json()["items"]]

    wait_until(lambda: status() == ["paid"], "the order is paid")
