"""What a server process is configured with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.cli.running import config, trusted
from server.errors import CLOSE_LEAVING
from server.gateway.front import Front
from server.settings import Settings
from tests.server import ServerProcess
from tests.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

    import uvicorn
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

FORWARDED = [(b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https")]


async def client_of(configured: uvicorn.Config, peer: str) -> tuple[str, str]:
    """Return the address and the scheme that the app sees when `peer` sends X-Forwarded-For and -Proto."""
    configured.load()
    scope: dict[str, Any] = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": FORWARDED}
    await configured.loaded_app(scope, None, None)
    return scope["client"][0], scope["scheme"]


async def nothing(_scope: Scope, _receive: ASGIReceiveCallable, _send: ASGISendCallable) -> None:
    """Be an app."""


@pytest.mark.parametrize(
    ("proxies", "peer", "believed"),
    [
        ((), "127.0.0.1", False),
        (("10.0.0.0/8",), "10.1.2.3", True),
        (("10.0.0.0/8",), "11.1.2.3", False),
        (("10.0.0.0/8",), "127.0.0.1", False),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("10.0.0.0/8",), "::ffff:11.1.2.3", False),
        (("192.0.2.7",), "::ffff:192.0.2.7", True),
        (("2001:db8::/32",), "2001:db8::1", True),
        (("2001:db8::/32",), "2001:db9::1", False),
    ],
)
async def test_only_trusted_proxies_speak_for_others(
    proxies: tuple[str, ...],
    peer: str,
    believed: bool,  # noqa: FBT001  the claim
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """X-Forwarded-For and -Proto count from the named networks alone, also where IPv4 peers come in over IPv6."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own setting, which is none of ours
    seen = await client_of(config(Settings(trusted_proxies=proxies), nothing), peer)
    assert seen == (("203.0.113.7", "https") if believed else (peer, "http"))


def test_the_limits_of_heads_are_those_of_the_settings() -> None:
    """The first protocol of a connection has the limits that were set."""
    http = config(Settings(handshake_seconds=7, header_bytes=4096), nothing).http
    assert isinstance(http, type)
    assert issubclass(http, Front)
    assert (http.head_seconds, http.header_bytes) == (7.0, 4096)


def test_networks_are_given_as_ipv6_sees_them() -> None:
    """An IPv4 network is named as its mapped addresses too."""
    assert trusted(["10.0.0.0/8", "::1"]) == ["10.0.0.0/8", "::1", "::ffff:10.0.0.0/104"]


async def test_a_server_behind_a_proxy_drains(tmp_path: Path) -> None:
    """With the proxy's middleware around the app, SIGTERM still tells the viewers first: close code 3001."""
    server = ServerProcess(tmp_path / "data", settings={"LIVEDROP_TRUSTED_PROXIES": "127.0.0.0/8"}).start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            stage = Stage(server, http)
            await stage.open()
            async with stage.watching() as viewer:
                assert await asyncio.to_thread(server.stop) == 0
                assert (await viewer.until(lambda client: client.closed)).code == CLOSE_LEAVING
    finally:
        server.kill()
