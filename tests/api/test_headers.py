"""What every answer carries, and what none does."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from server.api.headers import STRICT_TRANSPORT, SecureHeaders

if TYPE_CHECKING:
    from starlette.requests import Request

    from tests.server import ServerProcess


async def answer(_request: Request) -> Response:
    """Answer with nothing."""
    return Response()


@pytest.mark.parametrize(
    ("strict", "scheme", "told"),
    [(True, "https", STRICT_TRANSPORT), (True, "http", None), (False, "https", None), (False, "http", None)],
)
async def test_who_came_by_https_is_told_to_stay(strict: bool, scheme: str, told: str | None) -> None:  # noqa: FBT001  a case
    """In production alone, and over https alone: over http anybody could have said it (RFC 6797, 7.2)."""
    app = Starlette(routes=[Route("/", answer)], middleware=[Middleware(SecureHeaders, strict=strict)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"{scheme}://shop") as http:
        answered = await http.get("/")
    assert answered.headers.get("strict-transport-security") == told
    assert answered.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /v1/shows HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /v1/shows/sh_x/live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=["health", "problem", "not found", "bad head", "bad handshake"],
)
def test_no_answer_names_its_server(server: ServerProcess, head: bytes) -> None:
    """Whatever is asked, no header tells which software answers, and in development none binds the name to https."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(head)
        said = b"".join(iter(lambda: connection.recv(65_536), b"")).lower()
    assert said.startswith(b"http/1.1 ")
    for name in (b"\r\nserver:", b"\r\nx-powered-by:", b"\r\nstrict-transport-security:"):
        assert name not in said
