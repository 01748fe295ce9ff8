"""A whole show as two viewers hear it, in both codecs, and /asyncapi.json held against all that was said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, get_args

import pytest

from server.protocol.codec import Codec
from server.protocol.commands import AnyCommand
from server.protocol.events import LOG_EVENTS, SERVER_MESSAGES
from tests.api.schemas import complaints, references, resolved
from tests.stage import MUG_PRICE

if TYPE_CHECKING:
    from server.client import LiveClient
    from tests.stage import Stage

COMMANDS: dict[str, dict[str, Any]] = {
    "hello": {
        "token": "a token",
        "since": {"epoch": "e", "offset": 3},
        "proof": {"nonce": "n", "answer": "7"},
    },
    "reserve": {"id": "op", "drop": "dr_x", "quantity": 1, "part": True, "receipt": True},
    "bundle": {"id": "op", "items": [{"drop": "dr_x", "quantity": 1}, {"drop": "dr_y", "quantity": 2}]},
    "release": {"id": "op", "reservation": "rs_x"},
    "waitlist.join": {"id": "op", "drop": "dr_x", "quantity": 2},
    "waitlist.leave": {"id": "op", "drop": "dr_x"},
    "react": {"kind": "heart", "count": 3},
    "chat": {"id": "op", "text": "hi"},
    "question": {"id": "op", "text": "why?"},
    "ping": {"id": "op"},
    "token": {"token": "a token"},
}
BEFORE_WELCOME = {"challenge", "waiting"}  # said by servers that ask for more: tests/client/test_room.py


@pytest.fixture
async def document(stage: Stage) -> dict[str, Any]:
    """Give the server's AsyncAPI document."""
    served: dict[str, Any] = (await stage.http.get("/asyncapi.json")).json()
    return served


def payload(document: dict[str, Any], operation: str, kind: str) -> dict[str, Any]:
    """Return the schema of the payload of a message, `command` or `tell`: an answer may be named as its command."""
    (found,) = [each["payload"] for each in described(document, operation) if each["name"] == kind]
    return dict(found)


def names(document: dict[str, Any], operation: str) -> set[str]:
    """Return the types of the messages of an operation."""
    return {each["name"] for each in described(document, operation)}


def described(document: dict[str, Any], operation: str) -> list[dict[str, Any]]:
    """Return the messages of an operation."""
    messages = document["operations"][operation]["messages"]
    found = [resolved(document, each["$ref"]) for each in messages]
    return [resolved(document, each["$ref"]) for each in found]


async def test_asyncapi_is_whole(document: dict[str, Any]) -> None:
    """Version 3, one channel at the contract's address, and every reference leads somewhere."""
    assert document["asyncapi"] == "3.0.0"
    assert document["channels"]["live"]["address"] == "/v1/shows/{show}/live"
    for reference in references(document):
        resolved(document, reference)
    assert all(codec.value in document["info"]["description"] for codec in Codec)


async def test_every_command_is_described_and_taken(stage: Stage, document: dict[str, Any]) -> None:
    """What viewers may say is exactly the contract's table; the server takes what the document describes."""
    assert names(document, "command") == COMMANDS.keys()
    assert {kind.__struct_config__.tag for kind in get_args(AnyCommand)} == COMMANDS.keys()
    components = document["components"]
    async with stage.watching() as viewer:
        for kind, fields in COMMANDS.items():
            message = {"type": kind, **fields}
            assert complaints(message, payload(document, "command", kind), components) == []
            assert Codec.JSON.decode(Codec.JSON.encode(message)) == Codec.MSGPACK.decode(
                Codec.MSGPACK.encode(message)
            )
            if kind in {"hello", "react", "token"}:
                continue
            answer = await viewer.request({**message, "id": kind})
            assert answer.get("code") != "invalid-message", answer
            assert (answer.get("code") == "not-found") is (kind != "ping"), answer
            short = {name: value for name, value in message.items() if name != "id"}
            described = complaints(short, payload(document, "command", kind), components)
            assert (described == []) is (kind == "ping")


async def play(stage: Stage, viewers: list[LiveClient], buyer: LiveClient, token: str) -> None:
    """Play every act that a show has, so that every message is said."""
    path = f"/v1/shows/{stage.show}"
    await stage.host("PUT", f"{path}/pinned", json={"skus": ["MUG", "LAMP"]})
    drop = await stage.drop(1, opened=False, hold_seconds=1)
    await stage.host("PUT", f"{path}/run", json={"drops": [drop]})
    await stage.move(drop, "open", countdown_ms=60_000)
    for verb in ("cancel", "open", "pause", "resume"):
        await stage.move(drop, verb)
    await buyer.reserve(drop)
    await stage.move(drop, "restock", quantity=1)
    await buyer.until(lambda seen: any(each["state"] == "expired" for each in seen.reservations.values()))
    kept = await stage.drop(3, limit_per_viewer=3)
    first, second = await buyer.reserve(kept), await buyer.reserve(kept, 2)
    await buyer.release(first["reservation"]["id"])
    assert (await stage.pay(token, second["reservation"]["id"])).status_code == 201
    await buyer.event("order.updated")
    assert (await buyer.bundle((drop, 1), (kept, 1)))["type"] == "bundle"
    await queue(stage, buyer)
    await draw(stage, buyer)
    await buyer.request({"type": "ping"})
    await buyer.send({"type": "token", "token": token})
    await buyer.event("ok")
    await buyer.send({"type": "react", "kind": "heart", "count": 3})
    await buyer.reserve("dr_none")
    for verb in ("pause", "resume"):
        await stage.host("POST", f"{path}/{verb}")
    await stage.move(kept, "close")
    await stage.host("POST", f"{path}/end")
    for viewer in viewers:
        await viewer.event("reactions")
        await viewer.event("show.ended")


async def queue(stage: Stage, buyer: LiveClient) -> None:
    """Play a drop whose units go in two waves, the second to who waits."""
    drop = await stage.drop(1, waves=[{"quantity": 1}])
    await stage.reserve(stage.viewer(), drop)
    assert (await buyer.reserve(drop, part=True))["type"] == "waitlist"
    await stage.move(drop, "wave")
    await buyer.event("waitlist.promoted")


async def draw(stage: Stage, buyer: LiveClient) -> None:
    """Play a drop that is drawn."""
    drop = await stage.drop(1, mode="draw")
    assert (await buyer.join(drop))["position"] == 1
    await stage.move(drop, "close")
    await buyer.until(lambda seen: any(each["drop"] == drop for each in seen.reservations.values()))


async def new_show(stage: Stage) -> None:
    """Let the stage play on a fresh show that has not begun."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Whole", "currency": "EUR"})
    stage.show = made.json()["id"]


async def test_a_whole_show_in_both_codecs(stage: Stage, document: dict[str, Any]) -> None:
    """Every described message is heard, each is as described, and both codecs hear the same events with no hole."""
    await new_show(stage)
    token = stage.viewer()
    async with (
        stage.watching(token) as packed,
        stage.watching(codec=Codec.JSON) as text,
        stage.watching(token, codec=Codec.JSON) as twin,
    ):
        await stage.host("PUT", f"/v1/shows/{stage.show}/video", json={"url": "https://video.example/a.m3u8"})
        await stage.host("POST", f"/v1/shows/{stage.show}/start")
        await play(stage, [packed, text, twin], packed, token)
        heard = [packed, text, twin]
    said = [message for viewer in heard for message in viewer.messages]
    documented = names(document, "tell")
    assert {kind.__struct_config__.tag for kind in SERVER_MESSAGES} == documented
    assert {message["type"] for message in said} == documented - BEFORE_WELCOME
    for message in said:
        wrong = complaints(message, payload(document, "tell", message["type"]), document["components"])
        assert wrong == [], (message, wrong)
    events = [[each for each in viewer.messages if "offset" in each and "at" in each] for viewer in heard]
    assert events[0] == events[1] == events[2]
    assert [event["offset"] for event in events[0]] == list(range(1, len(events[0]) + 1))
    assert {event["type"] for event in events[0]} == {kind.__struct_config__.tag for kind in LOG_EVENTS}
    assert all(isinstance(event["at"], int) for event in events[0])


async def test_numbers_add_up_in_every_message(stage: Stage) -> None:
    """Available + held + sold == quantity in every answer and event, and revisions of a drop only grow."""
    async with stage.watching() as viewer:
        drop = await stage.drop(20, limit_per_viewer=20)
        buyers = [stage.viewer() for _ in range(10)]
        await asyncio.gather(*(stage.reserve(buyer, drop, 2) for buyer in buyers))
        await stage.move(drop, "restock", quantity=5)
        await viewer.until(lambda seen: (seen.stock.get(drop) or {}).get("held") == 20)
        await viewer.event("drop.restocked")
        shown = [
            numbers
            for message in viewer.messages
            for numbers in (message, message.get("stock"), message.get("drop"))
            if isinstance(numbers, dict) and "available" in numbers
        ]
        assert len(shown) >= 4
        for numbers in shown:
            total = numbers["available"] + numbers["held"] + numbers["sold"]
            assert total == numbers["quantity"], numbers
        revisions = [message["revision"] for message in viewer.messages if message["type"] == "stock.updated"]
        assert revisions == sorted(set(revisions))


async def test_a_snapshot_has_everything_that_a_viewer_needs(stage: Stage) -> None:
    """Who joins gets the show, its drops with stock, the pins, their own reservations, and how many are here."""
    await new_show(stage)
    await stage.host("POST", f"/v1/shows/{stage.show}/start")
    await stage.host("PUT", f"/v1/shows/{stage.show}/pinned", json={"skus": ["LAMP"]})
    token, drops = stage.viewer(), [await stage.drop(4), await stage.drop(2, opened=False)]
    held = (await stage.reserve(token, drops[0])).json()
    await stage.reserve(stage.viewer(), drops[0])
    async with stage.watching(token) as viewer:
        welcome = viewer.welcome
        assert {"session", "viewer", "epoch", "offset", "server_time_at", "recovered"} < welcome.keys()
        assert welcome["recovered"] is False
        snapshot = welcome["snapshot"]
        assert snapshot.keys() == {"show", "drops", "pinned", "reservations", "waitlist", "viewers"}
        assert snapshot["show"] == (await stage.host("GET", f"/v1/shows/{stage.show}")).json()
        listed = (await stage.host("GET", f"/v1/shows/{stage.show}/drops")).json()["items"]
        assert snapshot["drops"] == listed
        assert [drop["id"] for drop in listed] == drops
        assert [product["sku"] for product in snapshot["pinned"]] == ["LAMP"]
        assert snapshot["reservations"] == [held]
        assert snapshot["waitlist"] == []
        assert held["unit_price"] == MUG_PRICE
