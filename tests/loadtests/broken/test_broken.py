"""Each broken server is caught by a crowd of eight with the right kind of finding, and the sound one passes.

All shows are on one server at the same time: each has its own fault, and one has none.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from loadtests.gate import inspect
from loadtests.perform import perform
from loadtests.plan import Plan, Sale
from loadtests.run import Run
from loadtests.stagehand import Stage, live_show
from loadtests.stagehand import door as host_door
from server.auth import Role
from tests.loadtests.broken.guests import Evening, door
from tests.loadtests.broken.server import FAULTS, HIDDEN, LOSSY, UNCHECKED, UNRETURNED
from tests.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.run import Finding

SOUND = "nothing"
SETTLE_SECONDS = 3.0
BRIEF = Plan(
    shape="flash",
    seed=1,
    viewers=20,
    seconds=4.0,
    arrival_seconds=0.5,
    sales=(Sale(at=1.5, seconds=2.0, quantity=3, hold_seconds=1, countdown_ms=300, spread_ms=100),),
)
MUST = {UNCHECKED: "oversell", UNRETURNED: "stranded", HIDDEN: "undersell", LOSSY: "lost-offset"}

Found = dict[str, "list[Finding]"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server of the test build; what it leaves behind is nobody's business."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "faults").touch()
    settings = {"FAULTS": str(folder / "faults")}
    process = ServerProcess(
        folder / "data", module="tests.loadtests.broken.server", settings=settings
    ).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def found(server: ServerProcess) -> Found:
    """Give what the gate finds after an evening with each fault, and after a sound one."""
    return asyncio.run(evenings(server))


async def evenings(server: ServerProcess) -> Found:
    """Hold all evenings at once and inspect each."""
    stage = stage_at(server)
    with host_door(stage.url, stage.host_token) as host:
        shows = {fault: live_show(host) for fault in (SOUND, *FAULTS)}
        sku = host.get("/v1/catalog/products?limit=1").json()["items"][0]["sku"]
    for fault, show in shows.items():
        if fault != SOUND:
            break_show(server, show, fault)

    async def one(show: str) -> list[Finding]:
        async with door(server) as http:
            evening = Evening(server, http, show, sku)
            await evening.hold()
        return await asyncio.to_thread(judged, stage, evening)

    findings = await asyncio.gather(*(one(show) for show in shows.values()))
    return dict(zip(shows, findings, strict=True))


def stage_at(server: ServerProcess) -> Stage:
    """Return the server as the load tests see it."""
    assert server.process is not None
    token, folder = server.token(Role.HOST, "host"), server.data.parent
    return Stage(server.url, token, server.environment(), folder, server.process.pid, server.log)


def break_show(server: ServerProcess, show: str, fault: str) -> None:
    """Let a show have a fault."""
    with Path(server.settings["FAULTS"]).open("a") as listed:
        listed.write(f"{show} {fault}\n")


def judged(stage: Stage, evening: Evening) -> list[Finding]:
    """Return what the gate finds."""
    with host_door(stage.url, stage.host_token) as host:
        return inspect(
            stage, host, evening.show, evening.accounts, evening.run, settle_seconds=SETTLE_SECONDS
        )


def test_a_sound_server_passes(found: Found) -> None:
    """The same evening without a fault yields nothing: the control of all the others."""
    assert found[SOUND] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_server_is_caught(found: Found, fault: str) -> None:
    """The fault yields a finding of its kind, with numbers and evidence."""
    caught = [each for each in found[fault] if each.kind == MUST[fault]]
    assert caught, found[fault]
    assert all(any(sign.isdigit() for sign in each.sentence) for each in caught)
    assert any(each.evidence for each in caught)


def test_a_whole_load_test_fails_on_a_broken_server(server: ServerProcess, tmp_path: Path) -> None:
    """With the crowd of the load tests, from the plan to `run.json`: the run has not passed, and says oversell."""
    stage = stage_at(server)
    with host_door(stage.url, stage.host_token) as host:
        show = live_show(host)
    break_show(server, show, UNCHECKED)
    run = perform(stage, show, BRIEF, tmp_path, lambda _: None)
    assert not run.passed
    assert "oversell" in {each.kind for each in run.findings}
    kept = msgspec.json.decode((tmp_path / "run.json").read_bytes(), type=Run)
    assert kept.findings == run.findings
