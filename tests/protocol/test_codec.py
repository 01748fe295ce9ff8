"""Whatever comes off the wire is a command or a problem, in both codecs, and never anything else."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from server.errors import Code, Problem
from server.protocol import codec as codec_module
from server.protocol.codec import Codec, negotiate, operation_of
from server.protocol.commands import (
    MAX_BUNDLE_ITEMS,
    Bundle,
    BundleItem,
    Command,
    Hello,
    Ping,
    Proof,
    React,
    Release,
    Reserve,
    Since,
)
from server.protocol.events import error_message

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_REASON = 300
MANY = settings(max_examples=200, deadline=None)

TYPES = some.sampled_from(
    ["hello", "reserve", "bundle", "release", "react", "ping", "token", "chat", "waitlist.join"]
)
NAMES = some.sampled_from(
    ["type", "id", "drop", "quantity", "part", "items", "token", "since", "epoch", "offset", "kind", "count"]
)
ITEMS = some.lists(
    some.fixed_dictionaries(
        {"drop": some.text(max_size=3), "quantity": some.integers(-1, 3)},
        optional={"new": some.integers(0, 3)},
    ),
    max_size=12,
)
PLAIN = (
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**64 - 1)
    | some.floats()
    | some.text(max_size=80)
    | some.binary(max_size=80)
)
NESTED = some.recursive(
    PLAIN,
    lambda inner: some.lists(inner, max_size=5) | some.dictionaries(some.text(max_size=9), inner, max_size=5),
)
NEARLY = some.dictionaries(NAMES, NESTED | TYPES | NAMES, max_size=8)


BUNDLES = some.fixed_dictionaries({"type": some.just("bundle"), "id": some.text(max_size=3), "items": ITEMS})


def decoded(codec: Codec, data: bytes) -> Command | Problem:
    """Return the command in `data`, or the problem that it is; let everything else out."""
    try:
        return codec.decode(data)
    except Problem as refused:
        problem = refused
    assert problem.code is Code.INVALID_MESSAGE
    assert 0 < len(problem.detail) <= LONGEST_REASON
    return problem


@given(data=some.binary(max_size=300))
@MANY
def test_any_bytes_are_a_command_or_a_problem(data: bytes) -> None:
    """Neither decoder lets an exception of its own out, and the id of a refused message is text or none."""
    for codec in Codec:
        result = decoded(codec, data)
        assert isinstance(result, Command | Problem)
        operation = operation_of(data, codec)
        assert operation is None or len(operation) <= 64


@given(message=NEARLY)
@MANY
def test_nearly_a_message_is_a_command_or_a_problem(message: dict[str, Any]) -> None:
    """Known names with any values in them: what is accepted is within its bounds, what is not says why."""
    result = decoded(Codec.MSGPACK, msgpack.packb(message))
    if isinstance(result, Reserve):
        assert 1 <= result.quantity <= 10_000
        assert 1 <= len(result.id) <= 64
    if isinstance(result, Hello) and result.since is not None:
        assert result.since.offset >= 0


@given(message=some.dictionaries(NAMES, NESTED | TYPES, max_size=8) | BUNDLES)
@MANY
def test_both_codecs_agree(message: dict[str, Any]) -> None:
    """The same message is the same command, or refused, whichever way it comes."""
    try:
        text = json.dumps(message, allow_nan=False).encode()
    except (TypeError, ValueError):
        return  # bytes and NaN have no JSON
    packed, plain = decoded(Codec.MSGPACK, msgpack.packb(message)), decoded(Codec.JSON, text)
    assert isinstance(packed, Problem) is isinstance(plain, Problem)
    if not isinstance(packed, Problem):
        assert packed == plain


@given(
    message=NEARLY
    | some.dictionaries(NAMES, some.integers(0, 9) | some.text(max_size=3) | TYPES, max_size=8)
    | BUNDLES
)
@MANY
def test_the_quick_way_takes_nothing_that_the_other_refuses(message: dict[str, Any]) -> None:
    """What is read in one step is what the careful way reads, bounds, kinds and all."""
    data = msgpack.packb(message)
    try:
        quick = Codec.MSGPACK.plain(data)
    except (msgspec.DecodeError, ValueError):
        return
    careful = codec_module.as_command(codec_module._unpack(data))
    assert msgspec.to_builtins(quick) == msgspec.to_builtins(careful)


def test_what_hides_in_unknown_fields_is_looked_at() -> None:
    """A field that no command has is ignored only after the careful way has been through it."""
    deep: list[Any] = []
    for _ in range(20):
        deep = [deep]
    plain = {"type": "ping", "id": "a"}
    assert decoded(Codec.MSGPACK, msgpack.packb({**plain, "more": [[1]]})) == Ping(id="a")
    for codec, pack in ((Codec.MSGPACK, msgpack.packb), (Codec.JSON, msgspec.json.encode)):
        for hidden in (
            {"more": deep},
            {"type": "hello", "token": "t", "since": {"epoch": "e", "offset": 1, "x": deep}},
            {"type": "hello", "token": "t", "proof": {"nonce": "n", "answer": "1", "x": deep}},
        ):
            result = decoded(codec, pack({**plain, **hidden}))
            assert isinstance(result, Problem)
            assert "nested" in result.detail


@given(data=some.text(max_size=200))
@MANY
def test_any_text_in_any_field_is_refused_or_kept_whole(data: str) -> None:
    """Text is taken as it is or not at all."""
    raw = msgspec.json.encode({"type": "release", "id": data, "reservation": data})
    result = decoded(Codec.JSON, raw)
    if isinstance(result, Release):
        assert result.id == result.reservation == data
    else:
        assert not 1 <= len(data) <= 64


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
@pytest.mark.parametrize(
    ("message", "command"),
    [
        ({"type": "hello", "token": "t"}, Hello(token="t")),
        (
            {"type": "hello", "token": "t", "since": {"epoch": "e", "offset": 7}},
            Hello(token="t", since=Since("e", 7)),
        ),
        (
            {"type": "hello", "token": "t", "proof": {"nonce": "n", "answer": "17"}},
            Hello(token="t", proof=Proof("n", "17")),
        ),
        ({"type": "reserve", "id": "a", "drop": "d", "quantity": 1}, Reserve(id="a", drop="d", quantity=1)),
        ({"type": "reserve", "id": "é" * 64, "drop": "d", "quantity": 10_000, "new": {"a": [1]}},
         Reserve(id="é" * 64, drop="d", quantity=10_000)),
        ({"type": "reserve", "id": "a", "drop": "d", "quantity": 1, "part": True, "receipt": True},
         Reserve(id="a", drop="d", quantity=1, part=True, receipt=True)),
        ({"type": "bundle", "id": "a", "items": [{"drop": "d", "quantity": 1}]},
         Bundle(id="a", items=[BundleItem("d", 1)])),
        ({"type": "bundle", "id": "a", "items": [{"drop": "d", "quantity": 2, "new": {"a": 1}}]},
         Bundle(id="a", items=[BundleItem("d", 2)])),
        ({"type": "react", "kind": "heart"}, React(kind="heart", count=1)),
        ({"type": "ping"}, Ping(id=None)),
    ],
)  # fmt: skip
def test_a_message_is_its_command(codec: Codec, message: dict[str, Any], command: Command) -> None:
    """Both codecs read what they write; unknown fields are ignored."""
    decoded = codec.decode(codec.encode(message))
    assert isinstance(decoded, type(command))
    assert msgspec.to_builtins(decoded) == msgspec.to_builtins(command)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: b"\x81\xa4type\xa4ping"[:-1], "not valid msgpack"),
        (lambda: b"\x91" * 60_000, "not valid msgpack: StackError"),
        (lambda: msgpack.packb({"type": "ping", "x": [0] * 65}), "not valid msgpack"),
        (lambda: msgpack.packb({1: "ping"}), "not valid msgpack"),
        (lambda: msgpack.packb({"type": b"ping"}), "type: Expected `str`, got `bytes`"),
        (lambda: b"\x81\xa4type\xa4\xff\xff\xff\xff", "not valid msgpack: UnicodeDecodeError"),
        (lambda: msgpack.packb({"type": "ping", "id": msgpack.ExtType(1, b"")}), "not valid msgpack"),
        (lambda: msgpack.packb(7), "A message is a map with a type, not int"),
    ],
)
def test_msgpack_that_is_no_message(build: Callable[[], bytes], said: str) -> None:
    """Cut, deep, wide, oddly keyed, not text and extended: refused with what is wrong."""
    problem = decoded(Codec.MSGPACK, build())
    assert isinstance(problem, Problem)
    assert said in problem.detail


@pytest.mark.parametrize(
    "number", [math.nan, math.inf, -math.inf, 1.0, 1.5, 0, -1, 10_001, 10**12, 2**64 - 1, True]
)
def test_a_quantity_is_a_whole_number_in_its_bounds(number: float) -> None:
    """1 to 10,000, an integer; the sentence names the field and shows the number."""
    message = {"type": "reserve", "id": "a", "drop": "d", "quantity": number}
    problem = decoded(Codec.MSGPACK, msgpack.packb(message))
    assert isinstance(problem, Problem)
    assert problem.detail.startswith("quantity: Expected `int`")
    assert problem.detail.endswith(f"given {number}.")


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "items: Expected `array` of length >= 1"),
        ([{"drop": "d", "quantity": 1}] * (MAX_BUNDLE_ITEMS + 1), "items: Expected `array` of length <= 10"),
        ([{"drop": "d", "quantity": 0}], "items[0].quantity: Expected `int` >= 1"),
        ([{"quantity": 1}], "items[0]: Object missing required field `drop`"),
        (["d"], "items[0]: Expected `object`, got `str`"),
    ],
)
def test_a_bundle_has_one_to_ten_items(items: list[Any], said: str) -> None:
    """Each with its own bounds; the sentence names the place."""
    for codec in Codec:
        problem = decoded(codec, codec.encode({"type": "bundle", "id": "a", "items": items}))
        assert isinstance(problem, Problem)
        assert problem.detail.startswith(said)


def test_texts_are_told_by_their_length() -> None:
    """What somebody wrote may be a secret: the sentence has its length, not the text."""
    problem = decoded(Codec.JSON, b'{"type":"release","id":"' + b"s3cret" * 20 + b'","reservation":"r"}')
    assert isinstance(problem, Problem)
    assert "given 120 characters" in problem.detail
    assert "s3cret" not in problem.detail


def test_subprotocols_are_chosen_by_the_clients_order() -> None:
    """The first known one; JSON where none is offered; none where only unknown ones are."""
    assert negotiate([]) is Codec.JSON
    assert negotiate(["x", "livedrop.v1.json", "livedrop.v1.msgpack"]) is Codec.JSON
    assert negotiate(["livedrop.v1.msgpack", "livedrop.v1.json"]) is Codec.MSGPACK
    assert negotiate(["livedrop.v2.json", ""]) is None


def test_an_error_message_carries_what_the_problem_knows() -> None:
    """Code, sentence, the operation's id, and the numbers that help."""
    problem = Problem(Code.OUT_OF_STOCK, "Asked for 3, 1 available.", available=1, secret=2)
    assert error_message(problem, "op") == {
        "type": "error",
        "id": "op",
        "code": "out-of-stock",
        "message": "Asked for 3, 1 available.",
        "available": 1,
    }
    assert "id" not in error_message(problem)
