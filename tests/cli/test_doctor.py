"""`livedrop doctor`: each verdict by what it judges, looks that always end, a deployment left as it was."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from typer.testing import CliRunner

from server.cli.doctor import examination, ledger, machine, store
from server.cli.doctor.finding import Finding, Verdict, fine, warning, worst, wrong
from server.cli.doctor.looking import Look, answered, aside
from server.cli.main import cli
from server.ledger.engines import FILE_NAME
from server.settings import Settings
from server.store.redis import connect
from tests.foreign import jwk, jwks, pair
from tests.ledgers import give_ledger
from tests.server import SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from server.store.embedded import Embedded
    from server.store.redis import Redis

FINE, WARNING, WRONG = Verdict
MEGABYTE = 1 << 20
GIGABYTE = 1 << 30
VALKEY = {"valkey_version": "8.1.8", "maxmemory_policy": "noeviction"}
AOF = {"aof_enabled": 1}
LIVE = Settings(
    env="production", secret=SECRET, stripe_secret_key="sk_live_1", stripe_webhook_secret="whsec_1"
)
DEVELOPMENT = Settings()


def changed(settings: Settings, **fields: Any) -> Settings:
    """Return other settings."""
    return msgspec.structs.replace(settings, **fields)


ASKS = {"ping", "info", "time", "config|get", "script|load", "hello", "select", "client|setinfo"}
CHECKS = {
    "store: version",
    "store: role",
    "store: eviction",
    "store: persistence",
    "store: memory",
    "store: latency",
    "store: clock",
    "store: scripts",
    "ledger: tables",
    "ledger: commits",
    "ledger: latency",
    "webhooks: endpoints",
    "webhooks: messages",
    "disk: data folder",
    "environment",
    "secret",
    "payments",
    "allowed origins",
    "trusted proxies",
    "machine: open files",
    "machine: processors",
}

CASES: list[tuple[Finding, Verdict, str]] = [
    (store.version(VALKEY, clustered=False), FINE, "Valkey 8.1.8"),
    (store.version({"redis_version": "6.2.1"}, clustered=False), WRONG, "Redis 6.2.1"),
    (store.version({**VALKEY, "cluster_enabled": 1}, clustered=False), WRONG, "Valkey"),
    (store.version({**VALKEY, "cluster_enabled": 1}, clustered=True), FINE, "in a cluster"),
    (store.role({"role": "master", "connected_slaves": 2}), FINE, "2 replicas"),
    (store.role({"role": "slave"}), WRONG, "a replica"),
    (store.eviction(VALKEY), FINE, "noeviction"),
    (store.eviction({"maxmemory_policy": "allkeys-lru"}), WRONG, "allkeys-lru"),
    (store.persistence(AOF, "always", production=True), FINE, "appendfsync always"),
    (store.persistence(AOF, "everysec", production=False), FINE, "everysec"),
    (store.persistence(AOF, "everysec", production=True), WARNING, "everysec"),
    (store.persistence(AOF, "no", production=False), WARNING, "appendfsync no"),
    (store.persistence(AOF, "", production=True), FINE, "not told"),
    (store.persistence({"aof_enabled": 0}, "always", production=True), WRONG, "appendonly no"),
    (store.persistence({"aof_enabled": 0}, "always", production=False), WARNING, "appendonly no"),
    (
        store.persistence({**AOF, "aof_last_write_status": "err"}, "always", production=False),
        WRONG,
        "the last write failed",
    ),
    (store.memory({"used_memory": 5 * MEGABYTE}), FINE, "5 MB used, no maxmemory"),
    (store.memory({"used_memory": 3 * GIGABYTE, "total_system_memory": 4 * GIGABYTE}), WARNING, "4096 MB"),
    (store.memory({"used_memory": 50, "maxmemory": 100}), FINE, "left under maxmemory"),
    (store.memory({"used_memory": 80, "maxmemory": 100}), WARNING, "left under maxmemory"),
    (store.memory({"used_memory": 95, "maxmemory": 100}), WRONG, "left under maxmemory"),
    (store.latency([0.0002] * 200), FINE, "p50 0.20 ms, p99 0.20 ms of 200 pings"),
    (store.latency([0.006] * 10), WARNING, "p50 6.00 ms"),
    (store.latency([0.0002] * 97 + [0.06] * 3), WARNING, "p99 60.00 ms"),
    (store.clock(-400), FINE, "400 ms behind"),
    (store.clock(1001), WARNING, "1001 ms ahead of"),
    (ledger.tables(empty=False, current=True, newer=False), FINE, "of this version"),
    (ledger.tables(empty=True, current=False, newer=False), WARNING, "none yet"),
    (ledger.tables(empty=False, current=False, newer=False), WRONG, "older"),
    (ledger.tables(empty=False, current=False, newer=True), WRONG, "newer"),
    (ledger.durable({"journal": "wal", "synchronous": "full"}), FINE, "synchronous full"),
    (ledger.durable({"synchronous_commit": "on", "fsync": "on", "full_page_writes": "on"}), FINE, "fsync on"),
    (ledger.durable({"synchronous_commit": "on", "fsync": "off"}), WRONG, "fsync off"),
    (ledger.durable({"synchronous_commit": "off", "fsync": "on"}), WRONG, "synchronous_commit off"),
    (ledger.durable({"synchronous_commit": "on", "recovery": "on"}), WRONG, "recovery on"),
    (ledger.quick([0.001, 0.001, 0.5]), FINE, "1.00 ms a look"),
    (ledger.quick([0.03] * 3), WARNING, "30.00 ms"),
    (ledger.places(20, 100), FINE, "20 of 100"),
    (ledger.places(95, 100), WARNING, "95 of 100"),
    (ledger.room("disk", 9 * GIGABYTE, 10 * GIGABYTE, production=True), FINE, "9216 MB free of 10240 MB"),
    (ledger.room("disk", GIGABYTE, 10 * GIGABYTE, production=True), WARNING, "1024 MB"),
    (ledger.room("disk", GIGABYTE, 10 * GIGABYTE, production=False), FINE, "1024 MB"),
    (ledger.room("disk", 100 * MEGABYTE, 10 * GIGABYTE, production=False), WRONG, "100 MB"),
    (machine.files(65_536, 20_000, production=True), FINE, "65536 may be open"),
    (machine.files(1024, 20_000, production=True), WRONG, "20256 are needed"),
    (machine.files(1024, 20_000, production=False), WARNING, "20256 are needed"),
    (machine.processors(4, 0), FINE, "4 processors"),
    (machine.processors(2, 3), WARNING, "2 processors for 3"),
    (machine.secret("", production=False), FINE, "made and kept"),
    (machine.secret("gT9x-2QmWp7Zr4LkVb8Ns1Yd6Hf3Jc0a", production=True), FINE, "32 bytes"),
    (machine.secret("ab" * 20, production=True), WRONG, "2 different"),
    (machine.secret("ab" * 20, production=False), WARNING, "2 different"),
    (machine.money(LIVE), FINE, "Stripe"),
    (machine.money(changed(LIVE, stripe_webhook_secret="")), WARNING, "without webhooks"),
    (machine.money(changed(LIVE, stripe_secret_key="sk_test_1")), WARNING, "test key"),
    (machine.money(changed(LIVE, stripe_secret_key="")), WRONG, "no provider"),
    (machine.money(DEVELOPMENT), FINE, "a private sandbox"),
    (machine.origins(changed(LIVE, allowed_origins=("https://shop.example",))), FINE, "https://shop.example"),
    (machine.origins(changed(LIVE, allowed_origins=("*",))), WARNING, "*"),
    (
        machine.origins(changed(LIVE, allowed_origins=("http://shop.example",))),
        WARNING,
        "http://shop.example",
    ),
    (
        machine.proxies(changed(LIVE, trusted_proxies=("10.0.0.0/8", "192.0.2.7"))),
        FINE,
        "10.0.0.0/8, 192.0.2.7",
    ),
    (machine.proxies(LIVE), WARNING, "none"),
    (machine.proxies(changed(LIVE, trusted_proxies=("0.0.0.0/0",))), WRONG, "0.0.0.0/0"),
    (machine.surroundings(LIVE), FINE, "production on 127.0.0.1"),
    (machine.surroundings(DEVELOPMENT), FINE, "development on 127.0.0.1"),
    (machine.surroundings(changed(DEVELOPMENT, host="0.0.0.0")), WARNING, "0.0.0.0"),  # noqa: S104  it is judged
]


@pytest.mark.parametrize(("finding", "verdict", "found"), CASES)
def test_a_verdict(finding: Finding, verdict: Verdict, found: str) -> None:
    """What is found is said with its number; whatever is not fine comes with what to do, as a sentence."""
    assert finding.verdict is verdict, finding
    assert found in finding.found
    assert finding.advice.endswith(".") or "livedrop migrate" in finding.advice or verdict is FINE
    assert (finding.advice == "") is (verdict is FINE)


def test_messages_are_judged_by_who_waits() -> None:
    """A disabled endpoint, what is parked, and what waits for more than an hour are worth a warning."""

    def judged(messages: ledger.Messages) -> list[Verdict]:
        return [finding.verdict for finding in ledger.told_shop(messages)]

    assert judged(ledger.Messages()) == [FINE, FINE]
    assert judged(ledger.Messages({"enabled": 2}, {"delivered": 9, "waiting": 3}, 60_000)) == [FINE, FINE]
    assert judged(ledger.Messages({"disabled": 1}, {"parked": 1})) == [WARNING, WARNING]
    assert judged(ledger.Messages({}, {"waiting": 1}, 2 * 3_600_000)) == [FINE, WARNING]


def test_the_gravest_verdict_counts() -> None:
    """One thing that is wrong outweighs any number of warnings; nothing found is fine."""
    assert worst([fine("a", ""), wrong("b", "", "."), warning("c", "", ".")]) is WRONG
    assert worst([warning("c", "", "."), fine("a", "")]) is WARNING
    assert worst([]) is FINE


async def test_a_look_without_an_answer_ends() -> None:
    """Neither what waits for ever nor what blocks a thread keeps the doctor: it says for how long it waited."""
    never, freed = asyncio.Event(), threading.Event()

    async def waits() -> list[Finding]:
        await never.wait()
        return []

    async def blocks() -> list[Finding]:
        await aside(freed.wait)
        return []

    async def breaks() -> list[Finding]:
        raise OSError("it is gone\nand so on")

    try:
        for ask in (waits, blocks):
            (found,) = await answered(Look("it", ask, "Look there."), seconds=0.05)
            assert found == wrong("it", "no answer in 0.05 s", "Look there.")
    finally:
        freed.set()
    (found,) = await answered(Look("it", breaks, "Look there."))
    assert found == wrong("it", "OSError: it is gone", "Look there.")


async def test_what_is_run_aside_comes_back() -> None:
    """A thread's result and its error are its caller's."""
    assert await aside(lambda: 7) == 7
    nothing: dict[str, int] = {}
    with pytest.raises(KeyError):
        await aside(lambda: nothing["x"])


async def test_a_deployment_is_looked_at_and_left_as_it_was(private_valkey: Embedded, tmp_path: Path) -> None:
    """With a real store and a real ledger every check has an answer; the store is only asked, the ledger only read."""
    give_ledger(tmp_path)
    settings = Settings(redis_url=private_valkey.url, data=tmp_path, secret=SECRET)
    client = connect(private_valkey.url)
    before, content = await _carried_out(client), _content(tmp_path / FILE_NAME)
    findings = await examination._findings(settings, 0)
    after = await _carried_out(client)
    await client.aclose()
    assert {name for name, calls in after.items() if calls > before.get(name, 0)} <= ASKS
    assert _content(tmp_path / FILE_NAME) == content
    known = {finding.check: finding for finding in findings}
    assert known.keys() >= CHECKS
    asked = [each for each in findings if each.check.startswith(("store", "ledger"))]
    assert worst(asked) is not WRONG, asked
    assert known["store: scripts"].verdict is known["ledger: tables"].verdict is FINE


async def _carried_out(client: Redis) -> dict[str, int]:
    """Return how often the store has carried each command out."""
    told = await client.info("commandstats")
    return {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in told.items()}


def _content(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


async def test_a_store_that_is_not_there_is_wrong(tmp_path: Path) -> None:
    """Where nobody listens, each look at the store says so; the rest is looked at all the same."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # taken and not listened at
        url = f"redis://127.0.0.1:{taken.getsockname()[1]}"
        findings = await examination._findings(Settings(redis_url=url, data=tmp_path, secret=SECRET), 0)
    verdicts = {finding.check: finding.verdict for finding in findings}
    assert verdicts["store"] is verdicts["store: latency"] is verdicts["store: scripts"] is WRONG
    assert verdicts["ledger: file"] is WARNING
    assert not (tmp_path / FILE_NAME).exists()


async def test_the_keys_of_others_are_read_as_at_a_start(tmp_path: Path) -> None:
    """With LIVEDROP_JWKS the set is looked at: its algorithm is told, and a set that is missing or none is wrong."""
    file = tmp_path / "keys.json"
    settings = Settings(data=tmp_path, secret=SECRET, jwks=str(file))

    async def keys() -> Finding:
        found = await examination._findings(settings, 0)
        return next(each for each in found if each.check == "keys")

    assert (await keys()).verdict is WRONG
    file.write_bytes(jwks())
    assert "it has 0 keys" in (await keys()).found
    file.write_bytes(jwks(jwk(pair("EdDSA"))))
    assert await keys() == fine("keys", f"EdDSA, from {file}")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a table and as JSON; without a store it can only warn, and ends with 0; with what is wrong, with 1."""
    give_ledger(tmp_path)
    monkeypatch.setenv("LIVEDROP_DATA", str(tmp_path))
    monkeypatch.setenv("LIVEDROP_SECRET", SECRET)
    monkeypatch.delenv("REDIS_URL", raising=False)
    shown = CliRunner().invoke(cli, ["doctor"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "It can sell; look at the warnings." in shown.output
    told = CliRunner().invoke(cli, ["doctor", "--json"])
    said = json.loads(told.stdout)
    assert (told.exit_code, said["verdict"]) == (0, "warning")
    assert {"check", "found", "verdict", "advice"} == set(said["findings"][0])
    monkeypatch.setenv("LIVEDROP_TRUSTED_PROXIES", "0.0.0.0/0")
    refused = CliRunner().invoke(cli, ["doctor", "--json", "--workers", "64"])
    assert (refused.exit_code, json.loads(refused.stdout)["verdict"]) == (1, "wrong")
    assert not (tmp_path / "valkey").exists(), "a store was started for a look"
