"""The waitlist through the HTTP door: join, look, leave, and what comes to those who wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.auth import Role
from tests.problems import assert_problem

if TYPE_CHECKING:
    import httpx

    from tests.stage import Stage


async def queue(
    stage: Stage, method: str, token: str, drop: str, key: str | None = None, **body: Any
) -> httpx.Response:
    """Join, look at or leave a drop's queue."""
    path = f"/v1/shows/{stage.show}/drops/{drop}/waitlist"
    return await stage.call(method, path, token, key=key, **({"json": body} if body else {}))


async def joined(stage: Stage, token: str, drop: str, **body: Any) -> tuple[int, int, int]:
    """Join a queue; return the position, its length and the units asked for."""
    answer = await queue(stage, "POST", token, drop, **body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["drop"] == drop
    return answer.json()["position"], answer.json()["length"], answer.json()["quantity"]


async def sold_out(stage: Stage, quantity: int = 1, **terms: Any) -> tuple[str, str, str]:
    """Return a drop whose units one viewer holds, that viewer's token, and their reservation."""
    drop = await stage.drop(quantity, limit_per_viewer=quantity + 5, **terms)
    holder = stage.viewer()
    held = await stage.reserve(holder, drop, quantity)
    assert held.status_code == 201
    return drop, holder, held.json()["id"]


async def test_places_are_given_in_order(stage: Stage) -> None:
    """1 is the next; joining again keeps the place and takes the new number of units; looking tells the same."""
    drop, *_ = await sold_out(stage)
    first, second = stage.viewer(), stage.viewer()
    assert await joined(stage, first, drop) == (1, 1, 1)
    assert await joined(stage, second, drop, quantity=2) == (2, 2, 2)
    assert await joined(stage, first, drop, quantity=3) == (1, 2, 3)
    looked = await queue(stage, "GET", second, drop)
    assert looked.json() == {"drop": drop, "position": 2, "length": 2, "quantity": 2}
    assert (await stage.stock(drop))["waitlist_length"] == 2


async def test_who_leaves_has_no_place(stage: Stage) -> None:
    """Leaving moves the others up; repeated, and where one never stood, it changes nothing."""
    drop, *_ = await sold_out(stage)
    first, second = stage.viewer(), stage.viewer()
    await joined(stage, first, drop)
    await joined(stage, second, drop)
    for _ in range(2):
        left = await queue(stage, "DELETE", first, drop)
        assert (left.status_code, left.json()["position"]) == (200, 0)
    assert (await queue(stage, "GET", second, drop)).json()["position"] == 1
    assert (await queue(stage, "GET", first, drop)).json()["position"] == 0
    assert (await queue(stage, "DELETE", stage.viewer(), drop)).json()["position"] == 0


async def test_units_that_come_back_go_to_who_waits(stage: Stage) -> None:
    """A released unit is held for the first in the queue before anybody else can take it, and they are told."""
    drop, holder, held = await sold_out(stage)
    waiting, late = stage.viewer(), stage.viewer()
    await joined(stage, waiting, drop)
    async with stage.watching(waiting) as viewer:
        await stage.call("DELETE", f"/v1/reservations/{held}", holder)
        told = await viewer.event("waitlist.promoted")
    assert told["drop"] == drop
    assert stage.numbers(await stage.stock(drop)) == (0, 1, 0)
    assert_problem(await stage.reserve(late, drop), 409, "out-of-stock")
    mine = told["reservation"]
    assert (mine["state"], mine["quantity"]) == ("held", 1)
    found = await stage.call("GET", f"/v1/reservations/{mine['id']}", waiting)
    assert found.json() == mine
    assert (await queue(stage, "GET", waiting, drop)).json()["position"] == 0
    assert (await stage.pay(waiting, mine["id"])).status_code == 201


@pytest.mark.parametrize("how", ["restock", "wave", "resume", "show", "decline-free"])
async def test_whatever_brings_units_serves_the_queue(stage: Stage, how: str) -> None:
    """Restock, a wave, a drop or a show that resumes: the queue is served, a newcomer gets what is beyond it."""
    made = await stage.host("POST", "/v1/shows", json={"title": how, "currency": "EUR"})
    stage.show = made.json()["id"]
    await stage.host("POST", f"/v1/shows/{stage.show}/start")
    drop, holder, held = await sold_out(stage, waves=[{"quantity": 1}])
    waiting = stage.viewer()
    await joined(stage, waiting, drop)
    if how in {"resume", "show"}:
        path = f"/v1/shows/{stage.show}" + (f"/drops/{drop}" if how == "resume" else "")
        await stage.host("POST", f"{path}/pause")
        await stage.call("DELETE", f"/v1/reservations/{held}", holder)
        assert stage.numbers(await stage.stock(drop)) == (1, 0, 0)
        await stage.host("POST", f"{path}/resume")
        await stage.until_stock(drop, (0, 1, 0))
    elif how == "decline-free":
        await stage.pay(holder, held, card="tok_declined")
        assert stage.numbers(await stage.stock(drop)) == (0, 1, 0)
        return
    else:
        await stage.move(drop, how, **({"quantity": 1} if how == "restock" else {}))
        assert stage.numbers(await stage.stock(drop)) == (0, 2, 0)
    assert (await queue(stage, "GET", waiting, drop)).json()["position"] == 0


async def test_who_comes_when_there_are_units_has_them_at_once(stage: Stage) -> None:
    """Joining where something is left is answered with position 0: it is held already."""
    drop, viewer = await stage.drop(1), stage.viewer()
    async with stage.watching(viewer) as watching:
        assert await joined(stage, viewer, drop) == (0, 0, 0)
        assert (await watching.event("waitlist.promoted"))["drop"] == drop
    assert stage.numbers(await stage.stock(drop)) == (0, 1, 0)


async def test_a_closed_drop_has_no_queue(stage: Stage) -> None:
    """Closing ends the waiting: nobody stands anywhere, nobody can join, and what comes back serves nobody."""
    drop, holder, held = await sold_out(stage)
    viewer = stage.viewer()
    await joined(stage, viewer, drop)
    await stage.move(drop, "close")
    assert (await queue(stage, "GET", viewer, drop)).json()["position"] == 0
    assert_problem(await queue(stage, "POST", stage.viewer(), drop), 409, "drop-closed")
    await stage.call("DELETE", f"/v1/reservations/{held}", holder)
    assert stage.numbers(await stage.stock(drop)) == (1, 0, 0)
    assert (await stage.stock(drop))["waitlist_length"] == 0


async def test_who_may_not_wait(stage: Stage) -> None:
    """No queue before the opening, without one by the terms, above the limit, or where there is no drop."""
    scheduled, without = await stage.drop(1, opened=False), await stage.drop(1, waitlist=False)
    limited, first_paid = await stage.drop(1), await stage.drop(1, mode="first_paid")
    viewer = stage.viewer()
    for drop, quantity, status, code, said in (
        (scheduled, 1, 409, "drop-not-open", "The drop is scheduled."),
        (without, 1, 409, "wrong-state", "This drop has no waitlist."),
        (first_paid, 1, 409, "wrong-state", ""),
        (limited, 2, 409, "limit-reached", "Asked for 2, the limit per viewer is 1"),
        ("dr_none", 1, 404, "not-found", "There is no drop 'dr_none' in this show."),
        (limited, 0, 422, "invalid-message", "quantity: Expected `int` >= 1, given 0."),
    ):
        answer = await queue(stage, "POST", viewer, drop, quantity=quantity)
        assert_problem(answer, status, code, said)
    for method in ("GET", "DELETE"):
        assert_problem(await queue(stage, method, viewer, "dr_none"), 404, "not-found", "'dr_none'")


async def test_a_place_is_of_its_viewer(stage: Stage) -> None:
    """A host has none to look at, and a token for another show reaches into no queue."""
    drop, *_ = await sold_out(stage)
    host = stage.server.token(Role.HOST, "host")
    elsewhere = stage.server.token(Role.VIEWER, "viewer", "sh_elsewhere")
    for method in ("POST", "GET", "DELETE"):
        assert_problem(await queue(stage, method, host, drop), 403, "not-allowed", "A host may not buy.")
        assert_problem(await queue(stage, method, elsewhere, drop), 403, "not-allowed", stage.show)


async def test_a_joining_with_a_key_is_replayed(stage: Stage) -> None:
    """The same key answers the same and keeps one place."""
    drop, *_ = await sold_out(stage)
    viewer, key = stage.viewer(), ids.secret(8)
    first = await queue(stage, "POST", viewer, drop, key, quantity=1)
    again = await queue(stage, "POST", viewer, drop, key, quantity=1)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert (await stage.stock(drop))["waitlist_length"] == 1


async def test_the_figures_count_who_waits_now(stage: Stage) -> None:
    """`waitlist` is how many wait over all open drops; a closed drop's do not wait any more."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Waiting", "currency": "EUR"})
    stage.show = made.json()["id"]
    await stage.host("POST", f"/v1/shows/{stage.show}/start")

    async def waiting() -> int:
        figures = (await stage.host("GET", f"/v1/shows/{stage.show}/metrics")).json()
        count: int = figures["waitlist"]
        return count

    drops = [(await sold_out(stage))[0] for _ in range(2)]
    for drop, count in zip(drops, (2, 3), strict=True):
        for _ in range(count):
            await joined(stage, stage.viewer(), drop)
    assert await waiting() == 5
    await stage.move(drops[1], "close")
    assert await waiting() == 2
