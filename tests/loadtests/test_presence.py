"""A simulated viewer on a real server, with real threads instead of Locust's greenlets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from loadtests.doors import BreachError, Doors, Tally
from loadtests.presence import Presence
from loadtests.transport import WireClosedError
from server.protocol.codec import Codec

if TYPE_CHECKING:
    from loadtests.transport import Wire
    from tests.stage import Stage


class Scorebook:
    """Takes what would be lines of Locust's table."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Exception | None]] = []

    def __call__(self, *, request_type: str, name: str, exception: Exception | None, **_: Any) -> None:
        """Take a line."""
        self.lines.append((f"{request_type} {name}", exception))

    @property
    def names(self) -> list[str]:
        """Return the names alone; a failure's has its error behind it."""
        return [name if error is None else f"{name}: {error}" for name, error in self.lines]


def viewer(
    stage: Stage, codec: Codec = Codec.MSGPACK, token: str | None = None
) -> tuple[Presence, Scorebook]:
    """Return a viewer who is not yet connected, and the book of what happens to them."""
    book = Scorebook()
    doors = Doors(stage.server.url, None, book, Tally(), token or stage.viewer())
    return Presence(doors, stage.show, codec), book


def connected(presence: Presence) -> Wire:
    """Return the viewer's open wire."""
    wire = presence.connected()
    assert wire is not None
    return wire


@pytest.mark.parametrize("codec", list(Codec))
async def test_a_viewer_watches_leaves_and_returns(stage: Stage, codec: Codec) -> None:
    """Hello, a drop that opens, leaving, a drop closed meanwhile, and returning: every step is scored, none fails."""
    presence, book = viewer(stage, codec)
    await asyncio.to_thread(presence.connect)
    drop = await stage.drop()
    wire = connected(presence)
    assert await asyncio.to_thread(wire.wait, lambda: presence.watch.on_offer(set()) == drop, 10.0)
    await asyncio.to_thread(presence.leave)
    await stage.move(drop, "close")
    await asyncio.to_thread(presence.connect)
    wire = connected(presence)
    assert await asyncio.to_thread(wire.wait, lambda: presence.watch.drops[drop].status == "closed", 10.0)
    await asyncio.to_thread(presence.leave)
    assert book.names == ["WS hello", "WS drop seen", "WS hello (since)"]


async def test_expected_refusals_have_names_of_their_own(stage: Stage) -> None:
    """Sold out is a success named after its code where it is expected, and a failure where it is not."""
    drop = await stage.drop(1)
    presence, book = viewer(stage)
    wire = await asyncio.to_thread(presence.connected)
    assert wire is not None
    reserve = {"type": "reserve", "drop": drop, "quantity": 1}
    taken = await asyncio.to_thread(presence.doors.ask, wire, {**reserve, "id": "1"})
    assert taken is not None
    assert taken["reservation"]["state"] == "held"
    stock = await asyncio.to_thread(presence.doors.ask, wire, {**reserve, "id": "2"}, {"limit-reached"})
    assert stock is not None
    assert stock["code"] == "limit-reached"
    assert await asyncio.to_thread(presence.doors.ask, wire, {**reserve, "id": "3"}) is None
    await asyncio.to_thread(presence.leave)
    assert book.names[:3] == ["WS hello", "WS reserve", "WS reserve (limit-reached)"]
    name, error = book.lines[3]
    assert name == "WS reserve"
    assert isinstance(error, BreachError)
    assert str(error).startswith("limit-reached: ")


async def test_a_refused_hello_is_a_failure(stage: Stage) -> None:
    """A viewer whom the server does not let in is scored as a failure with the close code, and has no wire."""
    presence, book = viewer(stage, token="not-a-token")
    assert await asyncio.to_thread(presence.connected) is None
    name, error = book.lines[0]
    assert name == "WS hello"
    assert isinstance(error, WireClosedError)
    assert error.code == 3500


async def test_an_untruth_on_the_wire_is_a_failure(stage: Stage) -> None:
    """Negative control: a viewer who believes to be one event further scores the gap as a failure named `stream`."""
    presence, book = viewer(stage)
    await asyncio.to_thread(presence.connect)
    presence.watch.offset += 1
    await stage.drop()
    wire = connected(presence)
    assert await asyncio.to_thread(wire.wait, lambda: len(book.lines) > 1, 10.0)
    await asyncio.to_thread(presence.leave)
    name, error = book.lines[1]
    assert name == "WS stream"
    assert isinstance(error, BreachError)
