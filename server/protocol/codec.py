"""Bytes to commands and messages to bytes, for the two subprotocols.

Input is bounded before it is built: message size by the socket, lengths and nesting here. A decoder is never
reused after an error. Text that is not UTF-8, NaN, infinities and extension types are refused.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Union, cast, get_args

import msgpack
import msgspec

from server.errors import Code, Problem
from server.protocol.commands import (
    MAX_BUNDLE_ITEMS,
    AnyCommand,
    Bundle,
    BundleItem,
    Command,
    Hello,
    Proof,
    Since,
)
from server.protocol.shapes import MAX_OPERATION_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.protocol.events import Message

MAX_FIELDS = 64  # members of one map or list; no command needs a tenth of it
MAX_NESTING = 16
SHOWN_VALUE_LENGTH = 40
SHOWN_REASON_LENGTH = 160  # the validator repeats unknown names, and those are as long as their sender likes


class _PlainSince(Since, frozen=True, forbid_unknown_fields=True):
    """A place and nothing else."""


class _PlainProof(Proof, frozen=True, forbid_unknown_fields=True):
    """Work and nothing else."""


class _PlainHello(Hello, tag="hello", frozen=True, forbid_unknown_fields=True):
    since: _PlainSince | None = None
    proof: _PlainProof | None = None


class _PlainBundleItem(BundleItem, frozen=True, forbid_unknown_fields=True):
    """A drop and how many of it, and nothing else."""


class _PlainBundle(Bundle, tag="bundle", frozen=True, forbid_unknown_fields=True):
    items: Annotated[list[_PlainBundleItem], msgspec.Meta(min_length=1, max_length=MAX_BUNDLE_ITEMS)]  # type: ignore[assignment]  # narrower, and only read


def _plain(command: type[Command]) -> type[Command]:
    """Return the command without the patience for unknown fields."""
    tag = command.__struct_config__.tag
    made: Any = msgspec.defstruct(
        command.__name__, [], bases=(command,), tag=tag, frozen=True, forbid_unknown_fields=True
    )
    return cast("type[Command]", made)


# What nearly everybody sends, a command to the letter, is read in one step, a fiftieth of the other way's cost.
# Whatever is not that (unknown fields and what may hide in them, errors of any kind) goes the other way.
_NESTED: dict[Any, type[Command]] = {Hello: _PlainHello, Bundle: _PlainBundle}
_PLAIN_COMMANDS: Any = Union[(*(_NESTED.get(each) or _plain(each) for each in get_args(AnyCommand)),)]
_PATH = re.compile(r" - at `\$?(?P<path>[^`]*)`$")


class Codec(Enum):
    """A subprotocol of the live socket."""

    MSGPACK = "livedrop.v1.msgpack"
    JSON = "livedrop.v1.json"

    binary: bool  # whether its messages are binary websocket messages
    plain: Callable[[bytes], AnyCommand]  # reads a command to the letter
    encode: Callable[[Message], bytes]  # returns a message's bytes; JSON text as UTF-8

    def decode(self, data: bytes) -> AnyCommand:
        """Return the command in `data`, or raise `invalid-message` with what is wrong and where."""
        try:
            return self.plain(data)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return as_command(_unpack(data) if self is Codec.MSGPACK else _from_json(data))


def negotiate(offered: list[str]) -> Codec | None:
    """Return the codec for the offered subprotocols, JSON where none is offered, None where only unknown ones are."""
    if not offered:
        return Codec.JSON
    known = {codec.value: codec for codec in Codec}
    return next((known[name] for name in offered if name in known), None)


pack: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode  # a message, or a part of one, to msgpack

Codec.MSGPACK.binary, Codec.JSON.binary = True, False
Codec.MSGPACK.encode, Codec.JSON.encode = pack, msgspec.json.Encoder().encode
Codec.MSGPACK.plain = msgspec.msgpack.Decoder(_PLAIN_COMMANDS).decode
Codec.JSON.plain = msgspec.json.Decoder(_PLAIN_COMMANDS).decode


def unpack_event(data: bytes) -> Message:
    """Return an event that one of our own scripts packed."""
    event: Message = msgpack.unpackb(data, raw=False)
    return event


def as_command(raw: Any) -> AnyCommand:
    """Return the command that a decoded value is, or raise `invalid-message`."""
    if not isinstance(raw, dict):
        raise invalid(f"A message is a map with a type, not {_kind(raw)}.")
    _require_shallow(raw)
    try:
        command: AnyCommand = msgspec.convert(raw, AnyCommand)
    except msgspec.ValidationError as error:
        raise explained(error, raw) from None
    return command


def explained(error: msgspec.ValidationError, raw: Any) -> Problem:
    """Return `invalid-message` that says what was expected, where, and which value was given."""
    text = str(error)
    match = _PATH.search(text)
    if match is None:
        return invalid(f"{_shortened(text)}.")
    path = match["path"].lstrip(".") or "the message"
    expectation = _shortened(text[: match.start()])
    shown = _shown(_at(raw, path))
    return invalid(f"{path}: {expectation}" + (f", given {shown}." if shown else "."))


def operation_of(raw: bytes, codec: Codec) -> str | None:
    """Return the `id` of a message that was refused, so that its sender knows which; None where there is none."""
    try:
        value = _unpack(raw) if codec is Codec.MSGPACK else _from_json(raw)
    except Problem:
        return None
    operation = value.get("id") if isinstance(value, dict) else None
    return operation if isinstance(operation, str) and len(operation) <= MAX_OPERATION_ID_LENGTH else None


def invalid(detail: str) -> Problem:
    """Return the `invalid-message` problem."""
    return Problem(Code.INVALID_MESSAGE, detail)


def _unpack(data: bytes) -> Any:
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_map_len=MAX_FIELDS,
            max_array_len=MAX_FIELDS,
            max_ext_len=0,
            ext_hook=_refuse_extension,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise invalid(f"The message is not valid msgpack: {type(error).__name__}.") from None


def _refuse_extension(code: int, _data: bytes) -> Any:
    raise ValueError(f"extension type {code}")


def _from_json(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise invalid(f"The message is not valid JSON: {error}.") from None


def _require_shallow(raw: Any) -> None:
    """Refuse values nested deeper than any command is; walks without recursion."""
    level = [raw]
    for _ in range(MAX_NESTING):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
        level = inner
        if not level:
            return
    raise invalid(f"The message is nested deeper than {MAX_NESTING} levels.")


def _at(raw: Any, path: str) -> Any:
    value = raw
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _shown(value: Any) -> str:
    """Return a value as it may stand in a sentence: numbers whole, text by its length (it may be a token)."""
    if isinstance(value, str):
        return f"{len(value)} characters"
    if isinstance(value, bool | int | float):
        return str(value)[:SHOWN_VALUE_LENGTH]
    return ""


def _shortened(reason: str) -> str:
    return reason if len(reason) <= SHOWN_REASON_LENGTH else f"{reason[:SHOWN_REASON_LENGTH]}…"


def _kind(value: Any) -> str:
    return type(value).__name__
