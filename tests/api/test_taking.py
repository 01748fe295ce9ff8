"""Taking units through the HTTP door: what is left, several drops at once, limits, receipts, and what refusals say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from tests.problems import assert_problem

if TYPE_CHECKING:
    import httpx

    from tests.stage import Stage


async def ask(stage: Stage, token: str, drop: str, key: str | None = None, **body: Any) -> httpx.Response:
    """Ask for units of a drop."""
    path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
    return await stage.call("POST", path, token, key=key or ids.secret(8), json=body)


async def bundle(stage: Stage, token: str, units: dict[str, int], key: str | None = None) -> httpx.Response:
    """Ask for units of several drops."""
    items = [{"drop": drop, "quantity": quantity} for drop, quantity in units.items()]
    path = f"/v1/shows/{stage.show}/reservations"
    return await stage.call("POST", path, token, key=key or ids.secret(8), json={"items": items})


async def test_in_part_takes_what_is_left_and_queues_for_the_rest(stage: Stage) -> None:
    """201 with the part that was left and the place for the rest; what comes back is added by itself."""
    drop, first, viewer = await stage.drop(3, limit_per_viewer=5), stage.viewer(), stage.viewer()
    held = (await stage.reserve(first, drop, 2)).json()["id"]
    taken = await ask(stage, viewer, drop, quantity=3, part=True)
    assert taken.status_code == 201
    assert taken.json()["quantity"] == 1
    assert taken.json()["waiting"] == {"position": 1, "length": 1, "quantity": 2}
    await stage.call("DELETE", f"/v1/reservations/{held}", first)
    assert stage.numbers(await stage.stock(drop)) == (0, 3, 0)
    assert (await stage.stock(drop))["waitlist_length"] == 0


async def test_in_part_where_nothing_is_left_is_a_place(stage: Stage) -> None:
    """202 with the place alone, in the shape of the waitlist's own answers; the same key replays it."""
    drop, key, viewer = await stage.drop(1), ids.secret(8), stage.viewer()
    await stage.reserve(stage.viewer(), drop)
    queued = await ask(stage, viewer, drop, key, quantity=1, part=True)
    assert (queued.status_code, queued.json()) == (
        202,
        {"drop": drop, "position": 1, "length": 1, "quantity": 1},
    )
    again = await ask(stage, viewer, drop, key, quantity=1, part=True)
    assert (again.status_code, again.json()) == (202, queued.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert (await stage.stock(drop))["waitlist_length"] == 1


async def test_in_part_where_there_is_enough_is_a_reservation(stage: Stage) -> None:
    """Nobody queues who got all."""
    drop = await stage.drop(2)
    taken = await ask(stage, stage.viewer(), drop, quantity=1, part=True)
    assert taken.status_code == 201
    assert "waiting" not in taken.json()


async def test_a_bundle_is_taken_as_a_whole(stage: Stage) -> None:
    """201 with a reservation per drop, in the order asked for; the key replays them and takes nothing more."""
    first, second = await stage.drop(2), await stage.drop(3, limit_per_viewer=3)
    viewer, key = stage.viewer(), ids.secret(8)
    taken = await bundle(stage, viewer, {second: 3, first: 1}, key)
    assert taken.status_code == 201
    assert taken.json()["next_cursor"] is None
    assert [(each["drop"], each["quantity"]) for each in taken.json()["items"]] == [(second, 3), (first, 1)]
    again = await bundle(stage, viewer, {second: 3, first: 1}, key)
    assert (again.status_code, again.content) == (201, taken.content)
    assert stage.numbers(await stage.stock(first)) == (1, 1, 0)
    paid = await stage.pay(viewer, *(each["id"] for each in taken.json()["items"]))
    assert paid.status_code == 201


async def test_a_bundle_that_lacks_one_drop_takes_none(stage: Stage) -> None:
    """Where one of its drops is sold out, not open or not there, nothing of the others is held."""
    good, gone, shut = await stage.drop(5), await stage.drop(1), await stage.drop(1, opened=False)
    await stage.reserve(stage.viewer(), gone)
    refusals = {gone: "out-of-stock", shut: "drop-not-open", f"{good}x": "not-found"}
    for bad, code in refusals.items():
        for items in ({good: 1, bad: 1}, {bad: 1, good: 1}):
            refused = await bundle(stage, stage.viewer(), items)
            assert refused.json()["code"] == code
    assert stage.numbers(await stage.stock(good)) == (5, 0, 0)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "items: Expected `array` of length >= 1"),
        (
            [{"drop": f"dr_a_{n}", "quantity": 1} for n in range(11)],
            "items: Expected `array` of length <= 10",
        ),
        ([{"drop": "dr_a_b", "quantity": 1}] * 2, "items: 2 are named, one drop of them more than once."),
        ([{"drop": "dr_a_b", "quantity": 0}], "items[0].quantity: Expected `int` >= 1"),
        ([{"drop": "dr_a_b"}], "items[0]: Object missing required field `quantity`"),
    ],
)
async def test_a_bad_bundle_is_refused(stage: Stage, items: list[dict[str, Any]], said: str) -> None:
    """Up to ten drops, none twice, each with its units."""
    path = f"/v1/shows/{stage.show}/reservations"
    answer = await stage.call("POST", path, stage.viewer(), key=ids.secret(8), json={"items": items})
    assert_problem(answer, 422, "invalid-message", said)


async def test_a_bundle_needs_a_key(stage: Stage) -> None:
    """Units move: without a key it is 400."""
    path = f"/v1/shows/{stage.show}/reservations"
    answer = await stage.call("POST", path, stage.viewer(), json={"items": []})
    assert_problem(answer, 400, "idempotency-key-required", "needs an Idempotency-Key")


async def test_a_key_of_a_bundle_is_free_for_a_drop(stage: Stage) -> None:
    """The path is part of the scope: the same key takes with the bundle and of the drop alone."""
    drop, viewer, key = await stage.drop(5, limit_per_viewer=5), stage.viewer(), ids.secret(8)
    assert (await bundle(stage, viewer, {drop: 1}, key)).status_code == 201
    assert (await stage.reserve(viewer, drop, 1, key=key)).status_code == 201
    assert stage.numbers(await stage.stock(drop)) == (3, 2, 0)


async def test_the_limit_of_a_show_counts_all_its_drops(stage: Stage) -> None:
    """Three units per viewer in the whole show, however they are asked for; what is given back does not count."""
    made = await stage.host(
        "POST", "/v1/shows", json={"title": "A", "currency": "EUR", "limit_per_viewer": 3}
    )
    stage.show = made.json()["id"]
    assert made.json()["limit_per_viewer"] == 3
    started = await stage.host("POST", f"/v1/shows/{stage.show}/start")
    assert started.json()["limit_per_viewer"] == 3
    first, second = await stage.drop(9, limit_per_viewer=9), await stage.drop(9, limit_per_viewer=9)
    viewer = stage.viewer()
    held = (await stage.reserve(viewer, first, 2)).json()["id"]
    said = "the limit per viewer in this show is 3 and 2 are taken"
    assert_problem(await stage.reserve(viewer, second, 2), 409, "limit-reached", f"Asked for 2, {said}.")
    refused = await bundle(stage, viewer, {first: 1, second: 1})
    assert_problem(refused, 409, "limit-reached")
    await stage.call("DELETE", f"/v1/reservations/{held}", viewer)
    assert (await bundle(stage, viewer, {first: 1, second: 2})).status_code == 201
    assert stage.numbers(await stage.stock(first)) == (8, 1, 0)


async def test_sold_out_says_whether_units_may_come_back(stage: Stage) -> None:
    """`held` counts what others hold: while somebody does, some may come back; once all are paid, none will."""
    drop, viewer = await stage.drop(1), stage.viewer()
    held = (await stage.reserve(viewer, drop)).json()["id"]
    hopeful = await stage.reserve(stage.viewer(), drop)
    assert_problem(hopeful, 409, "out-of-stock", "0 available; 1 held by others may come back.")
    assert (hopeful.json()["available"], hopeful.json()["held"]) == (0, 1)
    assert (await stage.pay(viewer, held)).status_code == 201
    late = await stage.reserve(stage.viewer(), drop)
    assert_problem(late, 409, "out-of-stock", "Asked for 1, 0 available; all are sold.")
    assert (late.json()["available"], late.json()["held"]) == (0, 0)


async def said_by(stage: Stage, answer: httpx.Response) -> dict[str, Any]:
    """Return the facts of an answer's receipt, which the server itself must confirm."""
    given = {"receipt": answer.json()["receipt"]}
    checked = await stage.call("POST", "/v1/receipts/verify", stage.viewer(), json=given)
    assert checked.json()["valid"], checked.text
    facts: dict[str, Any] = checked.json()["facts"]
    return facts


async def test_every_answer_comes_with_a_receipt_where_one_is_asked_for(stage: Stage) -> None:
    """Held, waiting and refused: each is signed with what happened; who does not ask gets none."""
    drop, first, second = await stage.drop(1), stage.viewer("first"), stage.viewer("second")
    refused = {"quantity": 1, "receipt": True}
    answers = {
        "limit-reached": await ask(stage, second, drop, "zero", quantity=9, receipt=True),
        "held": await ask(stage, first, drop, "one", quantity=1, receipt=True),
        "out-of-stock": await ask(stage, second, drop, "two", **refused),
        "waiting": await ask(stage, second, drop, "three", part=True, **refused),
    }
    for outcome, answer in answers.items():
        facts = await said_by(stage, answer)
        assert (facts["outcome"], facts["show"], facts["drop"]) == (outcome, stage.show, drop)
        assert facts["after_opening_ms"] >= 0
    held, gone = await said_by(stage, answers["held"]), await said_by(stage, answers["out-of-stock"])
    assert (held["sub"], held["operation"], held["rank"], held["quantity"]) == ("first", "one", 1, 1)
    assert (gone["available"], gone["held"]) == (0, 1)
    assert gone["after_sold_out_ms"] >= 0
    plain = await ask(stage, stage.viewer(), drop, quantity=1)
    assert "receipt" not in plain.json()


async def test_a_receipt_is_replayed_with_its_answer(stage: Stage) -> None:
    """The key's first answer is kept as it is, receipt and all; what decided nothing has none."""
    drop, viewer, key = await stage.drop(1), stage.viewer(), ids.secret(8)
    first = await ask(stage, viewer, drop, key, quantity=1, receipt=True)
    again = await ask(stage, viewer, drop, key, quantity=1, receipt=True)
    assert again.content == first.content
    nothing = await ask(stage, viewer, "dr_none", quantity=1, receipt=True)
    assert_problem(nothing, 404, "not-found")
    assert "receipt" not in nothing.json()
