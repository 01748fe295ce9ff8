"""`livedrop rebuild` and what `livedrop audit` says of the money: what they print, and how they end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from server.ledger.tables import drops
from server.store.embedded import Embedded
from tests.houses import house_at, live_show, open_drop
from tests.server import ServerProcess
from tests.workers.lossy import Lossy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def beside(tmp_path: Path) -> ServerProcess:
    """Give commands on a data folder of their own, without a server."""
    return ServerProcess(tmp_path / "data")


@pytest.fixture
async def store(beside: ServerProcess) -> AsyncIterator[Lossy]:
    """Give the rooms on the Valkey that the commands find."""
    with Embedded.start(beside.data) as valkey:
        async with house_at(valkey.url, beside.data) as house:
            yield Lossy(beside.data, house, valkey)


async def lost(store: Lossy) -> tuple[str, str]:
    """Sell two units of three, and lose all."""
    show = await live_show(store.house)
    drop = await open_drop(store.house, show, 3)
    await store.bought(show, drop, "ann", 2)
    await store.recorded(show)
    await store.lose_all()
    return show, drop


def told(beside: ServerProcess, *words: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the JSON of a command."""
    done = beside.command(*words, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


async def test_rebuild(store: Lossy, beside: ServerProcess) -> None:
    """A table of the drops, and that the show is paused; with `--open` it is live."""
    show, drop = await lost(store)
    done = beside.command("rebuild", show)
    assert done.returncode == 0, done.stderr
    assert "It is paused: look through this, then let its host resume it." in done.stdout
    code, report = told(beside, "rebuild", show, "--open")
    assert (code, report["status"], report["shortfall"], report["notes"]) == (0, "live", [], [])
    [row] = report["drops"]
    assert row["drop"] == drop
    assert (row["available"], row["held"], row["sold"], row["quantity"], row["missing"]) == (1, 0, 2, 3, 0)
    assert beside.command("audit", "--show", show, "--no-provider").returncode == 0


async def test_rebuild_with_orders_that_go_short(store: Lossy, beside: ServerProcess) -> None:
    """Each is named with its missing units, and the command ends with 1."""
    show = await live_show(store.house)
    drop = await open_drop(store.house, show, 2)
    await store.recorded(show)
    await store.bought(show, drop, "ann", 2)
    await store.lose_all()
    await store.rebuilt(show)
    other = next(iter(store.paid))
    await store.house.ledger.write(lambda connection: fewer(connection, drop))
    await store.lose_all()
    code, report = told(beside, "rebuild", show)
    assert (code, report["shortfall"]) == (1, [{"order": other, "missing": 1}])
    done = beside.command("rebuild", show)
    assert done.returncode == 1
    assert f"{other}: 1 units of it are not there" in done.stdout


async def test_rebuild_of_nothing(store: Lossy, beside: ServerProcess) -> None:
    """A show that nobody knows ends it with 1 and a sentence."""
    del store
    done = beside.command("rebuild", "sh_nowhere")
    assert done.returncode == 1
    assert "There is no show 'sh_nowhere'." in done.stdout + done.stderr


async def test_audit_without_providers(store: Lossy, beside: ServerProcess) -> None:
    """Nothing is said of the money then."""
    show = await live_show(store.house)
    await open_drop(store.house, show, 2)
    code, books = told(beside, "audit", "--show", show, "--no-provider")
    assert (code, "money" in books, books["balanced"]) == (0, False, True)


async def test_audit_compares_the_money(store: Lossy, beside: ServerProcess) -> None:
    """The provider knows nothing of what was paid: that is said, and ends it with 1."""
    show = await live_show(store.house)
    drop = await open_drop(store.house, show, 2)
    order = await store.bought(show, drop, "ann")
    # The sandbox of the commands is a process of its own, with books of its own: empty ones.
    code, books = told(beside, "audit", "--show", show)
    assert (code, books["balanced"]) == (1, False)
    sentence = f"order {order} is paid by the ledger, and its provider has taken nothing"
    assert books["money"]["differences"] == [{"show": show, "sentence": sentence}]
    [account] = books["money"]["accounts"]
    assert (account["provider"], account["ledger"], account["theirs"]) == ("sandbox", 1250, 0)
    done = beside.command("audit", "--show", show)
    assert sentence in done.stdout
    assert "The books do not balance." in done.stdout


def fewer(connection: Any, drop: str) -> None:
    """Let the ledger say that one unit fewer was offered."""
    connection.execute(update(drops).where(drops.c.id == drop).values(quantity=1))
