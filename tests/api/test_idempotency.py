"""Idempotency-Key: the first answer to a request is its answer for a day, and only to that very request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.auth import Role
from server.protocol.codec import Codec
from server.store import keys
from server.store.redis import connect
from tests.problems import assert_problem
from tests.waiting import wait_for
from tests.wire import wire

if TYPE_CHECKING:
    import httpx

    from tests.stage import Stage


def assert_replayed(first: httpx.Response, again: httpx.Response) -> None:
    """Assert that the second answer is the first one over again, and says so."""
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["content-type"] == first.headers["content-type"]


async def test_a_key_is_required_where_units_or_money_move(stage: Stage) -> None:
    """Reserving and checking out without a key is 400, before anything is looked at."""
    drop, viewer = await stage.drop(2), stage.viewer()
    path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
    for target, body in ((path, {"quantity": 1}), ("/v1/checkout", {"nonsense": True})):
        answer = await stage.call("POST", target, viewer, json=body)
        assert_problem(answer, 400, "idempotency-key-required", "needs an Idempotency-Key")
    assert stage.numbers(await stage.stock(drop)) == (2, 0, 0)


async def test_a_repeated_reservation_takes_once(stage: Stage) -> None:
    """The same key and body, also with other spaces and order, replay the 201 and take nothing more."""
    drop, viewer, key = await stage.drop(5, limit_per_viewer=5), stage.viewer(), ids.secret(8)
    path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
    first = await stage.call("POST", path, viewer, key=key, content=b'{"quantity":2,"x":1}')
    assert first.status_code == 201
    for body in (b'{"quantity":2,"x":1}', b' { "x" : 1,\n"quantity": 2 } '):
        assert_replayed(first, await stage.call("POST", path, viewer, key=key, content=body))
    other = await stage.call("POST", path, viewer, key=key, json={"quantity": 3})
    assert_problem(other, 422, "idempotency-mismatch", "another body")
    assert "idempotent-replayed" not in other.headers
    assert stage.numbers(await stage.stock(drop)) == (3, 2, 0)


@pytest.mark.parametrize(("method", "path", "body"), [
    ("POST", "/v1/shows", {"title": "Once", "currency": "EUR"}),
    ("POST", "/v1/shows/{show}/drops", {"sku": "MUG", "quantity": 1}),
    ("POST", "/v1/shows/{show}/drops/{drop}/restock", {"quantity": 3}),
    ("POST", "/v1/shows/{show}/drops/{drop}/open", {"countdown_ms": 3_600_000}),
])  # fmt: skip
async def test_whatever_creates_or_moves_accepts_a_key(
    stage: Stage, method: str, path: str, body: dict[str, Any]
) -> None:
    """A repeat changes nothing: it gets the first body, though running it again would be refused or make another."""
    drop = await stage.drop(1, opened=False)
    target, key = path.format(show=stage.show, drop=drop), ids.secret(8)
    first = await stage.host(method, target, key=key, json=body)
    assert first.status_code in {200, 201}, first.text
    before = await stage.stock(drop)
    assert_replayed(first, await stage.host(method, target, key=key, json=body))
    assert await stage.stock(drop) == before


async def test_refusals_are_replayed(stage: Stage) -> None:
    """A 402 and a 409 are answers too: the key keeps them, a new key asks again."""
    drop, buyer, key = await stage.drop(1), stage.viewer(), ids.secret(8)
    mine = (await stage.reserve(buyer, drop)).json()["id"]
    declined = await stage.pay(buyer, mine, card="tok_declined", key=key)
    assert declined.status_code == 402
    assert_replayed(declined, await stage.pay(buyer, mine, card="tok_declined", key=key))
    late, key = stage.viewer(), ids.secret(8)
    sold_out = await stage.reserve(late, drop, key=key)
    assert sold_out.status_code == 409
    await stage.call("DELETE", f"/v1/reservations/{mine}", buyer)
    assert_replayed(sold_out, await stage.reserve(late, drop, key=key))
    assert (await stage.reserve(late, drop)).status_code == 201
    paused = await stage.host("POST", f"/v1/shows/{stage.show}/drops/{drop}/resume", key=key)
    assert_problem(paused, 409, "wrong-state", "open")
    assert_replayed(paused, await stage.host("POST", f"/v1/shows/{stage.show}/drops/{drop}/resume", key=key))


async def test_a_refused_body_or_caller_does_not_use_the_key_up(stage: Stage) -> None:
    """What never ran leaves the key free: with a good body and the right token it works."""
    drop, name, key = await stage.drop(3), ids.secret(6), ids.secret(8)
    elsewhere = stage.server.token(Role.VIEWER, name, "sh_elsewhere")
    assert_problem(await stage.reserve(elsewhere, drop, key=key), 403, "not-allowed", stage.show)
    viewer = stage.viewer(name)
    assert (await stage.reserve(viewer, drop, 0, key=key)).status_code == 422
    taken = await stage.reserve(viewer, drop, key=key)
    assert taken.status_code == 201, taken.text
    assert_problem(await stage.reserve(elsewhere, drop, key=key), 403, "not-allowed", stage.show)


async def test_a_key_belongs_to_its_caller_method_and_path(stage: Stage) -> None:
    """The same key of another caller, and on another path, is another request."""
    drop, key = await stage.drop(5), ids.secret(8)
    first, second = (
        await stage.reserve(stage.viewer(), drop, key=key),
        await stage.reserve(stage.viewer(), drop, key=key),
    )
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] != second.json()["id"]
    drops = [await stage.drop(1, opened=False) for _ in range(2)]
    for each in drops:
        path = f"/v1/shows/{stage.show}/drops/{each}"
        restocked = await stage.host("POST", f"{path}/restock", key=key, json={"quantity": 4})
        assert (restocked.status_code, restocked.json()["quantity"]) == (200, 5), restocked.text
        assert (await stage.host("POST", f"{path}/open", key=key)).json()["status"] == "open"
        assert "idempotent-replayed" not in restocked.headers


async def test_a_key_of_one_drop_is_free_on_another(stage: Stage) -> None:
    """The path is part of the scope: the same key takes of either drop, and replays each for itself."""
    drops, viewer, key = [await stage.drop(5), await stage.drop(5)], stage.viewer(), ids.secret(8)
    first = [await stage.reserve(viewer, drop, key=key) for drop in drops]
    assert [answer.status_code for answer in first] == [201, 201]
    assert [answer.json()["drop"] for answer in first] == drops
    for answer, drop in zip(first, drops, strict=True):
        assert_replayed(answer, await stage.reserve(viewer, drop, key=key))


async def test_an_id_of_the_socket_takes_once_per_viewer(stage: Stage) -> None:
    """Repeating an id replays, on every socket of the viewer and after a reconnect; for another drop it is refused."""
    drop, other, viewer, key = await stage.drop(5), await stage.drop(5), stage.viewer(), ids.secret(8)
    reserve = {"type": "reserve", "id": key, "drop": drop, "quantity": 1}
    async with wire(stage, viewer) as socket, wire(stage, viewer, codec=Codec.JSON) as twin:
        await socket.send(reserve)
        first = await socket.answer()
        await twin.send(reserve)
        second = await twin.answer()
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert first["reservation"] == second["reservation"]
    async with wire(stage, viewer) as socket:
        await socket.send(reserve)
        assert (await socket.answer())["replayed"] is True
        await socket.send({**reserve, "drop": other})
        refused = await socket.answer()
        assert refused["code"] == "idempotency-mismatch"
        assert f"took 1 of drop {drop}, not 1 of {other}" in refused["message"]
    assert stage.numbers(await stage.stock(drop)) == (4, 1, 0)


async def test_a_minted_token_is_replayed_to_its_minter_only(stage: Stage) -> None:
    """The same token for the same key; a namesake in another role, or for other shows, is looked at anew."""
    body = {"sub": "guest", "role": "moderator", "shows": ["*"]}
    minter = stage.server.token(Role.SERVICE, "shop")
    answers = [await stage.call("POST", "/v1/tokens", minter, key="again", json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert answers[1].json() == answers[0].json()
    for namesake in (
        stage.server.token(Role.HOST, "shop", stage.show),
        stage.server.token(Role.SERVICE, "shop", stage.show),
    ):
        refused = await stage.call("POST", "/v1/tokens", namesake, key="again", json=body)
        assert refused.status_code == 403
        assert "idempotent-replayed" not in refused.headers


async def test_a_kept_answer_cannot_be_read_in_the_store(stage: Stage) -> None:
    """A webhook's secret and a minted token are replayed, and stand nowhere in what the store keeps of the answers."""
    caller = stage.server.token(Role.SERVICE, f"shop-{ids.secret(6)}")
    asked = {
        "/v1/webhooks": ("secret", {"url": "https://8.8.8.8/hook"}),
        "/v1/tokens": ("token", {"sub": "guest", "role": "viewer", "shows": ["*"]}),
    }
    shown = []
    for path, (name, body) in asked.items():
        first, again = [await stage.call("POST", path, caller, key="kept", json=body) for _ in range(2)]
        assert_replayed(first, again)
        shown.append(first.json()[name])
    store = connect(stage.server.store_url)
    every = keys.key("idempotency", request="*")
    kept = [str(await store.hgetall(name)) async for name in store.scan_iter(every)]
    await store.aclose()
    assert len(kept) >= len(shown)
    assert [each for each in shown if each in " ".join(kept)] == []


async def test_while_the_first_runs_the_second_is_told_to_wait(stage: Stage) -> None:
    """A payment under way: its key, its reservation and its release answer `in-progress`; then all is replayed."""
    drop, buyer, key = await stage.drop(1), stage.viewer(), ids.secret(8)
    mine = (await stage.reserve(buyer, drop)).json()["id"]
    slow = asyncio.create_task(stage.pay(buyer, mine, card="tok_slow_10s", key=key))

    async def paying() -> bool:
        return bool((await stage.call("GET", f"/v1/reservations/{mine}", buyer)).json()["state"] == "paying")

    await wait_for(paying, "the payment is under way")
    same = await stage.pay(buyer, mine, card="tok_slow_10s", key=key)
    assert_problem(same, 409, "in-progress", "still running")
    assert 0 < same.json()["retry_after_ms"] <= 1000
    other = await stage.pay(buyer, mine)
    assert_problem(other, 409, "in-progress", f"Reservation {mine} is being paid.")
    released = await stage.call("DELETE", f"/v1/reservations/{mine}", buyer)
    assert_problem(released, 409, "in-progress", "is being paid")
    paid = await slow
    assert paid.status_code == 201, paid.text
    assert_replayed(paid, await stage.pay(buyer, mine, card="tok_slow_10s", key=key))
    assert stage.numbers(await stage.stock(drop)) == (0, 0, 1)


async def test_many_at_once_with_one_key_pay_once(stage: Stage) -> None:
    """Twenty copies of one checkout: one order; the others get it, or are told that it is under way."""
    drop, buyer, key = await stage.drop(3), stage.viewer(), ids.secret(8)
    mine = (await stage.reserve(buyer, drop)).json()["id"]
    answers = await asyncio.gather(*(stage.pay(buyer, mine, key=key) for _ in range(20)))
    paid = {answer.content for answer in answers if answer.status_code == 201}
    assert len(paid) == 1
    waiting = [answer for answer in answers if answer.status_code != 201]
    assert {answer.json()["code"] for answer in waiting} <= {"in-progress"}
    assert stage.numbers(await stage.stock(drop)) == (2, 0, 1)
