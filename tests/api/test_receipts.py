"""Receipts through both doors: asked for with a reservation, looked up later, checked by anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server import ids, receipts
from server.auth import Role
from tests.problems import assert_problem

if TYPE_CHECKING:
    from tests.stage import Stage


async def public_keys(stage: Stage) -> dict[str, Any]:
    """Return the public keys as somebody without a token gets them."""
    answer = await stage.http.get("/v1/receipts/keys")
    assert answer.status_code == 200
    assert "max-age" in answer.headers["cache-control"]
    keys: dict[str, Any] = answer.json()
    return keys


async def taken(stage: Stage, token: str, drop: str) -> dict[str, Any]:
    """Ask for a unit with a receipt and return the answer, whatever it is."""
    path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
    answer = await stage.call("POST", path, token, key=ids.secret(8), json={"quantity": 1, "receipt": True})
    fields: dict[str, Any] = answer.json()
    return fields


async def test_who_got_some_and_who_did_not_can_both_prove_it(stage: Stage) -> None:
    """One unit, two who ask: both answers carry a receipt that is true to the public key and says what happened."""
    drop, keys = await stage.drop(1), await public_keys(stage)
    first, second = stage.viewer("first"), stage.viewer("second")
    held = receipts.verify((await taken(stage, first, drop))["receipt"], keys)
    assert (held.sub, held.show, held.drop, held.outcome, held.rank) == ("first", stage.show, drop, "held", 1)
    problem = await taken(stage, second, drop)
    assert problem["code"] == "out-of-stock"
    refused = receipts.verify(problem["receipt"], keys)
    assert (refused.sub, refused.outcome, refused.available, refused.held) == ("second", "out-of-stock", 0, 1)
    assert isinstance(refused.after_opening_ms, int)
    assert isinstance(refused.after_sold_out_ms, int)
    assert refused.at >= held.at


async def test_the_socket_gives_the_same_receipts(stage: Stage) -> None:
    """On the live socket the answer carries one where it is asked for, also the one that says no."""
    drop, keys = await stage.drop(1), await public_keys(stage)
    async with (
        stage.watching(stage.viewer("first")) as first,
        stage.watching(stage.viewer("second")) as second,
    ):
        wanted = {"type": "reserve", "drop": drop, "quantity": 1, "receipt": True}
        held = receipts.verify((await first.request({**wanted, "id": "op-1"}))["receipt"], keys)
        assert (held.sub, held.operation, held.outcome, held.rank) == ("first", "op-1", "held", 1)
        refused = receipts.verify((await second.request({**wanted, "id": "op-2"}))["receipt"], keys)
        assert (refused.sub, refused.outcome, refused.held) == ("second", "out-of-stock", 1)
        assert "receipt" not in await second.request({**wanted, "id": "op-3", "receipt": False})


async def test_without_asking_there_is_none(stage: Stage) -> None:
    """Nobody pays for a signature that nobody wants."""
    drop = await stage.drop(1)
    assert "receipt" not in (await stage.reserve(stage.viewer(), drop)).json()
    assert "receipt" not in (await stage.reserve(stage.viewer(), drop)).json()


async def test_an_award_can_be_receipted_later(stage: Stage) -> None:
    """The viewer whose it is and the show's host get the receipt, with its sentence; nobody else does."""
    drop = await stage.drop(2)
    owner = stage.viewer("owner")
    reservation = (await stage.reserve(owner, drop)).json()["id"]
    path = f"/v1/reservations/{reservation}/receipt"
    for token in (owner, stage.server.token(Role.HOST, "host")):
        answer = (await stage.call("GET", path, token)).json()
        facts = receipts.verify(answer["receipt"], await public_keys(stage))
        assert answer["facts"]["reservation"] == reservation == facts.reservation
        assert (facts.sub, facts.rank, answer["facts"]["rank"]) == ("owner", 1, 1)
        assert answer["sentence"].startswith("You were 1st: 1 unit was held for you ")
    stranger = await stage.call("GET", path, stage.viewer("stranger"))
    assert_problem(stranger, 403, "not-allowed", "somebody else's")
    elsewhere = await stage.call("GET", path, stage.server.token(Role.VIEWER, "owner", "sh_another"))
    assert_problem(elsewhere, 403, "not-allowed", "not for show")
    missing = f"/v1/reservations/{ids.reservation(stage.show, 'owner', 'none')}/receipt"
    assert_problem(await stage.call("GET", missing, owner), 404, "not-found", "There is no reservation")


async def test_the_server_says_whether_a_receipt_is_its_own(stage: Stage) -> None:
    """Anybody with a token may ask: a true one comes back in words, another with the reason, both as answers."""
    drop = await stage.drop(1)
    text = (await taken(stage, stage.viewer("first"), drop))["receipt"]
    asker = stage.server.token(Role.SERVICE, "shop")
    right = await stage.call("POST", "/v1/receipts/verify", asker, json={"receipt": text})
    assert right.status_code == 200
    assert right.json()["valid"] is True
    assert right.json()["facts"]["sub"] == "first"
    assert "You were 1st" in right.json()["sentence"]
    foreign = receipts.Receipts("another-secret-of-at-least-32-bytes").sign(
        receipts.Receipt(sub="first", show="s", drop="d", outcome="held", quantity=1, at=1)
    )
    for wrong in (foreign, text[:-3], asker, "no receipt at all"):
        answer = await stage.call("POST", "/v1/receipts/verify", asker, json={"receipt": wrong})
        assert answer.status_code == 200
        assert answer.json().keys() == {"valid", "reason"}
        assert answer.json()["valid"] is False
    long = await stage.call("POST", "/v1/receipts/verify", asker, json={"receipt": "x" * 4097})
    assert_problem(long, 422, "invalid-message", "receipt")


async def test_a_receipt_opens_no_door(stage: Stage) -> None:
    """Sent where a token belongs, a receipt is no token."""
    drop = await stage.drop(1)
    text = (await taken(stage, stage.viewer("first"), drop))["receipt"]
    assert_problem(await stage.call("GET", "/v1/shows", text), 401, "unauthenticated")
