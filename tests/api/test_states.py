"""The two state machines: every move in every state, and the refusals with the state in their sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.auth import Role
from tests.problems import assert_problem

if TYPE_CHECKING:
    from tests.stage import Stage

# state → the verbs that lead there from scheduled
SHOW_WAYS: dict[str, tuple[str, ...]] = {
    "scheduled": (),
    "live": ("start",),
    "paused": ("start", "pause"),
    "ended": ("start", "end"),
}
SHOW_VERBS = ("start", "pause", "resume", "end")
SHOW_MOVES = {
    ("scheduled", "start"): "live",
    ("scheduled", "end"): "ended",
    ("live", "pause"): "paused",
    ("live", "end"): "ended",
    ("paused", "resume"): "live",
    ("paused", "end"): "ended",
}

COUNTDOWN = {"countdown_ms": 3_600_000}
DROP_WAYS: dict[str, tuple[tuple[str, dict[str, Any] | None], ...]] = {
    "scheduled": (),
    "countdown": (("open", COUNTDOWN),),
    "open": (("open", None),),
    "paused": (("open", None), ("pause", None)),
    "closed": (("open", None), ("close", None)),
}
DROP_VERBS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "open": ("open", None),
    "count down": ("open", COUNTDOWN),
    "cancel": ("cancel", None),
    "pause": ("pause", None),
    "resume": ("resume", None),
    "close": ("close", None),
    "restock": ("restock", {"quantity": 1}),
}
DROP_MOVES = {
    ("scheduled", "open"): "open",
    ("scheduled", "count down"): "countdown",
    ("countdown", "open"): "open",
    ("countdown", "cancel"): "scheduled",
    ("open", "pause"): "paused",
    ("paused", "resume"): "open",
    **{(state, "close"): "closed" for state in DROP_WAYS if state != "closed"},
    **{(state, "restock"): state for state in DROP_WAYS if state != "closed"},
}
# what a reservation is told in each state of its drop
TAKING = {
    "scheduled": "drop-not-open",
    "countdown": "drop-not-open",
    "paused": "drop-not-open",
    "closed": "drop-closed",
}


async def show_in(stage: Stage, state: str) -> str:
    """Return a show in a state."""
    made = await stage.host("POST", "/v1/shows", json={"title": state, "currency": "EUR"})
    show: str = made.json()["id"]
    for verb in SHOW_WAYS[state]:
        assert (await stage.host("POST", f"/v1/shows/{show}/{verb}")).status_code == 200
    return show


async def drop_in(stage: Stage, state: str) -> str:
    """Return a drop of the live show in a state."""
    drop = await stage.drop(2, opened=False)
    for verb, body in DROP_WAYS[state]:
        await stage.move(drop, verb, **(body or {}))
    return drop


@pytest.mark.parametrize("verb", SHOW_VERBS)
@pytest.mark.parametrize("state", SHOW_WAYS)
async def test_every_move_of_a_show(stage: Stage, state: str, verb: str) -> None:
    """Scheduled → live ⇄ paused → ended; everything else is 409 and changes nothing."""
    show = await show_in(stage, state)
    moved = await stage.host("POST", f"/v1/shows/{show}/{verb}")
    expected = SHOW_MOVES.get((state, verb))
    if expected is None:
        assert_problem(moved, 409, "wrong-state", f"Cannot {verb} a show that is {state}.")
    else:
        assert (moved.status_code, moved.json()["status"]) == (200, expected)
    now = (await stage.host("GET", f"/v1/shows/{show}")).json()
    assert now["status"] == (expected or state)
    assert ("ended_at" in now) is (now["status"] == "ended")


@pytest.mark.parametrize("verb", DROP_VERBS)
@pytest.mark.parametrize("state", DROP_WAYS)
async def test_every_move_of_a_drop(stage: Stage, state: str, verb: str) -> None:
    """Scheduled → countdown → open ⇄ paused → closed; everything else is 409 and changes nothing."""
    drop = await drop_in(stage, state)
    before = await stage.stock(drop)
    name, body = DROP_VERBS[verb]
    moved = await stage.host("POST", f"/v1/shows/{stage.show}/drops/{drop}/{name}", json=body)
    expected = DROP_MOVES.get((state, verb))
    if expected is None:
        phrase = "cancel the countdown of" if verb == "cancel" else name
        assert_problem(moved, 409, "wrong-state", f"Cannot {phrase} a drop that is {state}.")
        assert await stage.stock(drop) == before
    else:
        assert (moved.status_code, moved.json()["status"]) == (200, expected)
        assert moved.json() == await stage.stock(drop)
        assert moved.json()["revision"] > before["revision"]


@pytest.mark.parametrize("state", TAKING)
async def test_a_drop_that_is_not_open_gives_nothing(stage: Stage, state: str) -> None:
    """Taking from it is 409 with its state, and with the moment where it is known."""
    drop = await drop_in(stage, state)
    refused = await stage.reserve(stage.viewer(), drop)
    assert_problem(refused, 409, TAKING[state], f"The drop is {state}.")
    if state == "countdown":
        assert refused.json()["opens_at"] == (await stage.stock(drop))["opens_at"]


@pytest.mark.parametrize("state", ["scheduled", "paused", "ended"])
async def test_nothing_opens_and_sells_in_a_show_that_is_not_live(stage: Stage, state: str) -> None:
    """Opening and taking wait for the show; an ended show takes no plans and pins any more."""
    show = await show_in(stage, "scheduled")
    planned = await stage.host("POST", f"/v1/shows/{show}/drops", json={"sku": "MUG", "quantity": 1})
    path = f"/v1/shows/{show}/drops/{planned.json()['id']}"
    for verb in SHOW_WAYS[state]:
        await stage.host("POST", f"/v1/shows/{show}/{verb}")
    opened = await stage.host("POST", f"{path}/open")
    token = stage.server.token(Role.VIEWER, ids.secret(6), show)
    taken = await stage.call("POST", f"{path}/reservations", token, key="k", json={"quantity": 1})
    if state == "ended":
        assert_problem(opened, 409, "wrong-state", "closed")
        assert_problem(taken, 409, "drop-closed", "The drop is closed.")
        more = await stage.host("POST", f"/v1/shows/{show}/drops", json={"sku": "MUG", "quantity": 1})
        assert_problem(more, 409, "wrong-state", "Cannot plan a drop in a show that is ended.")
        pins = await stage.host("PUT", f"/v1/shows/{show}/pinned", json={"skus": ["MUG"]})
        assert_problem(pins, 409, "wrong-state", "Cannot pin products in a show that is ended.")
    else:
        assert_problem(opened, 409, "show-not-live", f"Cannot open a drop while the show is {state}.")
        assert_problem(taken, 409, "show-not-live", f"The show is {state}.")


async def test_a_paused_show_keeps_what_is_held(stage: Stage) -> None:
    """While the show is halted nothing is taken, what is held can be paid, and afterwards it goes on."""
    show = await show_in(stage, "live")
    stage.show = show
    drop, viewer = await stage.drop(2), stage.viewer()
    taken = (await stage.reserve(viewer, drop)).json()["id"]
    await stage.host("POST", f"/v1/shows/{show}/pause")
    assert_problem(await stage.reserve(stage.viewer(), drop), 409, "show-not-live", "paused")
    assert (await stage.pay(viewer, taken)).status_code == 201
    await stage.host("POST", f"/v1/shows/{show}/resume")
    assert (await stage.reserve(stage.viewer(), drop)).status_code == 201


async def test_ending_a_show_closes_its_drops(stage: Stage) -> None:
    """No drop outlives its show; what is held can still be paid."""
    stage.show = await show_in(stage, "live")
    drop, viewer = await stage.drop(2), stage.viewer()
    taken = (await stage.reserve(viewer, drop)).json()["id"]
    await stage.host("POST", f"/v1/shows/{stage.show}/end")
    assert (await stage.stock(drop))["status"] == "closed"
    assert (await stage.pay(viewer, taken)).status_code == 201


@pytest.mark.parametrize("verb", DROP_VERBS)
async def test_a_drop_that_is_not_cannot_be_moved(stage: Stage, verb: str) -> None:
    """Every verb on an unknown drop is 404 with the id."""
    name, body = DROP_VERBS[verb]
    answer = await stage.host("POST", f"/v1/shows/{stage.show}/drops/dr_none/{name}", json=body)
    assert_problem(answer, 404, "not-found", "There is no drop 'dr_none' in this show.")


@pytest.mark.parametrize("countdown", [-1, 3_600_001, 1.5, "soon"])
async def test_a_countdown_has_its_bounds(stage: Stage, countdown: object) -> None:
    """A countdown lasts up to an hour."""
    drop = await stage.drop(1, opened=False)
    path = f"/v1/shows/{stage.show}/drops/{drop}/open"
    refused = await stage.host("POST", path, json={"countdown_ms": countdown})
    assert_problem(refused, 422, "invalid-message", "countdown_ms: Expected `int")
