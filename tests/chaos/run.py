"""A run from its beginning to its settlement: chaos, looks at the books in the midst of it, and the last account."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import httpx
from sqlalchemy import select, update

from server import ids
from server.auth import Role
from server.inventory.outcomes import Held
from server.ledger.tables import order_lines, orders, refunds
from server.store import reads
from server.store.keys import key
from server.workers.audit import audit
from tests.chaos.books import unreturned
from tests.chaos.buyer import Buyer
from tests.chaos.estate import estate
from tests.chaos.host import Host
from tests.chaos.lines import Lines
from tests.chaos.plan import Outcome
from tests.chaos.world import World
from tests.deadlines import end_lease
from tests.waiting import wait_for
from tests.wire import NO_TLS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from tests.chaos.books import Picture
    from tests.chaos.plan import Plan

SETTLED_SECONDS = 45.0
PROOF_SECONDS = 60.0  # beyond the plan's, until there was enough
BETWEEN_SECONDS = 0.2  # two looks at what is settling
FOREVER = 2**53  # ms
LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=50)


async def run(plan: Plan, folder: Path, say: Callable[[str], object]) -> Outcome:
    """Run a plan in a folder of its own and return what it came to."""
    outcome = Outcome()
    async with (
        estate(folder, plan) as gateways,
        httpx.AsyncClient(timeout=10, verify=NO_TLS, limits=LIMITS) as http,
    ):
        world = World(plan, gateways, "", outcome)
        host = Host(world, http)
        await host.begin()
        token = gateways.gateways[0].token
        buyers = [
            Buyer(
                world,
                number,
                Lines(
                    gateways,
                    http,
                    world.show,
                    token(Role.VIEWER, f"buyer-{number}", world.show),
                    plan.chance(f"lines-{number}"),
                ),
            )
            for number in range(plan.buyers)
        ]
        async with asyncio.TaskGroup() as tasks:
            for buyer in buyers:
                tasks.create_task(buyer.live())
            tasks.create_task(host.live())
            tasks.create_task(kill(world))
            tasks.create_task(stop(world, say))
            await asyncio.sleep(plan.seconds)
            await wait_for(partial(proves, outcome, plan), "it proves something", PROOF_SECONDS)
            world.end()
        say(f"{sum(outcome.deeds.values())} answers, {outcome.kills} gateways killed; settling")
        if not outcome.complaints:  # else there is nothing left to prove
            await settle(world, host, buyers)
        outcome.complain("logs", gateways.troubles())
    return outcome


def proves(outcome: Outcome, plan: Plan) -> bool:
    """Whether there were as many answers, and looks at the books, as the plan wants."""
    return outcome.deeds.total() >= plan.answers and outcome.looks >= plan.looks


async def kill(world: World) -> None:
    """Kill one gateway after the other, each at a moment of its own."""
    chance = world.plan.chance("killer")
    while not world.over:
        await world.wait(world.plan.kill_every * (0.5 + chance.random()))
        if not world.over:
            await world.estate.kill(chance.randrange(world.plan.gateways))
            world.outcome.kills += 1


async def stop(world: World, say: Callable[[str], object]) -> None:
    """Read the books in the midst of it, and now and then while everybody stands still: then the ledger's too."""
    chance = world.plan.chance("stops")
    while not world.over:
        for _ in range(5):
            await world.wait(world.plan.stop_every / 5 * (0.5 + chance.random()))
            await world.look("in the midst")
        async with world.standstill():
            await end_refunds(world)
            await world.look("at a stop")
            await audited(world)
        say(f"{sum(world.outcome.deeds.values())} answers, {len(world.outcome.complaints)} complaints")


async def end_refunds(world: World) -> None:
    """End the leases of refunds that a dead gateway left, and let a worker come by."""
    house = world.estate.house
    freed = update(refunds).where(refunds.c.settled.is_(False)).values(next_at=0)
    await house.ledger.write(lambda connection: connection.execute(freed))
    for refund in await house.refunds.waiting():
        await house.refunds.resume(refund)


async def audited(world: World) -> None:
    """Let the audit compare stock, holds and ledger."""
    found = await audit(world.estate.house.client, world.estate.house.orders, world.show)
    world.outcome.complain(
        "audit", [f"{each.books.drop}: {line}" for each in found for line in each.differences]
    )


# -- the last account


async def settle(world: World, host: Host, buyers: list[Buyer]) -> None:
    """Let everything come to its end, then compare what was said with what is there."""
    await host.ask("POST", f"/v1/shows/{world.show}/resume")
    for drop, kind in world.kinds.items():
        await host.move(drop, "resume")
        if kind == "draw" or host.chance.random() < 0.5:
            await host.move(drop, "close")
    await empty_queues(world, buyers)
    await lapsed(world)
    await host.take_back_for_certain()
    picture = await lapsed(world)
    world.outcome.complain("in the end", world.wrong(picture))
    world.outcome.complain("in the end", unheard(world, buyers, picture))
    world.outcome.complain("in the end", [*unreturned(picture, await returned(world))])
    await take_the_rest(world, picture)
    await world.look("in the very end")
    world.outcome.complain("orders", await missing(world))
    done = await asyncio.to_thread(world.estate.gateways[0].command, "audit", "--show", world.show)
    if done.returncode:
        world.outcome.complain("livedrop audit", [done.stdout + done.stderr])


async def empty_queues(world: World, buyers: list[Buyer]) -> None:
    """Let everybody who waits for what comes back wait no more."""
    holds = world.estate.house
    for buyer in buyers:
        for drop, kind in world.kinds.items():
            if kind in {"fifo", "waves"}:
                await holds.waitlist.leave(world.show, buyer.name, drop)


async def lapsed(world: World) -> Picture:
    """Wait until nothing is held any more that can lapse, and no order is under way."""
    client = world.estate.house.client
    pictures: list[Picture] = []

    async def settled() -> bool:
        pending = await reads.due(client, key("pending", show=world.show), FOREVER, 1000, "orders")
        for order in pending:
            await end_lease(client, world.show, order)
        await end_refunds(world)
        owed = await world.estate.house.refunds.waiting()
        pictures.append(await world.look("settling"))
        stock = pictures[-1].stock.items()
        held = [drop for drop, numbers in stock if numbers.held and world.kinds[drop] != "plain"]
        await asyncio.sleep(BETWEEN_SECONDS)
        return not pending and not held and not owed

    await wait_for(settled, "everything is sold or available again", SETTLED_SECONDS)
    return pictures[-1]


def unheard(world: World, buyers: list[Buyer], picture: Picture) -> list[str]:
    """Return what was promised and is not there, and what was refused at once and is."""
    found = []
    for buyer in buyers:
        for deed in buyer.deeds:
            for name, units in deed.first.reservations if deed.first else ():
                hold = picture.holds.get(ids.own(name))
                if hold is None or (hold.viewer, hold.quantity) != (buyer.name, units):
                    found.append(f"{deed.name}: {units} units were promised as {name}, there is {hold}")
            own = ids.own_part(world.show, buyer.name, deed.name)
            if deed.first is None and not deed.doubts and own in picture.holds:
                found.append(f"{deed.name}: was refused, there is {picture.holds[own]}")
    return found


async def take_the_rest(world: World, picture: Picture) -> None:
    """Let newcomers take all that is available in drops that are still open: it is really there."""
    for drop, stock in picture.stock.items():
        terms = picture.terms[drop]
        if (terms["status"], terms["mode"], stock.waiting) != ("open", "fifo", 0):
            continue
        for number in range(stock.available):
            taken = await world.estate.house.holds.reserve(world.show, f"late-{number}", drop, drop, 1)
            if not isinstance(taken, Held):
                world.outcome.complain("stranded", [f"{drop}: unit {number} of {stock.available}: {taken}"])


async def returned(world: World) -> dict[str, int]:
    """Return what came back by the ledger: units by the own part of a reservation's id."""

    def read(connection: Connection) -> dict[str, int]:
        columns = order_lines.c
        query = (
            select(columns.reservation, columns.restocked)
            .join(orders, orders.c.id == columns.order_id)
            .where(orders.c.show == world.show, columns.restocked > 0)
        )
        return {ids.own(reservation): units for reservation, units in connection.execute(query)}

    return await world.estate.house.ledger.read(read)


async def missing(world: World) -> list[str]:
    """Return a sentence for each order that somebody was told of and no ledger has."""
    find = world.estate.house.orders.find
    return [f"{order} is in no ledger" for order in sorted(world.orders) if await find(order) is None]
