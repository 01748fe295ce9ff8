"""Every script on a real cluster, driven as the product drives it, and every read that goes to many shows at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from server.errors import Problem
from server.eventlog import stream
from server.store import reads
from server.store.keys import key
from server.store.redis import connect
from server.store.scripts import Scripts
from tests.houses import house_at, numbers, open_drop
from tests.store.cluster.lives import held, live_show_on, live_through, show_on
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from server.house import House
    from tests.store.cluster.nodes import Nodes


@pytest.fixture
async def house(nodes: Nodes, tmp_path: Path) -> AsyncIterator[House]:
    async with house_at(nodes.url, tmp_path, sold_out_gate=True) as one:
        yield one


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Give a note of every script that is run, with the ids that it is run for."""
    noted: defaultdict[str, set[str]] = defaultdict(set)
    run = Scripts.run

    async def noting(self: Scripts, name: str, of: Mapping[str, str], /, **args: Any) -> Any:
        noted[name].update(of.values())
        return await run(self, name, of, **args)

    monkeypatch.setattr(Scripts, "run", noting)
    return noted


async def test_every_script_runs_for_shows_of_every_node(
    nodes: Nodes, house: House, ran: dict[str, set[str]]
) -> None:
    """Three shows on three nodes live their whole lives at once; there is no script that none of them needed."""
    shows = {show_on(nodes, node) for node in nodes.primaries}
    await asyncio.gather(*(live_through(house, show) for show in shows))
    assert set(house.scripts.names()) - ran.keys() == set(), "drive it in tests/store/cluster/lives.py"
    of_shows = {name for name, of in ran.items() if any(each.startswith("sh_") for each in of)}
    assert {name: shows - ran[name] for name in of_shows if shows - ran[name]} == {}


async def test_a_script_is_brought_to_the_node_that_lacks_it(nodes: Nodes, house: House) -> None:
    """A node that has forgotten all scripts, as a promoted replica has none, is given what it needs, unseen."""
    for node in nodes.primaries:
        show = await live_show_on(house, nodes, node)
        drop = await open_drop(house, show, 2)
        node.ask("SCRIPT", "FLUSH")
        await held(house, show, drop)
        assert await numbers(house, show, drop) == (1, 1, 0)


async def test_lists_show_what_is_on_all_nodes(nodes: Nodes, house: House) -> None:
    """Shows of all nodes are listed together, newest first; those that are gone are left out."""
    shows = [await live_show_on(house, nodes, node) for node in nodes.primaries]
    gone = shows.pop(1)
    await house.client.delete(key("show", show=gone))
    page, _ = await house.shows.listed(None, 100)
    listed = [view["id"] for view, _host in page]
    assert [show for show in listed if show in {*shows, gone}] == shows[::-1]
    tops = await stream.tops(house.client, [shows[0], gone, shows[1]])
    assert [isinstance(top, stream.Place) for top in tops] == [True, False, True]
    assert tops[1] is None


async def test_one_sweeper_looks_after_all_nodes(nodes: Nodes, house: House) -> None:
    """Units that nobody pays come back on every node, by one sweeper."""
    offers = []
    for node in nodes.primaries:
        show = await live_show_on(house, nodes, node)
        offers.append((show, await open_drop(house, show, 1, hold_seconds=1)))
    for show, drop in offers:
        await held(house, show, drop)
    running = asyncio.create_task(house.sweeper().run())

    async def back() -> bool:
        return [await numbers(house, *offer) for offer in offers] == [(1, 0, 0)] * len(offers)

    await wait_for(back, "all units are back")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_node_that_cannot_say_is_not_taken_for_one_that_knows_nothing(
    nodes: Nodes, house: House
) -> None:
    """Of a node that stands still no show counts as gone; its deadlines count as due, those of the others stand."""
    shows = [await live_show_on(house, nodes, node) for node in nodes.primaries]
    drops = [await open_drop(house, show, 1) for show in shows]
    for show, drop in zip(shows, drops, strict=True):
        await held(house, show, drop)
    expiries = [key("expiry", show=show) for show in shows]
    client = connect(nodes.url + "&socket_timeout=0.3")
    known = await reads.earliest(client, expiries, "a test")
    with nodes.primaries[0].stopped():
        unknown, *tops = await stream.tops(client, shows)
        assert isinstance(unknown, Problem)
        assert all(isinstance(top, stream.Place) for top in tops)
        assert await reads.earliest(client, expiries, "a test") == [0, *known[1:]]
    assert None not in known
    await client.aclose()
