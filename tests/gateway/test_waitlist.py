"""The waitlist on the live socket of a real server: join, move up, be served, leave, come back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from server.protocol.codec import Codec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.client import LiveClient
    from tests.stage import Stage


@pytest.fixture
async def viewers(stage: Stage) -> AsyncIterator[list[LiveClient]]:
    """Give four viewers on the live socket, in both codecs; the first has a second socket, which is the last."""
    first = stage.viewer()
    tokens = [first, stage.viewer(), stage.viewer(), stage.viewer(), first]
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(stage.watching(token, codec=list(Codec)[number % 2]))
            for number, token in enumerate(tokens)
        ]


def place(viewer: LiveClient, drop: str) -> int:
    """Return where a viewer knows to stand, 0 for nowhere."""
    return int(viewer.places.get(drop, {"position": 0})["position"])


async def stand(viewers: list[LiveClient], drop: str, *places: int) -> None:
    """Wait until these viewers know to stand at these places."""
    await asyncio.gather(
        *(
            viewer.until(lambda seen, expected=expected: place(seen, drop) == expected)  # type: ignore[misc]  # mypy cannot infer a lambda's default
            for viewer, expected in zip(viewers, places, strict=True)
        )
    )


async def test_a_queue_from_end_to_end(stage: Stage, viewers: list[LiveClient]) -> None:
    """Each knows their place; who is served hears it with the reservation, and those behind hear their new place."""
    holder, ann, bob, cid, twin = viewers
    drop = await stage.drop(1)
    held = await holder.reserve(drop)
    joined = [await viewer.join(drop) for viewer in (ann, bob, cid)]
    assert [answer["type"] for answer in joined] == ["waitlist"] * 3
    assert [(answer["position"], answer["length"], answer["quantity"]) for answer in joined] == [
        (1, 1, 1),
        (2, 2, 1),
        (3, 3, 1),
    ]
    assert (await ann.join(drop))["position"] == 1
    await twin.until(lambda seen: seen.stock[drop]["waitlist_length"] == 3)
    await holder.release(held["reservation"]["id"])
    promoted = await ann.event("waitlist.promoted")
    assert (promoted["drop"], promoted["reservation"]["state"]) == (drop, "held")
    assert ann.reservations[promoted["reservation"]["id"]] == promoted["reservation"]
    await stand([ann, bob, cid], drop, 0, 1, 2)
    assert (await bob.leave(drop))["position"] == 0
    await stand([bob, cid], drop, 0, 1)
    assert (await bob.leave(drop))["position"] == 0
    assert bob.places == {}
    await ann.release(promoted["reservation"]["id"])
    await cid.event("waitlist.promoted")
    await stand([cid], drop, 0)


async def test_every_socket_of_a_viewer_knows_the_place(stage: Stage, viewers: list[LiveClient]) -> None:
    """Those that are open hear of it, and one that opens later has it in its welcome."""
    ann, bob, *_, twin = viewers
    drop = await stage.drop(1)
    await bob.reserve(drop)
    await ann.join(drop, 1)
    await stand([twin], drop, 1)
    first = {"drop": drop, "position": 1, "quantity": 1}
    token = stage.viewer(ann.welcome["viewer"])
    async with stage.watching(token) as new, stage.watching(token, since=ann.place) as back:
        assert first in new.welcome["snapshot"]["waitlist"]
        assert back.welcome["recovered"] is True
        assert first in back.welcome["waitlist"]
        await twin.leave(drop)
        await stand([ann, twin, back], drop, 0, 0, 0)


async def test_a_place_asked_for_over_http_is_told_on_the_socket(
    stage: Stage, viewers: list[LiveClient]
) -> None:
    """Who joins through the other door while a socket of theirs is open hears of the place there, and of its moves."""
    holder, ann, bob, cid, _twin = viewers
    drop = await stage.drop(1, limit_per_viewer=2)
    await holder.reserve(drop)
    path = f"/v1/shows/{stage.show}/drops/{drop}"
    await ann.join(drop)
    token = stage.viewer(bob.welcome["viewer"])
    assert (await stage.call("POST", f"{path}/waitlist", token)).json()["position"] == 2
    body, token = {"quantity": 2, "part": True}, stage.viewer(cid.welcome["viewer"])
    part = await stage.call("POST", f"{path}/reservations", token, key="part", json=body)
    assert part.json()["position"] == 3
    await stand([bob, cid], drop, 2, 3)
    await ann.leave(drop)
    await stand([bob, cid], drop, 1, 2)


async def test_taking_a_part_queues_for_the_rest(stage: Stage, viewers: list[LiveClient]) -> None:
    """What is left is held and the rest is waited for; where nothing is left there is a place alone, and no error."""
    ann, bob, cid, *_ = viewers
    drop = await stage.drop(3, limit_per_viewer=3)
    await ann.reserve(drop, 2)
    part = await bob.reserve(drop, 3, part=True)
    assert (part["type"], part["reservation"]["quantity"]) == ("reservation", 1)
    assert part["waiting"] == {"position": 1, "length": 1, "quantity": 2}
    assert place(bob, drop) == 1
    none = await cid.reserve(drop, 1, part=True)
    assert (none["type"], none["position"], none["quantity"]) == ("waitlist", 2, 1)
    refused = await cid.reserve(drop, 1)
    assert (refused["code"], refused["available"], refused["held"]) == ("out-of-stock", 0, 3)
    await stage.move(drop, "restock", quantity=1)
    assert (await bob.event("waitlist.promoted"))["reservation"]["quantity"] == 1
    await bob.until(lambda seen: seen.places[drop]["quantity"] == 1)


async def test_a_closed_drop_has_no_queue(stage: Stage, viewers: list[LiveClient]) -> None:
    """Who waited is told that there is no place any more; nobody can join it."""
    ann, bob, *_ = viewers
    drop = await stage.drop(1)
    await bob.reserve(drop)
    await ann.join(drop)
    await stage.move(drop, "close")
    await stand([ann], drop, 0)
    assert (await ann.join(drop))["code"] == "drop-closed"


async def test_a_bundle_is_all_or_nothing(stage: Stage, viewers: list[LiveClient]) -> None:
    """Units of two drops together, and the same again for the same id; none where one of them has none."""
    ann, bob, *_ = viewers
    first, second = await stage.drop(2), await stage.drop(1)
    taken = await ann.bundle((first, 1), (second, 1), operation="both")
    assert [each["drop"] for each in taken["reservations"]] == [first, second]
    again = await ann.bundle((first, 1), (second, 1), operation="both")
    assert (again["replayed"], again["reservations"]) == (True, taken["reservations"])
    refused = await bob.bundle((first, 1), (second, 1))
    assert (refused["code"], refused["held"]) == ("out-of-stock", 1)
    assert stage.numbers(await stage.stock(first)) == (1, 1, 0)


async def test_a_receipt_says_what_happened(stage: Stage, viewers: list[LiveClient]) -> None:
    """To who asked for one: with the reservation, and with the refusal; anybody can check it."""
    ann, bob, *_ = viewers
    drop = await stage.drop(1)
    for viewer, outcome in ((ann, "held"), (bob, "out-of-stock")):
        answer = await viewer.reserve(drop, receipt=True)
        checked = await stage.call(
            "POST", "/v1/receipts/verify", stage.viewer(), json={"receipt": answer["receipt"]}
        )
        assert checked.status_code == 200, checked.text
        assert checked.json()["facts"]["outcome"] == outcome
    assert "receipt" not in await bob.reserve(drop)
