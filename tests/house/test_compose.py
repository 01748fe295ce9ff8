"""compose.yaml names every part, the parts work together, and no secret stands in a file."""

from __future__ import annotations

import re
import shutil
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from server.auth import Role
from server.clock import now_ms
from tests.composed import COMPOSE, PASSWORD, SERVICES, usual, valkey, worker
from tests.postgres import start_postgres
from tests.server import ServerProcess
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


OF_PROVIDERS = {
    "LIVEDROP_STRIPE_SECRET_KEY",
    "LIVEDROP_STRIPE_WEBHOOK_SECRET",
}  # without them nothing is paid


def test_it_names_the_parts() -> None:
    """Server, worker, Valkey and PostgreSQL, and the migration that runs once before them."""
    assert set(SERVICES) == {"server", "worker", "valkey", "postgres", "migrate"}
    assert SERVICES["server"]["command"] == ["serve", "--no-work"]
    assert SERVICES["worker"]["command"] == ["work"]
    assert SERVICES["migrate"]["command"] == ["migrate"]
    assert SERVICES["migrate"]["restart"] == "no"


def test_valkey_keeps_what_it_acknowledged() -> None:
    """Valkey writes an append-only file into a volume, and refuses rather than evicts when memory is full."""
    command = SERVICES["valkey"]["command"]
    settings = dict(zip(command[1::2], command[2::2], strict=True))
    assert settings["--appendonly"] == "yes"
    assert settings["--appendfsync"] == "always"
    assert settings["--maxmemory-policy"] == "noeviction"
    assert SERVICES["valkey"]["volumes"] == ["valkey:/data"]


@pytest.mark.parametrize("name", ["valkey", "postgres"])
def test_the_stores_keep_their_data_and_tell_their_health(name: str) -> None:
    """Each store has a named volume and a health check, and no port open to the outside."""
    service = SERVICES[name]
    assert {volume.split(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])
    assert service["healthcheck"]["test"]
    assert "ports" not in service


@pytest.mark.parametrize("name", ["server", "worker"])
def test_nothing_starts_before_what_it_needs(name: str) -> None:
    """Server and worker wait for healthy stores and for the finished migration."""
    waits = {part: how["condition"] for part, how in SERVICES[name]["depends_on"].items()}
    assert waits == {
        "migrate": "service_completed_successfully",
        "valkey": "service_healthy",
        "postgres": "service_healthy",
    }


@pytest.mark.parametrize("name", ["server", "worker", "migrate", "postgres", "valkey"])
def test_secrets_come_from_the_environment(name: str) -> None:
    """Every secret is given from outside; without one that nothing works without, compose stops with a sentence."""
    for variable, value in SERVICES[name]["environment"].items():
        if variable.endswith(("SECRET", "PASSWORD", "KEY")):
            assert value.startswith(
                f"${{{variable}:-}}" if variable in OF_PROVIDERS else f"${{{variable}:?"
            ), variable
        assert "PASSWORD" not in value or re.search(r"\$\{(POSTGRES|VALKEY)_PASSWORD:\?", value)


def test_the_store_has_a_password() -> None:
    """Who has none is refused by Valkey, and production refuses a store that has none: both are given the same."""
    command = SERVICES["valkey"]["command"]
    asked = command[command.index("--requirepass") + 1]
    assert asked.startswith("${VALKEY_PASSWORD:?")
    assert SERVICES["server"]["environment"]["REDIS_URL"] == f"redis://:{asked}@valkey:6379/0"
    assert SERVICES["valkey"]["environment"] == {"REDISCLI_AUTH": asked}


def settings_of(name: str) -> dict[str, str]:
    """Return what compose would set for a service when only the secrets are given."""
    return {variable: usual(raw) for variable, raw in SERVICES[name]["environment"].items()}


@contextmanager
def postgres() -> Iterator[str]:
    """Run PostgreSQL and give the URL of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="ld-pg-"))
    try:
        server = start_postgres(folder)
        try:
            yield server.fresh()
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def test_the_parts_work_together(tmp_path: Path) -> None:
    """With compose's settings and commands tables are made, the server serves, the worker opens in time."""
    settings = settings_of("server")
    assert settings == settings_of("worker") == settings_of("migrate")
    assert settings["LIVEDROP_ENV"] == "production"
    with valkey(tmp_path) as address, postgres() as database:
        server = ServerProcess(tmp_path / "data", options=tuple(SERVICES["server"]["command"][1:]))
        server.settings = {
            **settings,
            "REDIS_URL": settings["REDIS_URL"].replace(f":{PASSWORD}@valkey:6379", address),
            "DATABASE_URL": database,
        }
        migrated = server.command(*SERVICES["migrate"]["command"])
        assert migrated.returncode == 0, migrated.stderr
        assert "Applied" in migrated.stdout
        server.start()
        try:
            with worker(server) as process:
                open_on_time(server)
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0, server.log.read_text()
        finally:
            assert server.stop() == 0, server.log.read_text()


def open_on_time(server: ServerProcess) -> None:
    """Plan a drop that opens a second from now, and wait until somebody has opened it."""
    feed = "Handle,Title,Variant SKU,Variant Price\nmug,Enamel Mug,MUG,12.50\n"
    token = {"Authorization": f"Bearer {server.token(Role.HOST, 'host')}"}
    with httpx.Client(base_url=f"{server.url}/v1", headers=token, timeout=10) as http:
        imported = http.post("/catalog/import?format=shopify&currency=EUR", content=feed)
        assert imported.json()["created"] == 1, imported.text
        show = http.post("/shows", json={"title": "Tonight", "currency": "EUR"}).json()["id"]
        http.post(f"/shows/{show}/start").raise_for_status()
        terms = {"sku": "MUG", "quantity": 3, "opens_at": now_ms() + 1_000}
        drop = http.post(f"/shows/{show}/drops", json=terms).raise_for_status().json()
        path = f"/shows/{show}/drops/{drop['id']}"
        assert drop["status"] == "scheduled"
        wait_until(lambda: http.get(path).json()["status"] == "open", "the worker has opened the drop")
