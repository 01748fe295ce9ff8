"""hold_return: sold units of an order that was paid back are on sale again, once."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.store.answers import ask
from server.store.lua import lua_folder
from server.store.scripts import Scripts
from tests.lua.scene import Scene

if TYPE_CHECKING:
    from pathlib import Path

ORDER = "or_1"


def back(*returned: tuple[str, int], order: str = ORDER, **more: Any) -> dict[str, Any]:
    """Return the arguments that bring units back."""
    return {"returned": [list(each) for each in returned], "order": order, **more}


async def settled(scene: Scene, *reservations: str) -> None:
    """Pay reservations and settle the order, as the ledger has it before anything can come back."""
    await scene.sold(*reservations, order=ORDER)
    assert (await scene.run("order_settle", order=ORDER, viewer="ann", view={}))["outcome"] == "settled"


async def test_all_of_it(scene: Scene) -> None:
    """From sold to available in one step: the reservation is released, its viewer hears it, and may take again."""
    drop = await scene.opened(3, limit_per_viewer=2)
    reservation = await scene.held(drop, "ann", 2)
    await settled(scene, reservation)
    async with scene.watched() as told:
        answer = await scene.run("hold_return", **back((reservation, 2)))
    assert answer == {"outcome": "returned", "units": 2, "owed": []}
    assert await scene.numbers(drop) == (3, 0, 0)
    assert told.states == [(reservation, "released")]
    assert [(stock["available"], stock["sold"]) for stock in told.stocks] == [(3, 0)]
    assert told.kinds == []
    assert (await scene.hold(reservation))["order"] == ORDER
    assert await scene.held(drop, "ann", 2)


async def test_a_part_of_it(scene: Scene) -> None:
    """What came back does not count for its viewer any more, the rest does; the award stays as it was."""
    drop = await scene.opened(5, limit_per_viewer=3)
    reservation = await scene.held(drop, "ann", 3)
    await settled(scene, reservation)
    assert (await scene.run("hold_return", **back((reservation, 1))))["units"] == 1
    assert await scene.numbers(drop) == (3, 0, 2)
    hold = await scene.hold(reservation)
    assert (hold["state"], hold["quantity"], hold["returned"]) == ("sold", 3, 1)
    assert await scene.awarded(drop) == [(reservation, 3)]
    refused = await scene.refused_step(scene.taking(drop, "ann", 2))
    assert refused[0] == "limit-reached"
    await scene.held(drop, "ann", 1)


async def test_what_came_back_so_far_counts(scene: Scene) -> None:
    """Repeats, and an earlier number that comes later, bring nothing; the sum of both refunds does."""
    drop = await scene.opened(5)
    reservation = await scene.held(drop, "ann", 3)
    await settled(scene, reservation)
    assert (await scene.run("hold_return", **back((reservation, 2))))["units"] == 2
    for said in (2, 1, 0):
        again = await scene.refused("hold_return", **back((reservation, said)))
        assert again == {"outcome": "returned", "units": 0, "owed": []}
    assert (await scene.run("hold_return", **back((reservation, 3))))["units"] == 1
    assert (await scene.hold(reservation))["state"] == "released"
    for said in (3, 9):
        assert (await scene.refused("hold_return", **back((reservation, said))))["units"] == 0
    assert await scene.numbers(drop) == (5, 0, 0)


async def test_never_more_than_was_sold(scene: Scene) -> None:
    """A number beyond the reservation's units brings those alone."""
    drop = await scene.opened(5)
    reservation = await scene.held(drop, "ann", 2)
    await settled(scene, reservation)
    assert (await scene.run("hold_return", **back((reservation, 9))))["units"] == 2
    assert await scene.numbers(drop) == (5, 0, 0)


async def test_two_at_once_bring_it_once(scene: Scene) -> None:
    """Ten workers that bring the same units bring them once."""
    drop = await scene.opened(4)
    reservation = await scene.held(drop, "ann", 2)
    await settled(scene, reservation)
    assert await brought(scene, reservation) == [0] * 9 + [1]
    assert await scene.numbers(drop) == (3, 0, 1)


async def brought(scene: Scene, reservation: str) -> list[int]:
    """Let ten workers bring one unit back at once; return how many each of them did."""
    bringing = (
        ask(scene.scripts, "hold_return", {"show": scene.show}, skip=0, **back((reservation, 1)))
        for _ in range(10)
    )
    return sorted(each["units"] for each in await asyncio.gather(*bringing))


async def test_a_script_that_brings_differences_brings_them_twice(scene: Scene, tmp_path: Path) -> None:
    """The check before would find a script that does not look at what came back so far."""
    folder = tmp_path / "lua"
    shutil.copytree(lua_folder(), folder)
    script, known = folder / "hold_return.lua", " - (hold.returned or 0)"
    assert known in script.read_text()
    script.write_text(script.read_text().replace(known, ""))
    forgetful = Scene(scene.client, Scripts(scene.client, folder))
    reservation = await forgetful.held(await forgetful.opened(4), "ann", 2)
    await settled(forgetful, reservation)
    assert await brought(forgetful, reservation) != [0] * 9 + [1]
    await forgetful.clear()


async def test_frozen(scene: Scene) -> None:
    """While the stock is rebuilt nothing comes back; afterwards it does."""
    drop = await scene.opened(1)
    reservation = await scene.held(drop)
    await settled(scene, reservation)
    await scene.client.hset(scene.key("show"), "frozen", "1")
    assert await scene.refused("hold_return", **back((reservation, 1))) == {"outcome": "frozen"}
    await scene.client.hdel(scene.key("show"), "frozen")
    assert (await scene.run("hold_return", **back((reservation, 1))))["units"] == 1


async def test_several_drops_in_one_step(scene: Scene) -> None:
    """Lines of one order come back together, each by its own number."""
    first, second = await scene.opened(2), await scene.opened(3)
    one, two = await scene.held(first), await scene.held(second, "ann", 2)
    await settled(scene, one, two)
    assert (await scene.run("hold_return", **back((one, 1), (two, 1))))["units"] == 2
    assert (await scene.numbers(first), await scene.numbers(second)) == ((2, 0, 0), (2, 0, 1))


async def test_who_waits_is_served_first(scene: Scene) -> None:
    """Units that come back of a sold-out drop go to the queue, in the same step."""
    drop = await scene.opened(1)
    reservation = await scene.held(drop)
    await settled(scene, reservation)
    (bobs,) = await scene.joined(drop, "bob")
    async with scene.watched() as told:
        await scene.run("hold_return", **back((reservation, 1)))
    assert await scene.numbers(drop) == (0, 1, 0)
    assert told.states == [(reservation, "released"), (bobs, "held")]
    assert [body["type"] for _, body in told.private][-1] == "waitlist.promoted"


@pytest.mark.parametrize("script", ["drop_close", "show_end"])
async def test_of_what_is_over(scene: Scene, script: str) -> None:
    """A closed drop, or one of an ended show, has the units back, gives them to nobody, and plans nothing."""
    drop = await scene.opened(1)
    reservation = await scene.held(drop)
    await settled(scene, reservation)
    await scene.joined(drop, "bob")
    await scene.moved(script, **({"drop": drop, "by": "host"} if script == "drop_close" else {}))
    assert (await scene.run("hold_return", **back((reservation, 1))))["units"] == 1
    assert await scene.numbers(drop) == (1, 0, 0)
    assert not any(move.startswith("promote") for move in await scene.due())


async def test_of_a_retired_show(scene: Scene) -> None:
    """No key of a show that is on its way out becomes one that stays."""
    drop = await scene.opened(2)
    reservation = await scene.held(drop)
    await settled(scene, reservation)
    await scene.moved("show_end")
    assert (await scene.run("show_retire", keep_ms=60_000))["outcome"] == "retired"
    assert (await scene.run("hold_return", **back((reservation, 1))))["units"] == 1
    assert await scene.numbers(drop) == (2, 0, 0)
    assert all(expires for _content, expires in (await scene.dump()).values())


async def test_gone(scene: Scene) -> None:
    """Of a show that is gone nothing comes back, and nothing is made."""
    answer = await scene.refused("hold_return", **back((ids.full(scene.show, "abc"), 1)))
    assert answer == {"outcome": "gone"}


async def test_what_is_not_this_orders(scene: Scene) -> None:
    """Units that are held, being paid, sold to another order, or of no reservation at all, stay where they are."""
    drop = await scene.opened(9)
    held, paying, sold = [await scene.held(drop, viewer) for viewer in ("ann", "bob", "cleo")]
    await scene.claimed(paying, order=ORDER, viewer="bob")
    await scene.sold(sold, order="or_2", viewer="cleo")
    wanted = [(each, 1) for each in (held, paying, sold, ids.full(scene.show, "none"), "rs_other_x")]
    assert (await scene.refused("hold_return", **back(*wanted)))["units"] == 0


async def test_addresses_are_freed(scene: Scene) -> None:
    """Units that come back count for their buyer's address no more: of a part, and of all."""
    drop = await scene.opened(5, limit_per_address=3)
    asked = scene.taking(drop, "ann", 3, address="1.2.3.4")
    outcome, *_ = await scene.step(asked, addresses=True)
    assert outcome[0] == "held"
    reservation = scene.reservation(asked)
    await settled(scene, reservation)
    for said, left in ((1, [2]), (3, [])):
        await scene.run("hold_return", **back((reservation, said)))
        counted: Any = await scene.client.hvals(scene.key("addresses"))
        assert [int(units) for units in counted] == left
