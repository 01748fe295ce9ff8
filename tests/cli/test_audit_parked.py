"""`livedrop audit` names the messages that nobody took, and what brings them again; the books balance all the same."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from server.cli.main import cli
from server.webhooks.endpoints import Owner
from server.webhooks.parked import Parked, parked
from tests.houses import live_show, open_drop
from tests.ledger.conftest import database_url, ledger, migrated_url, postgres
from tests.server import SECRET
from tests.webhooks.conftest import scene
from tests.webhooks.receiver import Receiver, Say
from tests.webhooks.scene import HOST, SERVICE, Scene, local, settle

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from server.house import House
    from server.store.embedded import Embedded

__all__ = ["database_url", "ledger", "migrated_url", "postgres", "scene"]

Fields = dict[str, Any]

TRIES = 10
DAY_MINUTES = 27 * 60  # longer than any wait between two tries


async def give_up(scene: Scene) -> None:
    """Let a worker try all that waits until it is parked."""
    worker = scene.worker()
    for _ in range(TRIES):
        await settle(worker)
        scene.clock.move(minutes=DAY_MINUTES)


async def everything(scene: Scene, show: str | None = None) -> list[Parked]:
    """Return what is parked."""
    return await scene.ledger.read(lambda connection: parked(connection, show))


async def test_who_did_not_take_what(scene: Scene) -> None:
    """By endpoint: how many, the oldest with its last failure, and whose it is; a replay from then empties the list."""
    async with Receiver(lambda _got: Say(500)) as ill, Receiver() as well:
        every = (await scene.endpoint(f"{ill.url}/secret?key=1"))["id"]
        await scene.endpoint(well.url)
        began = scene.clock.now
        first = await scene.tell("or_1", show="sh_bob")
        scene.clock.move(minutes=1)
        own = (await scene.endpoint(ill.url, owner=HOST))["id"]
        second = await scene.tell("or_2", "order.refunded", show="sh_ann")
        assert await everything(scene) == []
        await give_up(scene)
        at: Fields = {"receiver": f"http://127.0.0.1:{ill.port}", "enabled": True, "problem": "Answered 500."}
        older: Fields = {"oldest": first, "type": "order.paid", "since_at": began}
        newer: Fields = {"oldest": second, "type": "order.refunded", "since_at": began + 60_000}
        theirs = Parked(endpoint=own, owner="host ann", messages=1, **at, **newer)
        ours = Parked(endpoint=every, owner="service shop", messages=2, **at, **older)
        assert await everything(scene) == [ours, theirs]
        assert set(await everything(scene, "sh_ann")) == {replace(ours, messages=1, **newer), theirs}
        before, ill.answer = len(ill.got), lambda _got: Say()
        for each, owner in ((ours, SERVICE), (theirs, HOST)):
            await scene.webhooks.replay(owner, each.endpoint, each.since_at)
        assert await everything(scene) == []
        await settle(scene.worker())
        assert sorted(ill.ids()[before:]) == [first, second, second]


async def test_who_wants_no_more_is_enabled_first(scene: Scene) -> None:
    """Of an endpoint that was disabled by its 410, enabling comes before the replay."""
    async with Receiver(lambda _got: Say(410)) as gone:
        endpoint = (await scene.endpoint(gone.url))["id"]
        await scene.tell("or_1")
        await settle(scene.worker())
    (told,) = await everything(scene)
    assert not told.enabled
    enable, replay = f"POST /v1/webhooks/{endpoint}/enable", f"POST /v1/webhooks/{endpoint}/replay"
    assert told.next.index(enable) < told.next.index(replay)


async def test_the_audit_shows_them_and_ends_with_0(
    house: House, private_valkey: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the table with what to do, and in JSON; they are a warning, for the books have what they tell."""
    show, sender = await live_show(house), local()
    await open_drop(house, show)
    await house.recorder().record(show)
    async with Receiver(lambda _got: Say(500)) as ill:
        scene = Scene(house.ledger, sender)
        owner = Owner("[shop]", every_show=True)
        endpoint = (await scene.endpoint(ill.url, "order.paid", owner=owner))["id"]
        await scene.tell("or_1", show=show)
        await give_up(scene)
    await sender.aclose()
    settings = {"REDIS_URL": private_valkey.url, "LIVEDROP_DATA": str(tmp_path), "LIVEDROP_SECRET": SECRET}
    settings |= {"LIVEDROP_SANDBOX_URL": "http://127.0.0.1:1", "DATABASE_URL": house.settings.database_url}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    words = ["audit", "--no-provider", "--show", show]
    shown = await asyncio.to_thread(CliRunner().invoke, cli, words)
    told = await asyncio.to_thread(CliRunner().invoke, cli, [*words, "--json"])
    assert (shown.exit_code, told.exit_code) == (0, 0), shown.output + told.output
    assert "Messages that are parked" in shown.output
    assert f"{endpoint}: 1 parked, the oldest is or_1 0 (order.paid): Answered 500." in shown.output
    assert "a token of the service [shop]." in shown.output
    assert "The books balance." in shown.output
    books = json.loads(told.stdout)
    (each,) = books["parked"]
    assert (books["balanced"], each["endpoint"], each["messages"]) == (True, endpoint, 1)
    assert (each["oldest"]["id"], each["oldest"]["problem"]) == ("or_1 0", "Answered 500.")
    assert f"/v1/webhooks/{endpoint}/replay" in each["next"]
