"""Draws through the HTTP door: enter, close, win, and the log by which anybody can check it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from server import ids
from tests.problems import assert_problem

if TYPE_CHECKING:
    import httpx

    from tests.stage import Stage


def path(stage: Stage, drop: str, what: str) -> str:
    """Return a path below a drop."""
    return f"/v1/shows/{stage.show}/drops/{drop}/{what}"


async def enter(stage: Stage, token: str, drop: str, quantity: int = 1) -> httpx.Response:
    """Enter a draw."""
    return await stage.call("POST", path(stage, drop, "waitlist"), token, json={"quantity": quantity})


async def log_of(stage: Stage, drop: str) -> dict[str, Any]:
    """Return a draw's log."""
    answer = await stage.call("GET", path(stage, drop, "draw"), stage.viewer())
    assert answer.status_code == 200, answer.text
    log: dict[str, Any] = answer.json()
    return log


def place(seed: str, entry: str) -> int:
    """Return what the seed makes of an entry."""
    return int(hashlib.sha1((seed + entry).encode(), usedforsecurity=False).hexdigest()[:10], 16)


async def test_a_draw_from_its_opening_to_the_orders(stage: Stage) -> None:
    """The promise at the opening, nothing held before the end, then the seed, the winners by it, and their orders."""
    drop = await stage.drop(3, mode="draw", limit_per_viewer=2)
    opened = await stage.stock(drop)
    assert "seed" not in opened
    assert len(opened["seed_hash"]) == 64
    viewers = {f"v{number}": stage.viewer() for number in range(6)}
    async with stage.watching() as watching:
        for number, viewer in enumerate(viewers.values(), 1):
            entered = await enter(stage, viewer, drop, quantity=number % 2 + 1)
            assert entered.json()["position"] == number
        refused = await stage.reserve(viewers["v0"], drop)
        assert_problem(refused, 409, "wrong-state", "This drop is a draw")
        before = await log_of(stage, drop)
        assert stage.numbers(await stage.stock(drop)) == (3, 0, 0)
        closed = await stage.move(drop, "close")
        told = await watching.event("drop.drawn")
    assert "seed" not in before
    assert (before["drawn"], before["winners"], before["units"]) == (False, [], 3)
    assert hashlib.sha256(closed["seed"].encode()).hexdigest() == opened["seed_hash"] == closed["seed_hash"]
    after = await log_of(stage, drop)
    assert (after["drawn"], after["status"], after["seed"]) == (True, "closed", closed["seed"])
    assert after["entries"] == before["entries"]
    assert {name: told[name] for name in ("seed", "seed_hash", "entries", "units")} == {
        "seed": closed["seed"],
        "seed_hash": opened["seed_hash"],
        "entries": 6,
        "units": 3,
    }
    left, expected = 3, []
    for entry in sorted(after["entries"], key=lambda one: place(closed["seed"], one["entry"])):
        given = min(entry["quantity"], left)
        expected += [{"entry": entry["entry"], "quantity": given}] if given else []
        left -= given
    assert after["winners"] == expected
    assert stage.numbers(await stage.stock(drop)) == (0, 3, 0)
    winner = after["winners"][0]
    number = next(each["n"] for each in after["entries"] if each["entry"] == winner["entry"])
    mine = ids.full(stage.show, winner["entry"])
    paid = await stage.pay(list(viewers.values())[number - 1], mine)
    assert paid.status_code == 201, paid.text


async def test_who_leaves_stays_in_the_log_and_wins_nothing(stage: Stage) -> None:
    """An entry that was given up is marked with the last entry before it left; entering again is another entry."""
    drop = await stage.drop(9, mode="draw")
    first, second = stage.viewer(), stage.viewer()
    for viewer in (first, second):
        await enter(stage, viewer, drop)
    left = await stage.call("DELETE", path(stage, drop, "waitlist"), first)
    assert left.json()["position"] == 0
    assert (await enter(stage, first, drop)).json()["position"] == 3
    await stage.call("DELETE", path(stage, drop, "waitlist"), second)
    await stage.move(drop, "close")
    log = await log_of(stage, drop)
    assert [(entry["n"], entry.get("left")) for entry in log["entries"]] == [(1, 2), (2, 3), (3, None)]
    assert [winner["entry"] for winner in log["winners"]] == [log["entries"][2]["entry"]]
    closed = await stage.call("DELETE", path(stage, drop, "waitlist"), first)
    assert_problem(closed, 409, "drop-closed")
    assert_problem(await enter(stage, stage.viewer(), drop), 409, "drop-closed")


async def test_an_entry_stays_as_it_is(stage: Stage) -> None:
    """Entering again keeps number and units: the log has them; who wants other ones leaves first."""
    drop, viewer = await stage.drop(9, mode="draw", limit_per_viewer=5), stage.viewer()
    first = await enter(stage, viewer, drop, 2)
    again = await enter(stage, viewer, drop, 3)
    assert (first.json()["quantity"], again.json()["quantity"]) == (2, 2)
    assert again.json()["position"] == 1
    assert [entry["quantity"] for entry in (await log_of(stage, drop))["entries"]] == [2]


async def test_leaving_and_entering_has_an_end(stage: Stage) -> None:
    """409 `limit-reached` says how often one can enter; the record stays as long as its viewers are many."""
    drop, viewer = await stage.drop(1, mode="draw"), stage.viewer()
    for _ in range(8):
        assert (await enter(stage, viewer, drop)).status_code == 200
        await stage.call("DELETE", path(stage, drop, "waitlist"), viewer)
    refused = await enter(stage, viewer, drop)
    assert_problem(
        refused, 409, "limit-reached", "a draw can be entered 8 times and you have left it 8 times"
    )
    assert len((await log_of(stage, drop))["entries"]) == 8


async def test_a_draw_needs_no_waitlist_flag(stage: Stage) -> None:
    """`waitlist: false` is about queues for what comes back; one can enter all the same."""
    drop = await stage.drop(1, mode="draw", waitlist=False)
    assert (await enter(stage, stage.viewer(), drop)).json()["position"] == 1


async def test_each_draw_has_a_log_of_its_own(stage: Stage) -> None:
    """Two draws of one show, and queues beside them, stay apart; the hash of each seed is its own."""
    drops = [await stage.drop(1, mode="draw") for _ in range(2)]
    other, viewer = await stage.drop(1), stage.viewer()
    await enter(stage, viewer, other)
    for count, drop in enumerate(drops, 1):
        for _ in range(count):
            await enter(stage, stage.viewer(), drop)
    logs = [await log_of(stage, drop) for drop in drops]
    assert [[entry["n"] for entry in log["entries"]] for log in logs] == [[1], [1, 2]]
    assert logs[0]["seed_hash"] != logs[1]["seed_hash"]


async def test_what_is_no_draw_has_no_log(stage: Stage) -> None:
    """409 with its mode; a draw that is not open yet has an empty log without a promise; 404 where there is no drop."""
    for mode in ("fifo", "first_paid"):
        refused = await stage.host("GET", path(stage, await stage.drop(1, mode=mode), "draw"))
        assert_problem(refused, 409, "wrong-state", f"This drop is no draw, its mode is {mode}.")
    log = await log_of(stage, await stage.drop(4, opened=False, mode="draw"))
    assert (log["entries"], log["winners"], log["units"], log["drawn"]) == ([], [], 4, False)
    assert log.keys().isdisjoint({"seed", "seed_hash"})
    assert_problem(await stage.host("GET", path(stage, "dr_none", "draw")), 404, "not-found", "'dr_none'")


async def test_the_end_of_a_show_draws(stage: Stage) -> None:
    """A draw that is open when the show ends is drawn; its winners can pay."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Short", "currency": "EUR"})
    stage.show = made.json()["id"]
    await stage.host("POST", f"/v1/shows/{stage.show}/start")
    drop, viewer = await stage.drop(1, mode="draw"), stage.viewer()
    await enter(stage, viewer, drop)
    await stage.host("POST", f"/v1/shows/{stage.show}/end")
    log = await log_of(stage, drop)
    assert log["drawn"]
    paid = await stage.pay(viewer, ids.full(stage.show, log["winners"][0]["entry"]))
    assert paid.status_code == 201
