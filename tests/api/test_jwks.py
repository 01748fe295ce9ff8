"""A server whose tokens somebody else makes: it believes theirs, makes none, and says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
import typer

from server.auth import Role
from server.cli import serve
from server.settings import Settings
from tests.foreign import jwk, jwks, pair, signed
from tests.problems import assert_problem
from tests.server import ServerProcess, own_server
from tests.stage import Stage
from tests.wire import NO_TLS, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

FAMILY = "ES256"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server with the public keys of somebody else."""
    folder = tmp_path_factory.mktemp("jwks")
    file = folder / "keys.json"
    file.write_bytes(jwks(jwk(pair(FAMILY), kid="a"), jwk(pair(FAMILY, 1), kid="b")))
    with own_server(folder, {"LIVEDROP_JWKS": str(file)}) as process:
        yield process


@pytest.fixture
async def http(foreign: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of it."""
    async with httpx.AsyncClient(base_url=foreign.url, timeout=30, verify=NO_TLS) as client:
        yield client


def theirs(role: Role, subject: str, number: int = 0, kid: str = "a") -> dict[str, str]:
    """Return the header of a token that they made."""
    token = signed(FAMILY, number, {"kid": kid}, role=role.value, sub=subject, shows=["*"])
    return {"Authorization": f"Bearer {token}"}


async def test_both_doors_believe_theirs(foreign: ServerProcess, http: httpx.AsyncClient) -> None:
    """A host of theirs makes a show, a viewer of theirs joins it; revoked, that viewer is sent away."""
    made = await http.post(
        "/v1/shows", headers=theirs(Role.HOST, "hanna"), json={"title": "Theirs", "currency": "EUR"}
    )
    assert made.status_code == 201, made.text
    stage = Stage(foreign, http)
    stage.show = made.json()["id"]
    viewer = theirs(Role.VIEWER, "anna", 1, "b")["Authorization"].removeprefix("Bearer ")
    async with wire(stage, viewer) as socket:
        await socket.lives()
        shop = theirs(Role.SERVICE, "shop")
        revoked = await http.post("/v1/tokens/revoke", headers=shop, json={"sub": "anna"})
        assert revoked.status_code == 200, revoked.text
        assert (await socket.closed())[0] == 3500


async def test_our_own_are_refused(foreign: ServerProcess, http: httpx.AsyncClient) -> None:
    """Also with the right secret, on both doors."""
    stage = Stage(foreign, http)
    own = foreign.token(Role.HOST, "hanna")
    assert_problem(await stage.call("GET", "/v1/shows", own), 401, "unauthenticated", "ES256 is expected")
    made = await http.post(
        "/v1/shows", headers=theirs(Role.HOST, "hanna"), json={"title": "Ours", "currency": "EUR"}
    )
    async with wire(stage, show=made.json()["id"]) as socket:
        await socket.send({"type": "hello", "token": own})
        assert (await socket.closed())[0] == 3500


async def test_it_makes_none(foreign: ServerProcess, http: httpx.AsyncClient) -> None:
    """Over HTTP, and on the command line: the sentence says who does."""
    shop, body = theirs(Role.SERVICE, "shop"), {"sub": "anna", "role": "viewer", "shows": ["*"]}
    answer = await http.post("/v1/tokens", headers=shop, json=body)
    assert_problem(answer, 403, "not-allowed", "LIVEDROP_JWKS", "livedrop makes them")
    done = await asyncio.to_thread(foreign.command, "token", "--role", "host", "--sub", "anna")
    assert (done.returncode, done.stdout) == (1, "")
    assert "this server makes no tokens" in done.stderr


def test_keys_that_cannot_be_used_stop_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A set of two families: `serve` ends with a sentence before it listens."""
    file = tmp_path / "keys.json"
    file.write_bytes(jwks(jwk(pair("ES256"), kid="a"), jwk(pair("EdDSA"), kid="b")))
    settings = Settings(jwks=str(file), data=tmp_path / "data", log_level="error")
    with pytest.raises(typer.Exit) as ended:
        serve.require_keys(settings)
    assert ended.value.exit_code == 1
    assert "its keys are of several families, ES256 and EdDSA; one is expected" in capsys.readouterr().err
