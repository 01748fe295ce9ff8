"""The sandbox as a process: what it promised outlives it; the private one is one per folder and ends with its owner."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import typer

from server.cli import sandbox as command
from server.cli.home import sandboxed
from server.clock import monotonic
from server.house import build
from server.payments.bank import process
from server.payments.bank.private import PrivateSandbox, place_in
from server.payments.provider import Authorized, Payment, RefusedError, Status, UnknownOutcomeError
from server.payments.sandbox import Sandbox
from server.settings import Settings, SettingsError
from server.store.place import Place
from tests.payments.bank_owner import Owner
from tests.payments.sandboxes import KEY, SandboxProcess, charge
from tests.server import SECRET, ServerProcess, own_server
from tests.waiting import wait_for, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

FULL = 1024  # descriptors: more than `select` knows
PAID = Payment("or_1", "sb_or_1", Status.CAPTURED, 1250, "EUR", captured=1250, refunded=250)


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateSandbox]:
    one = PrivateSandbox.begin(tmp_path, SECRET)
    yield one
    one.leave()


@pytest.fixture
async def sandbox(private: PrivateSandbox) -> AsyncIterator[Sandbox]:
    one = Sandbox(private.url, SECRET)
    yield one
    await one.aclose()


def kill(private: PrivateSandbox) -> int:
    """Kill the bank at once and return its process id once it is gone; its keeper starts another one."""
    pid = private.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: private.pid != pid, "another one is there")
    return pid


def private_pids(data: Path) -> list[int]:
    """Return the processes that are the bank of a data folder's private sandbox."""
    folder = str(place_in(data).folder)
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "server.payments.bank" in words and folder in words:
            found.append(int(path.parent.name))
    return found


async def ask(url: str, order: str) -> object:
    """Authorize an order at a sandbox and return the answer."""
    sandbox = Sandbox(url, SECRET)
    try:
        return await sandbox.authorize(charge(order=order))
    finally:
        await sandbox.aclose()


async def test_what_was_answered_outlives_a_kill(private: PrivateSandbox, sandbox: Sandbox) -> None:
    """After SIGKILL and a new start every payment is what was answered, and every key still stands for it."""
    await sandbox.authorize(charge())
    await sandbox.capture(charge(), "sb_or_1")
    await sandbox.refund("sb_or_1", "rf_1", 250)
    await sandbox.authorize(charge(order="or_2"))
    await sandbox.void(charge(order="or_2"), "sb_or_2")
    with pytest.raises(UnknownOutcomeError):
        await sandbox.authorize(charge("tok_timeout_then_ok", "or_3"))
    await sandbox.authorize(charge("tok_requires_action", "or_4"))
    await asyncio.to_thread(kill, private)
    other = Sandbox(private.url, SECRET)  # a connection that the kill has cut says so once
    assert await other.authorize(charge()) == Authorized("sb_or_1")
    await other.capture(charge(), "sb_or_1")
    await other.refund("sb_or_1", "rf_1", 250)
    assert await other.find("or_1") == PAID
    with pytest.raises(RefusedError):
        await other.capture(charge(order="or_2"), "sb_or_2")
    assert await other.authorize(charge("tok_timeout_then_ok", "or_3")) == Authorized("sb_or_3")
    assert [(each.order, each.status) async for each in other.payments(0)] == [
        ("or_1", Status.CAPTURED),
        ("or_2", Status.VOIDED),
        ("or_3", Status.AUTHORIZED),
        ("or_4", Status.REQUIRES_ACTION),
    ]
    await other.aclose()


async def test_a_kill_in_the_middle_loses_no_answer(private: PrivateSandbox, sandbox: Sandbox) -> None:
    """Killed under load: every authorization that was answered is there afterwards, and no order has two."""
    answered: list[str] = []
    killed = asyncio.Event()

    async def buy(number: int) -> None:
        for count in itertools.count():
            if killed.is_set():
                return
            await sandbox.authorize(charge(order=f"or_{number}_{count}"))
            answered.append(f"or_{number}_{count}")

    buyers = [asyncio.create_task(buy(number)) for number in range(8)]
    try:
        await wait_for(lambda: len(answered) >= 50, "they buy")
        await asyncio.to_thread(kill, private)
    finally:
        killed.set()
    outcomes = await asyncio.gather(*buyers, return_exceptions=True)
    # Who was not on the way when it died may have been served by the next one, and has noticed nothing.
    assert {type(outcome) for outcome in outcomes} <= {UnknownOutcomeError, type(None)}
    kept = [each.order async for each in sandbox.payments(0)]
    assert set(answered) <= set(kept)
    assert len(kept) == len(set(kept))


async def test_a_lost_answer_is_a_cut_connection(private: PrivateSandbox, sandbox: Sandbox) -> None:
    """Over a real connection the work is done, the answer is not there, and silence lasts as long as it is told to."""
    await sandbox.authorize(charge())
    async with httpx.AsyncClient(base_url=private.url, headers=KEY, verify=False) as http:  # noqa: S501  no TLS here
        await http.put("/admin/knobs", json={"lose": {"capture": 1}, "silent_ms": 200})
    began = monotonic()
    with pytest.raises(UnknownOutcomeError, match="RemoteProtocolError"):
        await sandbox.capture(charge(), "sb_or_1")
    assert monotonic() - began >= 0.2
    found = await sandbox.find("or_1")
    assert found is not None
    assert found.status is Status.CAPTURED


def test_the_command(tmp_path: Path) -> None:
    """`livedrop sandbox` prints the setting that servers need, serves, keeps its books private, and ends with 0."""
    one = SandboxProcess(tmp_path / "bank").start()
    try:
        assert (one.data.stat().st_mode | (one.data / "payments.sqlite3").stat().st_mode) & 0o077 == 0
        second = ServerProcess(tmp_path).command("sandbox", "--port", str(one.port))
        assert second.returncode == 1
        assert "Cannot listen" in second.stderr
        assert one.stop() == (0, f"LIVEDROP_SANDBOX_URL={one.url}\n")
    finally:
        one.kill()


def test_one_folder_one_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Books that another process keeps are not opened; the error says where they are."""
    monkeypatch.setattr(process, "LOCK_SECONDS", 0.1)
    held = Place(tmp_path).lock(process.LOCK)
    assert held is not None
    settings = Settings(port=0, data=tmp_path, secret=SECRET)
    with pytest.raises(typer.Exit):
        command.keep(settings, tmp_path, "")
    assert not (tmp_path / process.BOOKS).exists()
    os.close(held)


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    """A folder that is a file is refused, for the command and for the private one."""
    (tmp_path / "file").write_text("")
    settings = Settings(port=0, data=tmp_path / "file", secret=SECRET)
    with pytest.raises(typer.Exit):
        command.keep(settings, tmp_path / "file", "")
    with pytest.raises(typer.Exit), sandboxed(settings):
        pytest.fail("there is no sandbox")


async def test_two_processes_share_one(tmp_path: Path) -> None:
    """Of processes that start at the same moment one owns the sandbox; all see the same payments."""
    owners = [Owner.launch(tmp_path) for _ in range(3)]
    try:
        told = [owner.told() for owner in owners]
        assert sorted(owner.owned for owner in told) == [False, False, True]
        assert len({owner.url for owner in told}) == 1
        assert private_pids(tmp_path) == []
        assert await ask(told[0].url, "or_1") == Authorized("sb_or_1")
        assert len(private_pids(tmp_path)) == 1
    finally:
        for owner in sorted(owners, key=lambda owner: owner.owned):
            owner.leave()
    assert private_pids(tmp_path) == []


async def test_it_dies_with_its_owner(tmp_path: Path) -> None:
    """SIGKILL of the owner ends the sandbox; the next owner serves the same payments at the same address."""
    owner = Owner.launch(tmp_path).told()
    await ask(owner.url, "or_1")
    (pid,) = private_pids(tmp_path)
    owner.kill()
    wait_until(lambda: private_pids(tmp_path) == [], f"process {pid} is gone")
    one = await asyncio.to_thread(PrivateSandbox.begin, tmp_path, SECRET)
    try:
        assert (one.owned, one.url) == (True, owner.url)
        sandbox = Sandbox(one.url, SECRET)
        assert [each.order async for each in sandbox.payments(0)] == ["or_1"]
        await sandbox.aclose()
    finally:
        one.leave()


async def test_who_shares_takes_over(tmp_path: Path) -> None:
    """Where the owner dies, another process keeps the sandbox at the same address, and nobody is refused for long."""
    owner = Owner.launch(tmp_path).told()
    await ask(owner.url, "or_1")
    sharer = await asyncio.to_thread(PrivateSandbox.begin, tmp_path, SECRET)
    try:
        assert not sharer.owned
        owner.kill()
        await asyncio.to_thread(wait_until, lambda: sharer.owned, "the other one owns it")
        assert sharer.url == owner.url
        assert await ask(sharer.url, "or_1") == Authorized("sb_or_1")
    finally:
        sharer.leave()


async def test_who_has_a_thousand_sockets_takes_over(tmp_path: Path) -> None:
    """A process that is full of viewers when the owner dies starts the sandbox like any other."""
    owner = Owner.launch(tmp_path).told()
    sharer = await asyncio.to_thread(PrivateSandbox.begin, tmp_path, SECRET)
    viewers: list[int] = []
    try:
        while len(viewers) < FULL or viewers[-1] < FULL:
            viewers.append(os.open(os.devnull, os.O_RDONLY))
        owner.process.kill()  # its pipes stay open: no low descriptor gets free
        await asyncio.to_thread(wait_until, lambda: sharer.owned, "the other one owns it")
        assert await ask(sharer.url, "or_1") == Authorized("sb_or_1")
    finally:
        for viewer in viewers:
            os.close(viewer)
        owner.kill()
        sharer.leave()


async def test_it_is_started_again(private: PrivateSandbox, tmp_path: Path) -> None:
    """A private sandbox that is killed comes back; who asks meanwhile waits for it and is not refused."""
    await ask(private.url, "or_1")
    (pid,) = private_pids(tmp_path)
    assert private.pid == pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in private_pids(tmp_path), "it is gone")
    assert await ask(private.url, "or_1") == Authorized("sb_or_1")
    assert private.pid != pid


def test_its_folder_is_private(private: PrivateSandbox) -> None:
    """Nobody else reads it, and the address is one of this machine alone."""
    assert private.url.startswith("http://127.0.0.1:")
    assert private.place.folder.stat().st_mode & 0o077 == 0


async def test_workers_of_one_server_share_it(tmp_path: Path) -> None:
    """`serve --workers 2` has one sandbox, started at the first payment and gone with the server."""
    with own_server(tmp_path, options=("--workers", "2")) as server:
        url = place_in(server.data).url()
        assert url is not None
        assert private_pids(server.data) == []
        await ask(url, "or_1")
        assert len(private_pids(server.data)) == 1
    assert private_pids(server.data) == []


def test_another_one_may_be_named(tmp_path: Path) -> None:
    """With LIVEDROP_SANDBOX_URL no private one is kept."""
    settings = Settings(data=tmp_path, secret=SECRET, sandbox_url="http://127.0.0.1:1")
    with sandboxed(settings) as able:
        assert able == settings
    assert not place_in(tmp_path).folder.exists()


async def test_production_takes_no_sandbox(tmp_path: Path) -> None:
    """Production starts none, has none as a provider, and refuses to be given one."""
    given = {"LIVEDROP_ENV": "production", "LIVEDROP_SECRET": SECRET, "LIVEDROP_DATA": str(tmp_path)}
    given["REDIS_URL"] = "redis://:pw@127.0.0.1:1"
    with pytest.raises(SettingsError, match="LIVEDROP_SANDBOX_URL"):
        Settings.load({**given, "LIVEDROP_SANDBOX_URL": "http://127.0.0.1:1"})
    with sandboxed(Settings.load(given)) as able:
        assert able.sandbox_url == ""
    assert not place_in(tmp_path).folder.exists()
    house = build(able)
    assert Sandbox.name not in [provider.name for provider in house.methods.providers()]
    await house.aclose()
