"""Bounds that a server cannot show from outside: what decoding costs, and what is not there at all."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from server.api.openapi import openapi
from server.api.operations import OPERATIONS
from server.errors import Problem
from server.protocol.codec import Codec, operation_of
from tests.attacks.odd_messages import PACKED, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 2_000_000  # 30 times the largest message
TABLES = {"text/csv", "text/tab-separated-values", "application/vnd.ms-excel"}
LISTS = b"\xdc\xff\xff" * 20_000  # each says that it has 65,535 members


def peak(decode: Callable[[], Any]) -> int:
    """Return how many bytes decoding has taken at most."""
    tracemalloc.start()
    try:
        decode()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [*PACKED, *TEXT, "20,000 lists of 65,535"])
def test_opened_lists_cost_little_memory(name: str) -> None:
    """Whatever is refused was never built: neither the decoder nor the look for the message's id takes much."""
    codec = Codec.JSON if name in TEXT else Codec.MSGPACK
    data = TEXT[name].encode() if name in TEXT else PACKED.get(name, LISTS)

    def decode() -> None:
        with pytest.raises(Problem):
            codec.decode(data)
        operation_of(data, codec)

    assert peak(decode) < MOST_BYTES


def test_a_careless_decoder_is_found() -> None:
    """Negative control: without bounds on lengths the same bytes are given the room that they ask for."""

    def decode() -> None:
        with pytest.raises(ValueError, match="incomplete input"):
            msgpack.unpackb(LISTS[:300], max_array_len=2**16)

    assert peak(decode) > MOST_BYTES


def exports(described: dict[str, Any]) -> list[str]:
    """Return the operations of a document that answer with anything for spreadsheets."""
    return [
        f"{method} {path}"
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        for answer in operation["responses"].values()
        if any(kind in TABLES for kind in answer.get("content", {}))
    ]


def test_nothing_is_exported_as_csv() -> None:
    """No operation answers with a table for spreadsheets, so no cell can hold a formula."""
    described = openapi(OPERATIONS)
    assert exports(described) == []
    described["paths"]["/v1/x"] = {"get": {"responses": {"200": {"content": {"text/csv": {}}}}}}
    assert exports(described) == ["get /v1/x"]
