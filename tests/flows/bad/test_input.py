"""What nobody should send, on both doors: each with its code and its numbers, and afterwards everything still works."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from server import ids
from server.protocol.codec import Codec
from tests.wire import Wire, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stage import Stage

LARGEST = 65_536
NAN = float("nan")

# a reserve command's fields → code, HTTP status, the sentence
RESERVE: dict[str, tuple[dict[str, Any], str, int, str]] = {
    "unknown drop": ({"drop": "dr_none"}, "not-found", 404, "There is no drop 'dr_none' in this show."),
    "quantity 0": (
        {"quantity": 0},
        "invalid-message",
        422,
        "quantity: Expected `int` >= 1, given 0.",
    ),
    "quantity -1": ({"quantity": -1}, "invalid-message", 422, "quantity: Expected `int` >= 1, given -1."),
    "quantity 1.5": (
        {"quantity": 1.5},
        "invalid-message",
        422,
        "quantity: Expected `int`, got `float`, given 1.5.",
    ),
    "quantity 10**12": (
        {"quantity": 10**12},
        "invalid-message",
        422,
        "quantity: Expected `int` <= 10000, given 1000000000000.",
    ),
    "quantity as text": (
        {"quantity": "two"},
        "invalid-message",
        422,
        "quantity: Expected `int`, got `str`, given 3 characters.",
    ),
    "quantity true": (
        {"quantity": True},
        "invalid-message",
        422,
        "quantity: Expected `int`, got `bool`, given True.",
    ),
    "no quantity": (
        {"quantity": None},
        "invalid-message",
        422,
        "Object missing required field `quantity`.",
    ),
    "over the limit": (
        {"quantity": 3},
        "limit-reached",
        409,
        "Asked for 3, the limit per viewer is 2 and 0 are taken.",
    ),
}
# what only the socket has: the operation id is a field of its message
IDS: dict[str, tuple[dict[str, Any], str]] = {
    "65 characters": ({"id": "x" * 65}, "id: Expected `str` of length <= 64, given 65 characters."),
    "empty": ({"id": ""}, "id: Expected `str` of length >= 1, given 0 characters."),
    "a number": ({"id": 7}, "id: Expected `str`, got `int`, given 7."),
}


def reserve(drop: str, /, **fields: Any) -> dict[str, Any]:
    """Return a reserve command, good but for `fields`; a field that is None is left out."""
    message = {"type": "reserve", "id": "op", "drop": drop, "quantity": 1, **fields}
    return {name: value for name, value in message.items() if value is not None}


async def assert_sells(stage: Stage, viewer: Wire, drop: str) -> None:
    """Assert that the same connection can still take a unit and give it back."""
    await viewer.send(reserve(drop, id=ids.secret(8)))
    taken = await viewer.answer()
    assert taken["reservation"]["state"] == "held", taken
    await viewer.send({"type": "release", "id": "back", "reservation": taken["reservation"]["id"]})
    await viewer.answer()
    assert stage.numbers(await stage.stock(drop)) == (5, 0, 0)


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
@pytest.mark.parametrize("case", RESERVE)
async def test_a_bad_reserve_is_answered_with_code_and_numbers(stage: Stage, case: str, codec: Codec) -> None:
    """Both doors refuse a bad reservation with the same code and sentence, and go on selling."""
    fields, code, status, sentence = RESERVE[case]
    drop = await stage.drop(5, limit_per_viewer=2)
    token = stage.viewer()
    async with wire(stage, token, codec=codec) as viewer:
        await viewer.send(reserve(drop, **fields))
        refused = await viewer.answer()
        assert (refused["type"], refused["code"], refused["message"]) == ("error", code, sentence)
        assert refused["id"] == "op"
        path = f"/v1/shows/{stage.show}/drops/{fields.get('drop', drop)}/reservations"
        body = {name: value for name, value in reserve(drop, **fields).items() if name == "quantity"}
        answer = await stage.call("POST", path, token, key=ids.secret(8), json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.json()["detail"] == sentence
        assert answer.headers["content-type"] == "application/problem+json"
        await assert_sells(stage, viewer, drop)


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
@pytest.mark.parametrize("case", IDS)
async def test_a_bad_operation_id_is_refused(stage: Stage, case: str, codec: Codec) -> None:
    """An id that is none is refused with its length, and not given back."""
    fields, sentence = IDS[case]
    drop = await stage.drop(5)
    async with wire(stage, stage.viewer(), codec=codec) as viewer:
        await viewer.send(reserve(drop, **fields))
        refused = await viewer.answer()
        assert (refused["code"], refused["message"]) == ("invalid-message", sentence)
        assert refused.get("id") in {None, ""}
        await assert_sells(stage, viewer, drop)


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
async def test_a_command_without_an_id_is_refused(stage: Stage, codec: Codec) -> None:
    """Without an id there is nothing to repeat by: the command is not carried out."""
    drop = await stage.drop(5)
    async with wire(stage, stage.viewer(), codec=codec) as viewer:
        await viewer.send(reserve(drop, id=None))
        refused = await viewer.answer()
        assert refused["message"] == "Object missing required field `id`."
        assert "id" not in refused
        await assert_sells(stage, viewer, drop)


async def test_a_number_that_is_none_is_refused_on_both_doors(stage: Stage) -> None:
    """NaN is no quantity in msgpack, and no JSON at all."""
    drop = await stage.drop(5)
    async with wire(stage, stage.viewer()) as packed, wire(stage, stage.viewer(), codec=Codec.JSON) as text:
        await packed.send(reserve(drop, quantity=NAN))
        assert (await packed.answer())["message"] == "quantity: Expected `int`, got `float`, given nan."
        await text.send(reserve(drop, quantity=NAN))
        assert "The message is not valid JSON" in (await text.answer())["message"]
        await assert_sells(stage, packed, drop)
        await assert_sells(stage, text, drop)
    path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
    answer = await stage.call("POST", path, stage.viewer(), key="nan", content=b'{"quantity": NaN}')
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-message")
    assert "The body is not valid JSON" in answer.json()["detail"]


PING = msgpack.packb({"type": "ping"})
GARBAGE: dict[str, tuple[Codec, bytes | str, str]] = {
    "broken msgpack": (Codec.MSGPACK, b"\x82\xa4type\xc1", "not valid msgpack: FormatError"),
    "half a message": (Codec.MSGPACK, PING[:-2], "not valid msgpack"),
    "more than one message": (Codec.MSGPACK, PING * 2, "not valid msgpack"),
    "nothing": (Codec.MSGPACK, b"", "not valid msgpack"),
    "extension type": (Codec.MSGPACK, msgpack.packb({"id": msgpack.ExtType(5, b"x")}), "not valid msgpack"),
    "timestamp": (Codec.MSGPACK, msgpack.packb({"id": msgpack.Timestamp(1, 0)}), "not valid msgpack"),
    "deep msgpack": (Codec.MSGPACK, b"\x91" * 40_000, "not valid msgpack: StackError"),
    "nested 20 levels": (
        Codec.MSGPACK,
        msgpack.packb({"type": "ping", "x": json.loads("[" * 20 + "]" * 20)}),
        "nested deeper than 16 levels",
    ),
    "65 fields": (Codec.MSGPACK, msgpack.packb({str(n): n for n in range(65)}), "not valid msgpack"),
    "text on msgpack": (Codec.MSGPACK, '{"type":"ping"}', "livedrop.v1.msgpack takes binary messages"),
    "a list": (Codec.MSGPACK, msgpack.packb(["ping"]), "A message is a map with a type, not list"),
    "binary on JSON": (Codec.JSON, b'{"type":"ping"}', "livedrop.v1.json takes text messages"),
    "half of JSON": (Codec.JSON, '{"type":"pi', "not valid JSON"),
    "deep JSON": (Codec.JSON, "[" * 30_000, "not valid JSON"),
    "a huge number": (Codec.JSON, '{"type":"ping","x":' + "9" * 5000 + "}", "not valid JSON"),
    "half a surrogate": (Codec.JSON, '{"type":"ping","id":"\\ud800"}', "not valid JSON"),
    "unknown type": (Codec.JSON, '{"type":"steal","id":"op"}', "type: Invalid value 'steal'"),
    "no type": (Codec.JSON, '{"id":"op"}', "missing required field `type`"),
}


@pytest.mark.parametrize("case", GARBAGE)
async def test_garbage_is_refused_and_the_connection_goes_on(stage: Stage, case: str) -> None:
    """What is no message is `invalid-message` with a reason of bounded length."""
    codec, data, reason = GARBAGE[case]
    async with wire(stage, stage.viewer(), codec=codec) as viewer:
        await viewer.raw(data)
        refused = await viewer.answer()
        assert (refused["type"], refused["code"]) == ("error", "invalid-message")
        assert reason in refused["message"]
        assert len(refused["message"]) <= 300
        await viewer.lives()


async def test_an_error_does_not_repeat_what_was_sent_at_length(stage: Stage) -> None:
    """A message of 60,000 characters does not come back as a sentence of 60,000."""
    async with wire(stage, stage.viewer(), codec=Codec.JSON) as viewer:
        await viewer.send({"type": "x" * 60_000})
        refused = await viewer.answer()
        assert refused["code"] == "invalid-message"
        assert len(refused["message"]) <= 300
        await viewer.lives()


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
async def test_the_fifth_invalid_message_closes_with_3501(stage: Stage, codec: Codec) -> None:
    """Four invalid messages are answered; with the fifth the server gives up, and says how many there were."""
    async with wire(stage, stage.viewer(), codec=codec) as viewer:
        for _ in range(4):
            await viewer.send({"type": "nonsense"})
            assert (await viewer.answer())["code"] == "invalid-message"
        await viewer.lives()
        await viewer.send({"type": "nonsense"})
        code, reason = await viewer.closed()
        assert (code, reason["code"], reason["message"]) == (3501, 3501, "5 messages were not valid.")
        assert viewer.seen[-1]["code"] == "invalid-message"


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
async def test_a_message_of_70_kib_closes_with_1009(stage: Stage, codec: Codec) -> None:
    """More than 64 KiB is not read: 1009, and the viewer may come back at once."""
    token = stage.viewer()
    async with wire(stage, token, codec=codec) as viewer:
        await viewer.send({"type": "ping", "x": "y" * (70 * 1024)})
        assert (await viewer.closed())[0] == 1009
    async with wire(stage, token, codec=codec) as viewer:
        await viewer.send({"type": "ping", "id": "alive", "x": "y" * (63 * 1024)})
        assert (await viewer.answer())["type"] == "pong"


async def test_a_body_of_70_kib_is_413(stage: Stage) -> None:
    """The HTTP door refuses it with the bound in the sentence, with a length and without, and for any caller."""
    path = f"/v1/shows/{stage.show}/drops/dr_x/reservations"

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"x" * 1024

    for content in (b"x" * 70 * 1024, endless()):
        answer = await stage.call("POST", path, stage.viewer(), key="big", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "payload-too-large")
        assert answer.json()["detail"] == f"The body is larger than {LARGEST} bytes."
    assert (await stage.http.get("/healthz")).status_code == 200


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
async def test_unknown_fields_are_ignored(stage: Stage, codec: Codec) -> None:
    """A newer client may say more than this server understands, on both doors."""
    drop = await stage.drop(5)
    async with wire(stage, stage.viewer(), codec=codec) as viewer:
        await viewer.send(reserve(drop, colour="blue", later={"a": [1, 2]}))
        assert (await viewer.answer())["reservation"]["state"] == "held"
    path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
    body = {"quantity": 1, "colour": "blue"}
    answer = await stage.call("POST", path, stage.viewer(), key=ids.secret(8), json=body)
    assert answer.status_code == 201, answer.text


async def test_an_idempotency_key_has_1_to_255_characters(stage: Stage) -> None:
    """Longer keys and empty ones are refused with their length."""
    drop = await stage.drop(5)
    path = f"/v1/shows/{stage.show}/drops/{drop}/reservations"
    for length in (0, 256):
        headers = {"Authorization": f"Bearer {stage.viewer()}", "Idempotency-Key": "k" * length}
        answer = await stage.http.post(path, headers=headers, json={"quantity": 1})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-message")
        assert f"1 to 255 characters are allowed, given {length}." in answer.json()["detail"]
    taken = await stage.reserve(stage.viewer(), drop, key="k" * 255)
    assert taken.status_code == 201, taken.text
