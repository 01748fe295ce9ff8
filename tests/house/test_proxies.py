"""nginx and HAProxy in front, with the files of docs/proxies: what must pass passes, and what must not does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from server import ids
from server.auth import Role
from server.protocol.codec import Codec
from tests.house.proxies import FOLDER, NAME, MissingError, Proxy, binary, put_in, running
from tests.problems import assert_problem
from tests.server import own_server
from tests.wire import shared_show, stage_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.server import ServerProcess
    from tests.stage import Stage

SETTINGS = {"LIVEDROP_TRUSTED_PROXIES": "127.0.0.1", "LIVEDROP_UNITS_PER_ADDRESS": "2"}
ANN, BOB = "127.0.0.2", "127.0.0.3"  # addresses that viewers come from; the proxy itself is 127.0.0.1
BAD_REQUEST, TOO_LARGE = 400, 413


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server that believes its proxy, and limits the units per address."""
    with own_server(tmp_path_factory.mktemp("proxied"), SETTINGS) as process:
        yield process


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def proxy(
    request: pytest.FixtureRequest, server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """Give each proxy, in front of that server."""
    with running(request.param, tmp_path_factory.mktemp(request.param), server.port) as one:
        yield one


@pytest.fixture(scope="module")
def show(server: ServerProcess) -> Iterator[str]:
    """Give one live show, whose books must balance at the end."""
    yield from shared_show(server)


@pytest.fixture
async def stage(server: ServerProcess, show: str) -> AsyncIterator[Stage]:
    """Give a stage on that show."""
    async for each in stage_of(server, show):
        yield each


def client(proxy: Proxy, address: str = ANN) -> httpx.AsyncClient:
    """Return a client that comes to the proxy from an address of this machine."""
    transport = httpx.AsyncHTTPTransport(verify=proxy.trust, local_address=address)
    return httpx.AsyncClient(base_url=proxy.url, transport=transport, timeout=30)


def asking(stage: Stage, **more: str) -> dict[str, str]:
    """Return the headers of a new viewer's request."""
    return {"Authorization": f"Bearer {stage.viewer()}", "Idempotency-Key": ids.secret(8), **more}


async def test_pages_and_calls_pass(proxy: Proxy, stage: Stage) -> None:
    """The viewer's page and the calls of its buttons come through, under TLS; plain http is sent there."""
    async with client(proxy) as http:
        page = await http.get(f"/watch/{stage.show}")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        drop = await stage.drop(5)
        path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
        held = await http.post(path, headers=asking(stage), json={"quantity": 1})
        assert held.status_code == 201, held.text
    async with httpx.AsyncClient() as plain:
        sent = await plain.get(f"http://127.0.0.1:{proxy.plain_port}/watch/{stage.show}")
    assert (sent.status_code, sent.headers["location"].startswith("https://")) == (308, True)


async def test_a_websocket_passes_and_addresses_are_the_viewers(proxy: Proxy, stage: Stage) -> None:
    """Hello and a reservation by websocket; the server knows the viewer's address, and no other that is claimed.

    Two units per address: one by websocket and one by HTTP are Ann's, whatever her headers say; Bob has his own.
    """
    drop = await stage.drop(9, limit_per_viewer=9)
    path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
    async with connect(
        f"wss://{NAME}:{proxy.port}/v1/shows/{stage.show}/live",
        host="127.0.0.1",
        ssl=proxy.trust,
        server_hostname=NAME,
        local_addr=(ANN, 0),
        subprotocols=[Subprotocol(Codec.JSON.value)],
        additional_headers={"X-Forwarded-For": "192.0.2.8"},
        proxy=None,
    ) as socket:
        await socket.send(json.dumps({"type": "hello", "token": stage.viewer()}))
        assert json.loads(await socket.recv())["type"] == "welcome"
        await socket.send(json.dumps({"type": "reserve", "id": "one", "drop": drop, "quantity": 1}))
        answer: dict[str, Any] = {}
        while answer.get("id") != "one":
            answer = json.loads(await socket.recv())
        assert answer["type"] == "reservation", answer
    async with client(proxy, ANN) as ann, client(proxy, BOB) as bob:
        forged = {"X-Forwarded-For": "192.0.2.9"}
        second = await ann.post(path, headers=asking(stage, **forged), json={"quantity": 1})
        assert second.status_code == 201, second.text
        third = await ann.post(path, headers=asking(stage, **forged), json={"quantity": 1})
        assert_problem(third, 409, "limit-reached", "Asked for 1, the limit per network address is 2.")
        other = await bob.post(path, headers=asking(stage), json={"quantity": 2})
        assert other.status_code == 201, other.text


async def test_figures_are_not_for_everybody(proxy: Proxy) -> None:
    """/metrics is not there for who comes through the proxy; whether the process lives may be asked."""
    async with client(proxy) as http:
        assert (await http.get("/metrics")).status_code == 404
        assert (await http.get("/healthz")).status_code == 200


async def test_what_is_too_large_ends_at_the_proxy(proxy: Proxy, stage: Stage) -> None:
    """A head of 20 KB is refused with 4xx, and a body above its limit with 413; a feed may be larger."""
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n"
    status = int(proxy.raw(head).split(maxsplit=2)[1])
    assert BAD_REQUEST <= status < 500, status
    async with client(proxy) as http:
        big = await http.post("/v1/shows", headers=asking(stage), content=b"x" * 70_000)
        assert big.status_code == TOO_LARGE
        feed = b"Handle,Title,Variant SKU,Variant Price\n" + b"cup,Cup,CUP,3.50\n" * 5000
        token = stage.server.token(Role.HOST, "host")
        taken = await http.post(
            "/v1/catalog/import?currency=EUR", headers={"Authorization": f"Bearer {token}"}, content=feed
        )
        assert taken.status_code == 200, taken.text


def test_a_slow_head_is_cut(proxy: Proxy) -> None:
    """Who begins a request and goes silent is let go by the proxy, without an answer or with 408."""
    said = proxy.raw(b"GET /healthz HTTP/1.1\r\nHost: local")
    assert not said or said.split(maxsplit=2)[1] == b"408", said


def test_a_proxy_that_is_not_installed_is_said() -> None:
    """Nothing is skipped: the tests fail and name the package."""
    with pytest.raises(MissingError, match="apt-get install no-such-proxy"):
        binary("no-such-proxy")


def test_a_value_that_went_missing_is_said() -> None:
    """What is replaced must stand in the file, or the tests would test another one."""
    with pytest.raises(AssertionError, match="does not stand"):
        put_in((FOLDER / "nginx.conf").read_text(encoding="utf-8"), {"listen 4430": ""})
