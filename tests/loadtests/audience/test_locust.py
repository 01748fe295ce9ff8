"""A whole crowd under Locust, on a real server: what it leaves behind adds up, in one process and in several."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from loadtests.audience.intents import BOT, kind_of
from loadtests.plan import Cut, Mix, Plan, Sale
from loadtests.seen import Account, Seen
from loadtests.stagehand import ROOT
from server.auth import Role
from tests.server import free_port
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.stage import Stage

VIEWERS, UNITS, MORE = 40, 12, 4
PLAN = Plan(
    shape="test",
    seed=5,
    viewers=VIEWERS,
    seconds=9.0,
    arrival_seconds=1.0,
    mix=Mix(buyers=650, hoarders=100, bots=100),
    sales=(
        Sale(
            at=3.0, seconds=3.0, quantity=UNITS, restock=MORE, hold_seconds=2, countdown_ms=500, spread_ms=200
        ),
    ),
    cuts=(Cut(at=3.3, share=0.4, back_seconds=0.6),),
    slow=0.05,
)
END_SECONDS = 60.0


@asynccontextmanager
async def alone(token: str, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Give Locust with its own options, and a host's token; it must have ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "-f", "loadtests/viewers.py"),
        *options,
        cwd=ROOT,
        env={**os.environ, "LOADTEST_HOST_TOKEN": token},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def locust(
    stage: Stage, plan: Plan, folder: Path, *options: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Give Locust at work on a plan; without a page of its own unless the options ask for one."""
    path = folder / "plan.json"
    path.write_bytes(msgspec.json.encode(plan))
    places = ("--host", stage.server.url, "--show", stage.show, "--plan", str(path), "--out", str(folder))
    quiet = () if "--web-port" in options else ("--headless", "--only-summary")
    return alone(stage.server.token(Role.HOST, "host"), *quiet, *places, *options)


async def said(process: asyncio.subprocess.Process) -> str:
    """Return all that a program has said, once it has ended."""
    async with asyncio.timeout(END_SECONDS):
        output, _ = await process.communicate()
    return output.decode()


def left(folder: Path) -> tuple[list[Seen], list[Account]]:
    """Return what the processes and the viewers wrote down."""
    seen = [msgspec.json.decode(path.read_bytes(), type=Seen) for path in folder.glob("seen-*.json")]
    lines = (line for path in folder.glob("accounts-*.ndjson") for line in path.read_bytes().splitlines())
    return seen, [msgspec.json.decode(line, type=Account) for line in lines]


def numbers(accounts: list[Account]) -> list[int]:
    """Return the viewers' numbers, in order."""
    return sorted(int(account.viewer.rpartition("-")[2]) for account in accounts)


async def only_drop(stage: Stage) -> dict[str, Any]:
    """Return the one drop of the show: the host was there once."""
    listed = await stage.host("GET", f"/v1/shows/{stage.show}/drops")
    (drop,) = listed.json()["items"]
    found: dict[str, Any] = drop
    return found


async def test_an_audience_buys_out_a_drop_and_its_accounts_add_up(stage: Stage, tmp_path: Path) -> None:
    """Forty viewers of all kinds in one user of Locust: no promise broken, and what they hold is what was sold."""
    async with locust(stage, PLAN, tmp_path) as process:
        table = await said(process)
        assert process.returncode == 0, table
    (seen,), accounts = left(tmp_path)
    assert numbers(accounts) == list(range(VIEWERS))
    assert Counter(account.kind for account in accounts) == Counter(
        kind_of(PLAN.mix, number) for number in range(VIEWERS)
    )
    assert [(account.breaches, account.unanswered) for account in accounts] == [([], [])] * VIEWERS
    assert seen.failures == []
    takes = [take for account in accounts for take in account.takes]
    drop = await only_drop(stage)
    assert drop["quantity"] == UNITS + MORE
    assert drop["sold"] == sum(take.quantity for take in takes if take.end == "paid") > 0
    assert sum(take.quantity for take in takes) >= UNITS
    assert all(take.order for take in takes if take.end == "paid")
    assert all(take.held_at <= take.gone_at for take in takes if take.end in {"expired", "released"})
    assert all(account.takes == [] for account in accounts if account.kind == BOT)
    assert len({(one.epoch, one.offset) for one in accounts if one.connected and one.kind != BOT}) == 1
    assert seen.refusals["reserve"]["out-of-stock"] > 0
    for name in ("hello", "reserve", "checkout", "order", "recovery", "stock staleness"):
        assert seen.latencies[name].count > 0, name
        assert sum(taken.count for taken in seen.per_second[name].values()) == seen.latencies[name].count
    (opening,) = seen.openings
    assert opening.drop == drop["id"]
    assert opening.delays.count <= VIEWERS
    assert seen.viewers == VIEWERS
    for row in ("reserve", "drop to viewer", "checkout", "reserve (out-of-stock)"):
        assert f" {row} " in table, table


async def test_several_processes_share_the_plan_and_leave_when_told(stage: Stage, tmp_path: Path) -> None:
    """Two processes have every viewer of the plan once and one host; at SIGTERM all of them leave their files."""
    plan = replace(PLAN, seconds=60.0, audience=5)
    async with locust(stage, plan, tmp_path, "--processes", "2") as process:

        def everybody() -> bool:
            live = [path.read_bytes() for path in tmp_path.glob("live-*.json")]
            return sum(msgspec.json.decode(each, type=Seen).viewers for each in live) > VIEWERS / 2

        await wait_for(everybody, "most are here", END_SECONDS)
        await wait_for(lambda: _is_open(stage), "the drop is open", END_SECONDS)
        process.terminate()
        output = await said(process)
    seen, accounts = left(tmp_path)
    assert len(seen) == 2, output
    assert all(one.viewers % plan.audience == 0 for one in seen)
    assert numbers(accounts) == list(range(VIEWERS))
    assert (await only_drop(stage))["quantity"] >= UNITS
    assert _names(tmp_path, "live-*") == []


def _names(folder: Path, pattern: str) -> list[str]:
    return [path.name for path in folder.glob(pattern)]


async def _is_open(stage: Stage) -> bool:
    listed = await stage.host("GET", f"/v1/shows/{stage.show}/drops")
    return [drop["status"] for drop in listed.json()["items"]] == ["open"]


async def test_its_own_page_starts_a_run_and_shows_it(stage: Stage, tmp_path: Path) -> None:
    """Without our command: Locust's web page is there, its button begins the run, its table fills with our measures."""
    port = str(free_port())
    async with (
        locust(stage, PLAN, tmp_path, "--web-host", "127.0.0.1", "--web-port", port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as page,
    ):

        async def there() -> bool:
            with suppress(httpx.TransportError):
                return "<html" in (await page.get("/")).text
            return False

        await wait_for(there, "the page is there", END_SECONDS)
        begun = await page.post("/swarm", data={"user_count": 1, "spawn_rate": 1, "host": stage.server.url})
        assert begun.json()["success"], begun.text

        async def measured() -> bool:
            rows = (await page.get("/stats/requests")).json()["stats"]
            return {"hello", "reserve", "drop to viewer"} <= {
                row["name"] for row in rows if row["num_requests"]
            }

        await wait_for(measured, "its table has our measures", END_SECONDS)
    assert (await only_drop(stage))["quantity"] >= UNITS


@pytest.mark.parametrize(
    ("options", "said_so"),
    [
        ((), "On which server?"),
        (("--host", "http://127.0.0.1:9", "--processes", "2"), "--show and --plan name them"),
        (("--host", "http://127.0.0.1:9"), "cannot be reached"),
        (("--plan", "/no/such/plan"), "No such file"),
    ],
)
async def test_what_it_cannot_begin_with_is_said(options: tuple[str, ...], said_so: str) -> None:
    """A sentence, and an exit code that is not 0."""
    async with alone("token", "--headless", *options) as process:
        assert said_so in await said(process)
    assert process.returncode not in {0, None}
