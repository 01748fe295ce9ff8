"""The books of a show in which everything happened: they balance, and whatever is changed in them is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.inventory.books import read_books
from server.store import reads
from server.store.answers import unpacked
from server.store.redis import connect
from server.store.scripts import Scripts
from tests.deadlines import packed
from tests.lua.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from server.inventory.records import DropBooks
    from server.store.embedded import Embedded

    Tampering = Callable[[Scene], Awaitable[Any]]

RANK, SCORE = 6, 2**40


@pytest.fixture
async def scene(private_valkey: Embedded) -> AsyncIterator[Scene]:
    """Give a show with holds in all states, bundles, queues, a draw, addresses and orders."""
    client = connect(private_valkey.url)
    one = Scene(client, Scripts(client))
    mugs, lamps = await one.opened(6), await one.opened(3, limit_per_address=9)
    draw = await one.opened(2, mode="draw")
    held, released, expired, paid, sold = [await one.held(mugs, "ann") for _ in range(5)]
    await one.released(released)
    await one.lapsed(expired)
    await one.run("hold_sweep", limit=10)
    await one.claimed(paid)
    await one.sold(sold, order="or_2")
    asked = [
        one.bundling((mugs, 1), (lamps, 1), viewer="bob", address="10.0.0.1"),
        one.taking(lamps, "carl", 4, part=True, address="10.0.0.1"),
        one.joining(lamps, "dora"),
        *(one.joining(draw, viewer) for viewer in ("ann", "bob", "carl")),
        one.leaving(draw, "bob"),
    ]
    await one.step(*asked, addresses=True)
    assert (await one.hold(held))["state"] == "held"
    yield one
    await one.clear()
    await client.aclose()


async def differences(scene: Scene) -> list[str]:
    """Return all that is wrong."""
    return [each for drop in await read_books(scene.client, scene.show) for each in drop.differences]


async def test_they_balance(scene: Scene) -> None:
    """Nothing is wrong, and what is counted is what is stored."""
    mugs, lamps, draw = await read_books(scene.client, scene.show)
    assert await differences(scene) == []
    assert numbers(mugs) == (6, 2, 3, 1)
    assert numbers(lamps) == (3, 0, 3, 0)
    assert (mugs.awards, lamps.awards, lamps.waiting, draw.joined, draw.waiting) == (6, 2, 2, 3, 2)
    assert mugs.in_flight == 1
    assert [drop.counted_head == drop.head for drop in (mugs, lamps, draw)] == [True] * 3


def numbers(drop: DropBooks) -> tuple[int, int, int, int]:
    """Return (quantity, available, held, sold)."""
    return drop.quantity, drop.available, drop.counted_held, drop.counted_sold


async def test_they_balance_once_all_is_over(scene: Scene) -> None:
    """With the show's end, the draw drawn, everything lapsed or sold: nothing is wrong, and none is held."""
    await scene.moved("show_end")
    await scene.stepped("or_1", "claimed", "authorized")
    await scene.run("hold_finalize", order="or_1")
    for viewer in ("ann", "bob", "carl"):
        for number, _units, reservation in await scene.mine(viewer):
            if number > 0 and (await scene.hold(reservation))["state"] == "held":
                await scene.lapsed(reservation)
    await scene.run("hold_sweep", limit=100)
    assert await differences(scene) == []
    assert [drop.held for drop in await read_books(scene.client, scene.show)] == [0, 0, 0]


async def test_a_show_without_drops_has_no_books(scene: Scene) -> None:
    """There is nothing to compare."""
    other = Scene(scene.client, scene.scripts)
    await other.live()
    assert await read_books(scene.client, other.show) == []
    await other.clear()


def changed(kind: str, field: str | None, at: int, value: Any) -> Tampering:
    """Return what writes another value into a record, the first one where no field is named."""

    async def tamper(scene: Scene) -> None:
        place = scene.key(kind)
        name = field or await first(scene, kind)
        row = await scene.record(kind, name)
        assert row[at] != value
        row[at] = value
        await scene.client.hset(place, name, packed(row))

    return tamper


async def first(scene: Scene, kind: str) -> str:
    """Return the name of a hash's first record."""
    return min(await reads.fields(scene.client, scene.key(kind), kind)).decode()


def gone(kind: str, field: str | None = None) -> Tampering:
    """Return what deletes a record, the first one where no field is named."""

    async def tamper(scene: Scene) -> None:
        assert await scene.client.hdel(scene.key(kind), field or await first(scene, kind)) == 1

    return tamper


def stock(at: int, value: Any) -> Tampering:
    """Return what writes another value into the first drop's numbers."""

    async def tamper(scene: Scene) -> None:
        numbers = await reads.fields(scene.client, scene.key("numbers"), "numbers")
        await changed("stock", numbers[b"1"].decode(), at, value)(scene)

    return tamper


def deadline(entry: str | None, at: int | None) -> Tampering:
    """Return what puts an entry into the index of deadlines, or takes the newest one off."""

    async def tamper(scene: Scene) -> None:
        place = scene.key("expiry")
        newest = (await reads.newest(scene.client, place, None, 1, "deadlines"))[0][0]
        if at is None:
            await scene.client.zrem(place, newest)
        else:
            await scene.client.zadd(place, {entry or newest: at})

    return tamper


def queue(name: str, score: int | None) -> Tampering:
    """Return what moves a place in the index of the queues, or takes it out."""

    async def tamper(scene: Scene) -> None:
        if score is None:
            assert await scene.client.zrem(scene.key("waitlist"), name) == 1
        else:
            await scene.client.zadd(scene.key("waitlist"), {name: score})

    return tamper


async def other_address(scene: Scene) -> None:
    """Count a unit too much for an address."""
    await scene.client.hincrby(scene.key("addresses"), await first(scene, "addresses"), 1)


async def other_number(scene: Scene) -> None:
    """Let a number name no drop."""
    await scene.client.hset(scene.key("numbers"), "2", "dr_none")


@pytest.mark.parametrize(
    ("tamper", "difference"),
    [
        (stock(1, 4), "held is 4, its holds are 3"),
        (stock(0, 3), "available + held + sold is 7, quantity 6"),
        (stock(2, -1), "a number is below zero"),
        (stock(8, 5), "there were 5 awards, the award log has 6"),
        (stock(9, "0" * 40), "its chain's head is 000000000000"),
        (stock(10, 1), "1 are said to wait, 0 do"),
        (changed("holds", None, 2, 9), "as award"),
        (changed("holds", None, RANK, 99), "as award 99, its log differs"),
        (changed("holds", None, 1, "eve"), "which is not theirs"),
        (gone("holds"), "which is no reservation"),
        (gone("mine", "bob"), "a viewer's list lacks 1 as"),
        (changed("mine", "bob", 1, 7), "a viewer's list has 7 as"),
        (deadline(None, None), "has no deadline"),
        (deadline(None, 5), "has no deadline"),
        (deadline("none", 5), "reservation none has a deadline and no record"),
        (gone("waiting", "2 dora"), "2 are said to wait, 1 do"),
        (gone("waiting", "2 dora"), "a place in a queue has no record"),
        (queue("2 dora", None), "is not in its queue"),
        (queue("2 dora", 2 * SCORE + 9), "stands where it does not belong"),
        (queue("3 ann", 3 * SCORE + 9), "stands where it does not belong"),
        (
            changed("waiting", "3 ann", 0, "other"),
            "those in the draw are not those who entered by the award log",
        ),
        (gone("left"), "0 are said to have left, the award log has 1"),
        (other_address, "an address' counter says 2, its holds 1"),
        (other_number, "the drops and their numbers do not agree"),
    ],
)
async def test_what_does_not_agree_is_found(scene: Scene, tamper: Tampering, difference: str) -> None:
    """Each record is compared with the others: no single one can be changed, lost or made up unseen."""
    await tamper(scene)
    found = await differences(scene)
    assert any(difference in each for each in found), found


async def notes_of(scene: Scene) -> list[bytes]:
    """Return the award log."""
    rows = await reads.stream_after(scene.client, scene.key("awards"), 0, 1000, "awards")
    return [fields[b"n"] for _, fields in rows]


async def rewritten(scene: Scene, notes: list[bytes]) -> list[str]:
    """Put other notes in the log's place and return what is found."""
    await scene.client.delete(scene.key("awards"))
    for packed_note in notes:
        await scene.client.xadd(scene.key("awards"), {"n": packed_note})
    return await differences(scene)


async def test_the_same_log_again_is_no_difference(scene: Scene) -> None:
    """The control of the next ones: written anew as it was, the log is as good as before."""
    assert await rewritten(scene, await notes_of(scene)) == []


async def test_one_byte_of_a_note(scene: Scene) -> None:
    """Whichever byte of whichever note is changed, it is found."""
    notes = await notes_of(scene)
    for at, whole in enumerate(notes):
        for place in range(0, len(whole), 5):
            other = bytearray(whole)
            other[place] ^= 1
            assert await rewritten(scene, [*notes[:at], bytes(other), *notes[at + 1 :]]), (at, place)


async def test_a_note_that_is_missing_moved_or_made_up(scene: Scene) -> None:
    """A note that was left out, said twice, put before the one of its drop ahead of it, or invented, is found."""
    notes = await notes_of(scene)
    for at in range(len(notes)):
        assert await rewritten(scene, notes[:at] + notes[at + 1 :])
        assert await rewritten(scene, [*notes[:at], notes[at], *notes[at:]])
    assert await rewritten(scene, [notes[1], notes[0], *notes[2:]])
    forged = unpacked(notes[0])
    forged[3], forged[4] = 7, ["forged"]
    assert await rewritten(scene, [*notes, packed(forged)])
