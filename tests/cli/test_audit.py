"""`livedrop audit`: what it prints of the books, and that it fails on any difference, also in the award log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from server.inventory import chain
from server.store import reads
from server.store.answers import unpacked
from server.store.embedded import Embedded
from server.store.keys import key
from tests.houses import house_at, live_show, open_drop
from tests.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.house import House


@pytest.fixture
def beside(tmp_path: Path) -> ServerProcess:
    """Give commands on a data folder of their own, without a server."""
    return ServerProcess(tmp_path / "data")


@pytest.fixture
async def house(beside: ServerProcess) -> AsyncIterator[House]:
    """Give the rooms on the Valkey that the commands find."""
    with Embedded.start(beside.data) as valkey:
        async with house_at(valkey.url, beside.data) as one:
            yield one


async def sold_from(house: House, viewers: int) -> tuple[str, str]:
    """Make a show with a drop of which so many viewers hold a unit, each in a step of their own; return both."""
    show = await live_show(house)
    drop = await open_drop(house, show, 9)
    for number in range(viewers):
        await house.holds.reserve(show, f"viewer-{number}", "op", drop, 1)
    return show, drop


async def notes(house: House, show: str) -> list[bytes]:
    rows = await reads.stream_after(house.client, key("awards", show=show), 0, 100, "awards")
    return [fields[b"n"] for _, fields in rows]


async def rewrite(house: House, show: str, log: list[bytes]) -> None:
    """Put other notes in the place of the award log."""
    await house.client.delete(key("awards", show=show))
    for note in log:
        await house.client.xadd(key("awards", show=show), {"n": note})


def audited(beside: ServerProcess, show: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the one drop's row."""
    done = beside.command("audit", "--show", show, "--json")
    (row,) = json.loads(done.stdout)["drops"]
    return done.returncode, row


async def test_the_award_log_is_named_with_its_head(house: House, beside: ServerProcess) -> None:
    """A line for each drop says how many notes and awards lead to which head, to be kept; anybody can compute it."""
    show, drop = await sold_from(house, 3)
    head = chain.genesis(drop)
    for note in await notes(house, show):
        head = chain.following(head, note)
    done = beside.command("audit", "--show", show)
    assert done.returncode == 0, done.stdout
    assert f"{drop}: award log of 3 notes and 3 awards leads to {head}" in done.stdout
    code, row = audited(beside, show)
    assert (code, row["awards"], row["waiting"]) == (0, 3, 0)
    assert row["award_log"] == {"notes": 3, "head": head, "recomputed": head}


async def test_a_changed_award_log_fails_it(house: House, beside: ServerProcess) -> None:
    """One byte of a note, two notes swapped: it ends with 1 and names the drop's award log; put right, it is right."""
    show, drop = await sold_from(house, 3)
    log = await notes(house, show)
    other = bytearray(log[1])
    other[-1] ^= 2
    await rewrite(house, show, [log[0], bytes(other), log[2]])
    code, row = audited(beside, show)
    assert (code, row["award_log"]["recomputed"] == row["award_log"]["head"]) == (1, False)
    assert any("the award log leads to" in difference for difference in row["differences"])
    await rewrite(house, show, [log[1], log[0], log[2]])
    told = beside.command("audit", "--show", show)
    assert f"{drop}: award log of 3 notes and 3 awards does not lead to" in told.stdout
    assert (told.returncode, "The books do not balance." in told.stdout) == (1, True)
    await rewrite(house, show, log)
    assert beside.command("audit", "--show", show).returncode == 0


async def test_a_changed_rank_fails_it(house: House, beside: ServerProcess) -> None:
    """Who writes themselves further ahead is found: the hold and the award log do not agree."""
    show, _drop = await sold_from(house, 2)
    holds = key("holds", show=show)
    records = await reads.fields(house.client, holds, "holds")
    (first, row), (second, other) = sorted(
        ((own.decode(), unpacked(raw)) for own, raw in records.items()), key=lambda each: each[1][6]
    )
    assert (row[6], other[6]) == (1, 2)
    await house.client.hset(holds, mapping={first: records[second.encode()], second: records[first.encode()]})
    code, found = audited(beside, show)
    assert code == 1
    assert len([each for each in found["differences"] if "its log differs" in each]) == 2
