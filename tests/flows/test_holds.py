"""Units between available and sold: taken, given back, lapsed, and who hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.stage import Stage

SWEEP_SECONDS = 1.0


async def test_a_lapsed_unit_is_back_within_a_second(stage: Stage) -> None:
    """Unpaid, the unit lapses at its time; its viewer and everybody else are told, and it can be taken again."""
    drop = await stage.drop(1, hold_seconds=1)
    taker = stage.viewer("taker")
    async with stage.watching(taker) as first, stage.watching(taker) as second, stage.watching() as other:
        held = (await first.reserve(drop))["reservation"]
        assert held["state"] == "held"
        await other.until(lambda seen: seen.stock[drop]["held"] == 1)
        for socket in (first, second):
            await socket.until(lambda seen: seen.reservations.get(held["id"], {}).get("state") == "expired")
        await other.until(lambda seen: seen.stock[drop]["available"] == 1)
        assert held["id"] not in other.reservations
        again = await other.reserve(drop)
        assert again["type"] == "reservation"
        taken_at = again["reservation"]["expires_at"] - 1000
        assert taken_at - held["expires_at"] < SWEEP_SECONDS * 1000


async def test_a_repeat_returns_what_the_first_run_made(stage: Stage) -> None:
    """The same operation id reserves once; another quantity under it is refused; each door has its own ids."""
    drop = await stage.drop(5, limit_per_viewer=3)
    token = stage.viewer("repeater")
    async with stage.watching(token) as viewer:
        first = await viewer.reserve(drop, 2, "op-a")
        again = await viewer.reserve(drop, 2, "op-a")
        assert (first["replayed"], again["replayed"]) == (False, True)
        assert again["reservation"] == first["reservation"]
        other = await viewer.reserve(drop, 1, "op-a")
        assert other["code"] == "idempotency-mismatch"
        assert "2" in other["message"]
        taken = await stage.reserve(token, drop, 1, "op-a")
        repeated = await stage.reserve(token, drop, 1, "op-a")
        assert taken.json() == repeated.json() != first["reservation"]
        assert repeated.headers["Idempotent-Replayed"] == "true"
    assert stage.numbers(await stage.stock(drop)) == (2, 3, 0)


async def test_the_limit_counts_all_of_a_viewers_reservations(stage: Stage) -> None:
    """Several reservations of one viewer count together; what is given back counts no more."""
    drop = await stage.drop(10, limit_per_viewer=3)
    async with stage.watching() as viewer:
        first = await viewer.reserve(drop, 2)
        refused = await viewer.reserve(drop, 2)
        assert refused["code"] == "limit-reached"
        assert refused["message"] == "Asked for 2, the limit per viewer is 3 and 2 are taken."
        released = await viewer.release(first["reservation"]["id"])
        assert released["reservation"]["state"] == "released"
        assert (await viewer.release(first["reservation"]["id"]))["reservation"]["state"] == "released"
        assert (await viewer.reserve(drop, 3))["type"] == "reservation"
    assert stage.numbers(await stage.stock(drop)) == (7, 3, 0)


async def test_ending_the_show_closes_drops_and_lets_holders_pay(stage: Stage) -> None:
    """After the end nothing can be taken; a held unit can still be paid."""
    drop = await stage.drop(3)
    token = stage.viewer("holder")
    async with stage.watching(token) as viewer:
        held = (await viewer.reserve(drop))["reservation"]
        ended = await stage.host("POST", f"/v1/shows/{stage.show}/end")
        assert ended.json()["status"] == "ended"
        await viewer.event("show.ended")
        assert [m["type"] for m in viewer.messages if "offset" in m][-2:] == ["drop.closed", "show.ended"]
        assert (await viewer.reserve(drop))["code"] == "drop-closed"
        paid = await stage.pay(token, held["id"])
        assert paid.status_code == 201, paid.text
    assert stage.numbers(await stage.stock(drop)) == (2, 0, 1)


async def test_several_reservations_become_one_order(stage: Stage) -> None:
    """Reservations of two drops are paid all or nothing, with one total and a line each."""
    mugs = await stage.drop(5, limit_per_viewer=2)
    lamps = await stage.drop(5, sku="LAMP")
    token = stage.viewer("collector")
    first = (await stage.reserve(token, mugs, 2)).json()
    second = (await stage.reserve(token, lamps)).json()
    changed = await stage.pay(token, first["id"], second["id"], expected_total=1)
    assert changed.status_code == 409
    assert changed.json()["code"] == "total-changed"
    assert changed.json()["current_total"] == 6500
    paid = await stage.pay(token, first["id"], second["id"], expected_total=6500)
    order = paid.json()["order"]
    assert paid.status_code == 201
    assert order["total"] == 6500
    assert [(line["sku"], line["quantity"], line["unit_price"]) for line in order["lines"]] == [
        ("MUG", 2, 1250),
        ("LAMP", 1, 4000),
    ]
    async with stage.watching(token) as viewer:
        states = {r["state"] for r in viewer.welcome["snapshot"]["reservations"]}
        assert states == {"sold"}

    async def counted() -> bool:
        figures = (await stage.host("GET", f"/v1/shows/{stage.show}/metrics")).json()
        return (figures["orders"], figures["units_sold"], figures["gmv"]) == (1, 3, 6500)

    await wait_for(counted, "the show's figures have the order")
