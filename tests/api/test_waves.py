"""Waves: a drop whose units come in parts, by the clock or by hand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from tests.problems import assert_problem

if TYPE_CHECKING:
    from tests.stage import Stage

BY_HAND = {"quantity": 1}


async def test_waves_are_planned_and_shown(stage: Stage) -> None:
    """A wave is shown with its units and how it is planned; before the opening only `at` says when it comes."""
    at = time.time_ns() // 1_000_000 + 3_600_000
    drop = await stage.drop(1, opened=False, waves=[{"quantity": 2, "at": at}, BY_HAND])
    assert (await stage.stock(drop))["waves"] == [{"quantity": 2, "at": at}, BY_HAND]
    other = await stage.drop(1, opened=False, waves=[{"quantity": 2, "after_seconds": 60}, BY_HAND])
    assert (await stage.stock(other))["waves"] == [{"quantity": 2, "after_seconds": 60}, BY_HAND]
    opened = await stage.move(other, "open")
    assert opened["waves"][0]["at"] == opened["opened_at"] + 60_000
    assert opened["waves"][1] == BY_HAND
    assert stage.numbers(opened) == (1, 0, 0)


async def test_a_wave_by_hand_adds_its_units(stage: Stage) -> None:
    """Each release adds the next wave's units and says which it was; then none is left."""
    drop = await stage.drop(1, waves=[{"quantity": 2}, {"quantity": 3}])
    async with stage.watching() as viewer:
        for wave, total in ((1, 3), (2, 6)):
            released = await stage.move(drop, "wave")
            assert released["quantity"] == total
            assert released == await stage.stock(drop)
            told = await viewer.event("drop.restocked")
            assert (told["drop_id"], told["wave"], told["stock"]["quantity"]) == (drop, wave, total)
            viewer.messages.remove(told)
    assert all("released_at" in wave for wave in (await stage.stock(drop))["waves"])
    path = f"/v1/shows/{stage.show}/drops/{drop}/wave"
    assert_problem(await stage.host("POST", path), 409, "wrong-state", "Of this drop's 2 waves none is left")
    plain = f"/v1/shows/{stage.show}/drops/{await stage.drop(1)}/wave"
    assert_problem(await stage.host("POST", plain), 409, "wrong-state", "Of this drop's 0 waves none is left")


async def test_a_wave_is_released_once_per_key(stage: Stage) -> None:
    """Repeating the key releases nothing more, also once the first answer is forgotten."""
    drop, key = await stage.drop(1, waves=[BY_HAND, BY_HAND]), ids.secret(8)
    path = f"/v1/shows/{stage.show}/drops/{drop}/wave"
    first = await stage.host("POST", path, key=key)
    again = await stage.host("POST", path, key=key)
    assert (first.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert (await stage.stock(drop))["quantity"] == 2


@pytest.mark.parametrize("opened", [False, True])
async def test_no_wave_comes_before_the_opening_or_after_the_end(stage: Stage, *, opened: bool) -> None:
    """A scheduled drop and a closed one take no wave."""
    drop = await stage.drop(1, opened=opened, waves=[BY_HAND])
    if opened:
        await stage.move(drop, "close")
    state = "closed" if opened else "scheduled"
    refused = await stage.host("POST", f"/v1/shows/{stage.show}/drops/{drop}/wave")
    assert_problem(refused, 409, "wrong-state", f"Cannot release a wave of a drop that is {state}.")


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"waves": [BY_HAND] * 21}, "waves: Expected `array` of length <= 20"),
        ({"waves": [{"quantity": 0}]}, "waves[0].quantity: Expected `int` >= 1"),
        ({"waves": [{"quantity": 10**6}]}, "with them the drop has 1000001 units, at most 1000000"),
        ({"waves": [{**BY_HAND, "at": 9}, {**BY_HAND, "at": 9}]}, "waves: 9 is not after 9"),
        (
            {"waves": [{**BY_HAND, "after_seconds": 9}, BY_HAND, {**BY_HAND, "after_seconds": 8}]},
            "waves: 8 is not after 9",
        ),
        ({"waves": [{**BY_HAND, "at": 9}, {**BY_HAND, "after_seconds": 9}]}, "or all by `after_seconds`"),
        ({"waves": [{**BY_HAND, "at": 9, "after_seconds": 9}]}, "or all by `after_seconds`"),
        ({"waves": [{**BY_HAND, "at": 9}], "opens_at": 9}, "waves: 9 is not after opens_at, 9."),
        ({"waves": [{**BY_HAND, "at": 9}], "closes_at": 9}, "waves: 9 is not before closes_at, 9."),
        ({"waves": [{**BY_HAND, "after_seconds": 0}]}, "waves[0].after_seconds: Expected `int` >= 1"),
    ],
)
async def test_waves_that_cannot_be_are_refused(stage: Stage, terms: dict[str, Any], said: str) -> None:
    """At most 20, in their order, planned in one way, within the drop's time and within what a drop may have."""
    body = {"sku": "MUG", "quantity": 1, **terms}
    answer = await stage.host("POST", f"/v1/shows/{stage.show}/drops", json=body)
    assert_problem(answer, 422, "invalid-message", said)
