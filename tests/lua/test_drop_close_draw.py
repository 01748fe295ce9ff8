"""drop_close of a draw: the seed is told, and the units go to the entries in the order that it gives them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.lua.scene import SEED

if TYPE_CHECKING:
    from tests.lua.scene import Scene

HOST: dict[str, Any] = {"by": "host"}


def drawn(reservations: list[str]) -> list[str]:
    """Return the order that the seed gives to entries, by the rule as it is published."""
    places: dict[int, str] = {}
    for reservation in reservations:
        place = int(hashlib.sha1(f"{SEED}{reservation.rpartition('_')[2]}".encode()).hexdigest()[:10], 16)  # noqa: S324
        while place in places:
            place += 1
        places[place] = reservation
    return [places[place] for place in sorted(places)]


async def entered(scene: Scene, drop: str, count: int, quantity: int = 1) -> list[str]:
    """Let so many viewers enter; return the ids that their reservations would have."""
    return await scene.joined(drop, *(f"viewer-{number}" for number in range(count)), quantity=quantity)


async def test_moved(scene: Scene) -> None:
    """The seed and what is at stake are told; the units are held for the first in the order drawn, nobody else."""
    drop = await scene.opened(3, mode="draw")
    entries = await entered(scene, drop, 10)
    head = (await scene.stock(drop))["chain"]
    async with scene.watched() as told:
        moved = await scene.moved("drop_close", drop=drop, **HOST)
    event = told.events[0]
    assert (told.kinds[:2], event["drop_id"], event["seed"]) == (["drop.drawn", "drop.closed"], drop, SEED)
    assert (event["seed_hash"], event["entries"], event["units"]) == (moved["drop"]["seed_hash"], 10, 3)
    assert (moved["drop"]["seed"], event["chain"]) == (SEED, head)
    winners = drawn(entries)[:3]
    assert await scene.awarded(drop) == [(winner, 1) for winner in winners]
    assert told.states == [(winner, "held") for winner in winners]
    promoted = [body["reservation"]["id"] for _, body in told.private if body["type"] == "waitlist.promoted"]
    assert promoted == winners
    assert await scene.numbers(drop) == (0, 3, 0)
    assert await scene.due() == {}
    await scene.sold(winners[0], viewer=(await scene.hold(winners[0]))["viewer"])


async def test_the_order_is_fixed_by_the_seed_alone(scene: Scene) -> None:
    """It is not the order in which they came, nobody can see it before, and a position is the number of the entry."""
    drop = await scene.opened(1, mode="draw")
    asked = [scene.joining(drop, f"viewer-{number}") for number in range(8)]
    assert [row[1] for row in await scene.step(*asked)] == list(range(1, 9))
    entries = [scene.reservation(each) for each in asked]
    names = {reservation: f"viewer-{number}" for number, reservation in enumerate(entries)}
    assert await scene.queue(drop) == [names[entry] for entry in drawn(entries)]
    view = (await scene.refused("drop_create", **scene.plan(drop)))["drop"]
    assert ("seed" in view, view["waitlist_length"], view["available"]) == (False, 8, 1)


async def test_nobody_is_served_before(scene: Scene) -> None:
    """While a draw is open its units wait for it, whoever enters and whatever comes back."""
    drop = await scene.opened(2, mode="draw")
    async with scene.watched() as told:
        await entered(scene, drop, 3)
        await scene.moved("drop_restock", drop=drop, quantity=1, most=99)
    assert (told.private, await scene.numbers(drop), await scene.due()) == ([], (3, 0, 0), {})


async def test_who_left_does_not_win(scene: Scene) -> None:
    """An entry that was taken back is out of the order; the log says that it was, and who left cannot after the end."""
    drop = await scene.opened(4, mode="draw")
    entries = await entered(scene, drop, 5)
    first = drawn(entries)[0]
    gone = f"viewer-{entries.index(first)}"
    await scene.step(scene.leaving(drop, gone))
    assert (await scene.chain(drop)).entered == {each.rpartition("_")[2] for each in entries if each != first}
    await scene.moved("drop_close", drop=drop, **HOST)
    assert [winner for winner, _ in await scene.awarded(drop)] == drawn([e for e in entries if e != first])
    assert await scene.refused_step(scene.leaving(drop, gone)) == ["drop-closed"]


async def test_an_entry_is_not_changed(scene: Scene) -> None:
    """Who entered keeps the entry as it is: another operation changes neither its order nor its units."""
    drop = await scene.opened(4, mode="draw")
    await entered(scene, drop, 2)
    assert await scene.refused_step(scene.joining(drop, "viewer-0", 3)) == ["waiting", 1, 2, 1]


async def test_entering_again_is_a_new_entry(scene: Scene) -> None:
    """Who left and comes back has a new number and a new chance, also within one step."""
    drop = await scene.opened(1, mode="draw")
    [old] = await entered(scene, drop, 1)
    again = scene.joining(drop, "viewer-0")
    outcomes = await scene.step(scene.leaving(drop, "viewer-0"), again)
    assert outcomes == [["waiting", 0], ["waiting", 2, 1, 1]]
    chain = await scene.chain(drop)
    assert (chain.entries, chain.entered) == (2, {scene.reservation(again).rpartition("_")[2]})
    assert old.rpartition("_")[2] not in chain.entered


async def test_the_last_winner_gets_what_is_left(scene: Scene) -> None:
    """Who asked for more than is left when it is their turn gets that."""
    drop = await scene.opened(5, mode="draw")
    entries = await entered(scene, drop, 3, quantity=2)
    await scene.moved("drop_close", drop=drop, **HOST)
    assert await scene.awarded(drop) == list(zip(drawn(entries), (2, 2, 1), strict=True))


async def test_more_winners_than_one_step_awards(scene: Scene) -> None:
    """A step awards 256; the worker goes on at once, in the same order, until the units or the entries are gone."""
    drop = await scene.opened(280, mode="draw")
    entries = await entered(scene, drop, 150)
    entries += await scene.joined(drop, *(f"viewer-{number}" for number in range(150, 300)))
    await scene.moved("drop_close", drop=drop, **HOST)
    assert (await scene.numbers(drop), set(await scene.due())) == ((24, 256, 0), {f"promote {drop}"})
    await scene.moved("drop_promote", drop=drop, by="clock")
    assert (await scene.numbers(drop), await scene.due()) == ((0, 280, 0), {})
    assert [winner for winner, _ in await scene.awarded(drop)] == drawn(entries)[:280]


async def test_what_a_winner_gives_back_is_nobodys(scene: Scene) -> None:
    """The draw is over: units that come back after it stay, and everybody can see that they do."""
    drop = await scene.opened(1, mode="draw")
    entries = await entered(scene, drop, 2)
    await scene.moved("drop_close", drop=drop, **HOST)
    winner = drawn(entries)[0]
    await scene.released(winner, f"viewer-{entries.index(winner)}")
    assert (await scene.numbers(drop), await scene.due()) == ((1, 0, 0), {})


@pytest.mark.parametrize("opened", [True, False])
async def test_without_entries(scene: Scene, *, opened: bool) -> None:
    """A draw that nobody entered is drawn all the same; one that never opened has no seed to tell."""
    await scene.live()
    drop = await (scene.opened(2, mode="draw") if opened else scene.planned(2, mode="draw"))
    async with scene.watched() as told:
        await scene.moved("drop_close", drop=drop, **HOST)
    assert told.kinds == (["drop.drawn", "drop.closed"] if opened else ["drop.closed"])
    assert await scene.numbers(drop) == (2, 0, 0)


async def test_the_absent_win_too(scene: Scene) -> None:
    """A draw does not ask who is connected: its outcome depends on nothing that only the server sees."""
    drop = await scene.opened(2, mode="draw")
    entries = await entered(scene, drop, 3)
    await scene.moved("drop_close", drop=drop, skip=1, **HOST)
    assert [winner for winner, _ in await scene.awarded(drop)] == drawn(entries)[:2]


async def test_by_the_clock_while_the_show_halts(scene: Scene) -> None:
    """A draw that closes by its time is drawn then, also in a paused show."""
    drop = await scene.opened(1, mode="draw", closes_at=5)
    entries = await entered(scene, drop, 2)
    await scene.moved("show_pause")
    await scene.moved("drop_close", drop=drop, by="clock")
    assert [winner for winner, _ in await scene.awarded(drop)] == drawn(entries)[:1]
