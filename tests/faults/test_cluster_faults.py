"""A cluster in motion: slots that move and primaries that go, while units are taken. One effect, or `unavailable`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio

from server.checkout.saga import Paid, Pending
from server.errors import Code, Problem
from server.inventory.outcomes import Held, Waiting
from server.store.keys import key
from server.store.redis import RedisError
from server.store.slots import slot_of
from server.workers.audit import audit
from tests.deadlines import end_lease
from tests.eventlog.notes import Notes, listening
from tests.houses import house_at, numbers, open_drop
from tests.server import ServerProcess
from tests.stage import Stage
from tests.store.cluster.lives import live_show_on, to_pay
from tests.store.cluster.nodes import three_nodes
from tests.till import Till, share
from tests.waiting import wait_for, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from server.checkout.saga import Request
    from server.house import House
    from tests.store.cluster.nodes import Node, Nodes

NODE_TIMEOUT_MS = 1_000  # until the others hold a silent node for dead
SOCKET_SECONDS = 0.5  # until a house holds an answer for lost
BUYERS, UNITS = 90, 60
PAYERS = 20
SPREAD_SECONDS = 1.0  # in which the buyers come
AGAIN_SECONDS = 0.05
AT_ONCE_SECONDS = 1.0  # less than the pause between two looks into the logs


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("failover")
    with three_nodes(folder, replicas=True, node_timeout_ms=NODE_TIMEOUT_MS) as nodes:
        yield nodes


@pytest.fixture
def nodes(cluster: Nodes) -> Iterator[Nodes]:
    """Give the cluster; after the test all of its nodes run again, in whatever part."""
    yield cluster
    for node in cluster.everybody:
        if node.process.poll() is not None:
            node.start()
    wait_until(cluster.settled, "the cluster is whole again")


@pytest_asyncio.fixture
async def house(nodes: Nodes, tmp_path: Path) -> AsyncIterator[House]:
    async with house_at(f"{nodes.url}&socket_timeout={SOCKET_SECONDS}", tmp_path) as one:
        yield one


@dataclass(slots=True)
class Rush:
    """Buyers of one drop, each with an operation id of their own, who ask again for as long as nothing is known."""

    house: House
    show: str
    drop: str
    same_id: bool = True  # a negative control repeats under others
    unknown: int = 0
    outcomes: dict[int, Held | Problem] = field(default_factory=dict)

    async def run(self) -> None:
        """Let everybody come to a known end."""
        async with asyncio.TaskGroup() as tasks:
            for buyer in range(BUYERS):
                tasks.create_task(self._buy(buyer))

    async def _buy(self, buyer: int) -> None:
        await asyncio.sleep(SPREAD_SECONDS * buyer / BUYERS)
        self.outcomes[buyer] = await self.take(buyer)

    async def take(self, buyer: int) -> Held | Problem:
        """Return what became of a buyer's operation, however often they have to ask."""
        asked = 0
        while True:
            operation = "op" if self.same_id else f"op-{asked}"
            asked += 1
            told = await self.house.holds.reserve(self.show, f"buyer-{buyer}", operation, self.drop, 1)
            assert not isinstance(told, Waiting)
            if isinstance(told, Held) or told.code is not Code.UNAVAILABLE:
                return told
            self.unknown += 1
            await asyncio.sleep(AGAIN_SECONDS)

    def has_served(self, buyers: int = BUYERS // 4) -> bool:
        """Whether so many have come to a known end."""
        return len(self.outcomes) >= buyers

    @property
    def reservations(self) -> list[str]:
        """The reservations that buyers were told of."""
        return [told.reservation["id"] for told in self.outcomes.values() if isinstance(told, Held)]

    async def ask_again(self) -> None:
        """Let everybody repeat their operation: whoever has a unit keeps it, and nobody gets a second one."""
        for buyer in range(BUYERS):
            self.outcomes[buyer] = await self.take(buyer)

    async def complaints(self) -> list[str]:
        """Return what is not as if nothing had ever failed: the books balanced, all units taken, one for each."""
        drops = await audit(self.house.client, self.house.orders, self.show)
        found = [line for drop in drops for line in drop.differences]
        stock = await numbers(self.house, self.show, self.drop)
        if stock != (0, UNITS, 0):
            found.append(f"stock is {stock}")
        known = {each for each in self.reservations if await self.house.holds.find(each)}
        if len(known) != UNITS:
            found.append(f"{UNITS} units are held, {len(known)} of them by somebody who knows")
        if {told.code for told in self.outcomes.values() if isinstance(told, Problem)} != {Code.OUT_OF_STOCK}:
            found.append("somebody was refused for another reason than that all was taken")
        return found


async def rush_on(house: House, nodes: Nodes, node: Node, *, same_id: bool = True) -> Rush:
    """Return buyers in front of an open drop of a show on a node."""
    show = await live_show_on(house, nodes, node)
    return Rush(house, show, await open_drop(house, show, UNITS), same_id=same_id)


# -- slots on the move


async def test_a_slot_moves_while_units_are_taken(nodes: Nodes, house: House) -> None:
    """The show's slot moves there and back under the buyers, key by key: nobody gets two, and all units are taken."""
    source, target, _ = nodes.primaries
    rush = await rush_on(house, nodes, source)
    slot = slot_of(key("show", show=rush.show))
    rushing = asyncio.create_task(rush.run())
    for come, (here, there) in ((BUYERS // 4, (source, target)), (BUYERS // 2, (target, source))):
        await wait_for(partial(rush.has_served, come), "some have bought")
        nodes.begin_move(slot, here, there)
        while here.ask("CLUSTER", "COUNTKEYSINSLOT", slot):
            await asyncio.sleep(AGAIN_SECONDS)
            nodes.move_keys(slot, here, there, most=1)
        await asyncio.sleep(AGAIN_SECONDS)
        nodes.end_move(slot, there)
    await rushing
    assert rush.unknown > 0, "nobody met the move"
    assert await rush.complaints() == []
    await rush.ask_again()
    assert await rush.complaints() == []


# -- primaries that go


async def test_a_primary_dies_while_units_are_taken(nodes: Nodes, house: House) -> None:
    """SIGKILL to the show's primary: its replica takes over, and whoever repeats their id has one unit, no more."""
    primary = nodes.primaries[0]
    replica = nodes.replica_of(primary)
    rush = await rush_on(house, nodes, primary)
    rushing = asyncio.create_task(rush.run())
    await wait_for(rush.has_served, "some have bought")
    primary.end()
    await rushing
    assert rush.unknown > 0, "nobody met the failover"
    assert nodes.owner(key("show", show=rush.show)) is replica
    await rush.ask_again()  # what the primary said last may not have reached its replica
    assert await rush.complaints() == []


async def test_a_primary_hands_over_while_units_are_taken(nodes: Nodes, house: House) -> None:
    """A planned failover costs nobody anything: each buyer's first answer is the known one."""
    primary = nodes.primaries[0]
    replica = nodes.replica_of(primary)
    rush = await rush_on(house, nodes, primary)
    rushing = asyncio.create_task(rush.run())
    await wait_for(rush.has_served, "some have bought")
    replica.ask("CLUSTER", "FAILOVER")
    await rushing
    await wait_for(lambda: replica.told()["role"] == "master", "it has taken over")
    assert rush.unknown == 0
    assert await rush.complaints() == []


async def test_a_primary_dies_while_orders_are_paid(nodes: Nodes, house: House) -> None:
    """SIGKILL to the show's primary under twenty checkouts: each order is paid once and in the ledger, none is lost."""
    bank = Till()
    share(bank, house)
    primary = nodes.primaries[0]
    rush = await rush_on(house, nodes, primary)
    orders: dict[str, Paid | Pending] = {}

    async def buy(buyer: int) -> None:
        await asyncio.sleep(SPREAD_SECONDS * buyer / PAYERS)
        told = await rush.take(buyer)
        assert isinstance(told, Held)
        request = to_pay(rush.show, told.reservation["id"], viewer=f"buyer-{buyer}")
        orders[request.order] = await paid(house, request)

    buying = asyncio.gather(*(buy(buyer) for buyer in range(PAYERS)))
    await wait_for(lambda: len(orders) > PAYERS // 4, "some have paid")
    primary.end()
    await buying

    async def taken_over() -> bool:
        with suppress(RedisError):
            return bool(await house.client.exists(key("show", show=rush.show)))
        return False

    await wait_for(taken_over, "its replica takes over")  # each may have had an answer before that
    for order, outcome in orders.items():
        if isinstance(outcome, Pending):
            await end_lease(house.client, rush.show, order)
    await house.checkout.resume(rush.show)
    found = [await house.orders.find(order) for order in orders]
    assert {(view["status"], view["payment"]["status"]) for view, _ in filter(None, found)} == {
        ("paid", "captured")
    }
    assert bank.captures == dict.fromkeys(orders, 1)
    assert await numbers(house, rush.show, rush.drop) == (UNITS - PAYERS, 0, PAYERS)
    drops = await audit(house.client, house.orders, rush.show)
    assert [line for drop in drops for line in drop.differences] == []


async def paid(house: House, request: Request) -> Paid | Pending:
    """Pay, and ask again under the same id for as long as the answer is unknown."""
    while True:
        try:
            outcome = await house.checkout.pay(request)
        except Problem as problem:
            outcome = problem
        if not isinstance(outcome, Problem):
            return outcome
        assert outcome.code is Code.UNAVAILABLE, outcome.detail
        await asyncio.sleep(AGAIN_SECONDS)


async def test_repeating_under_another_id_would_take_two(nodes: Nodes, house: House) -> None:
    """Negative control: buyers who give each try an id of its own end up with units that nobody knows of."""
    primary = nodes.primaries[0]
    rush = await rush_on(house, nodes, primary, same_id=False)
    rushing = asyncio.create_task(rush.run())
    await wait_for(rush.has_served, "some have bought")
    with primary.stopped():
        await asyncio.sleep(SOCKET_SECONDS + AGAIN_SECONDS)
    await rushing
    assert any("by somebody who knows" in complaint for complaint in await rush.complaints())


@pytest.mark.parametrize("replaced", [False, True], ids=["comes back", "is replaced"])
async def test_a_primary_stands_still_while_units_are_taken(
    nodes: Nodes, house: House, *, replaced: bool
) -> None:
    """SIGSTOP to the show's primary, shorter or longer than the others wait for it: one unit per id in the end."""
    primary = nodes.primaries[0]
    replica = nodes.replica_of(primary)
    rush = await rush_on(house, nodes, primary)
    rushing = asyncio.create_task(rush.run())
    await wait_for(rush.has_served, "some have bought")
    with primary.stopped():
        await asyncio.sleep(SOCKET_SECONDS + AGAIN_SECONDS)
        if replaced:
            await wait_for(lambda: replica.told().get("role") == "master", "its replica takes over")
    await rushing
    assert rush.unknown > 0, "nobody met the standstill"
    if replaced:
        await wait_for(lambda: nodes.owner(key("show", show=rush.show)) is replica, "all nodes know")
    await rush.ask_again()
    assert await rush.complaints() == []


# -- who watches


async def test_shows_of_other_nodes_are_heard_while_a_primary_is_away(nodes: Nodes, house: House) -> None:
    """While one show's primary is dead, events of the others come at once; then its own go on, without a gap."""
    notes = Notes()
    gone, *others = nodes.primaries
    silent, *shows = [await live_show_on(house, nodes, node) for node in (gone, *others)]
    async with listening(house, notes, silent, *shows) as ear:
        await wait_for(lambda: ear.hears, "its echo comes back")
        gone.end()
        tops = dict(notes.tops)
        while nodes.owner(key("show", show=silent)) is gone:
            for show in shows:
                await house.shows.pin(show, [])
                tops[show] += 1
            await wait_for(lambda: notes.tops == tops, "both have been told", AT_ONCE_SECONDS)
        await wait_for(lambda: pinned(house, silent), "the show goes on")
        await wait_for(lambda: notes.tops[silent] > tops[silent], "its events have come")
        await wait_for(lambda: ear.hears, "its echo comes back, from wherever")
    assert notes.losses == 0


async def pinned(house: House, show: str) -> bool:
    """Whether an event could be written."""
    with suppress(Problem):
        await house.shows.pin(show, [])
        return True
    return False


async def test_a_server_sells_on_through_a_failover(nodes: Nodes, tmp_path: Path) -> None:
    """The whole product on a cluster: the show's primary dies, a viewer repeats their key, another watches on."""
    server = ServerProcess(tmp_path / "data", settings={"REDIS_URL": nodes.url})
    await asyncio.to_thread(server.start)
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            stage = Stage(server, http)
            await stage.open()
            drop = await stage.drop(2)
            async with stage.watching() as viewer:
                assert (await viewer.reserve(drop))["type"] == "reservation"
                nodes.owner(key("show", show=stage.show)).end()

                async def sells() -> bool:
                    taken = await stage.reserve(stage.viewer("second"), drop, key="same")
                    return taken.status_code == httpx.codes.CREATED

                await wait_for(sells, "units can be taken again")
                await stage.move(drop, "close")
                await viewer.event("drop.closed")
            assert stage.numbers(await stage.stock(drop)) == (0, 2, 0)
            await stage.audit()
    finally:
        assert await asyncio.to_thread(server.stop) == 0, server.log.read_text()
