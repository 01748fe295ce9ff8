"""The order of events, whatever comes over the wire: each once, none missing, or a new start with a snapshot."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.client import LiveDrop
from server.client.place import Place, Step
from tests.client.told import Told, holes
from tests.client.wires import URL, Exchange, FakeWire, event, welcome
from tests.waiting import wait_for

Message = dict[str, Any]
TOP = 12  # events in the log


@dataclass(frozen=True)
class Stay:
    """One connection: where a snapshot of it stands, which events go wrong on it and how, and how it ends."""

    remembers: bool  # the log still reaches back to where the viewer was
    at: int
    wrong: dict[
        int, str
    ]  # offset -> "lost", "twice", "late" (after the next one), "end" (the last that comes)
    code: int
    epoch: str = "e"


WRONG = st.dictionaries(st.integers(1, TOP), st.sampled_from(["lost", "twice", "late", "end"]), max_size=5)
STAYS = st.lists(
    st.builds(
        Stay,
        remembers=st.booleans(),
        at=st.integers(0, TOP),
        wrong=WRONG,
        code=st.sampled_from([1006, 3001, 3008, 3010, 3012]),
        epoch=st.sampled_from(["e", "e", "f"]),
    ),
    max_size=6,
)
HONEST = Stay(remembers=True, at=TOP, wrong={}, code=0)


class Teller:
    """A server that makes the mistakes of each stay in turn, and after those none."""

    def __init__(self, stays: list[Stay]) -> None:
        self._stays = list(stays)

    def __call__(self, wire: FakeWire, message: Message) -> None:
        if message["type"] != "hello":
            return
        stay = self._stays.pop(0) if self._stays else HONEST
        since = message.get("since", {})
        known = bool(since) and stay.remembers and since["epoch"] == stay.epoch
        start = since["offset"] if known else stay.at
        wire.say(welcome(TOP if known else start, epoch=stay.epoch, recovered=known))
        wire.say(*told_after(start, stay.wrong))
        if stay.code:
            wire.close(stay.code)


def told_after(start: int, wrong: dict[int, str]) -> list[Message]:
    """Return the events after a place as they come, with what goes wrong."""
    come: list[Message] = []
    late: list[Message] = []
    for offset in range(start + 1, TOP + 1):
        fate = wrong.get(offset, "")
        if fate == "late":
            late.append(event(offset))
            continue
        come += [event(offset)] * {"lost": 0, "twice": 2}.get(fate, 1) + late
        late = []
        if fate == "end":
            break
    return come


async def told_by(stays: list[Stay]) -> list[Message]:
    """Return what a program is told over these stays, up to the top of the log."""
    exchange = Exchange(Teller(stays))
    live = LiveDrop(URL, "sh_a", "token", chance=lambda: 0.0, dial=exchange.dial)
    told = Told(live)
    async with live:
        await wait_for(lambda: len(exchange.hellos) > len(stays) and told.offset == TOP, "the top of the log")
    iterated = [message async for message in live]
    assert iterated == told.messages
    return told.messages


@settings(max_examples=150, deadline=None)
@given(stays=STAYS)
def test_no_event_is_missing_and_none_comes_twice(stays: list[Stay]) -> None:
    """Events lost, repeated and out of order on any of several connections: the program is told none of that."""
    assert holes(asyncio.run(told_by(stays))) == []


LOSSY = Stay(remembers=True, at=0, wrong={3: "lost", 6: "end"}, code=1006)


async def test_a_client_that_believes_everything_is_found_out() -> None:
    """Negative control: with a place that takes whatever comes, the check finds the hole."""

    def gullible(place: Place, told: Message) -> Step:
        place._offset = told["offset"]
        return Step.NEXT

    with mock.patch.object(Place, "take", gullible):
        assert holes(await told_by([LOSSY])) == ["4 after 2"]


async def test_a_gap_is_filled_from_the_log_and_the_second_time_by_a_snapshot() -> None:
    """Where the missing events are not to be had at the second try either, the viewer starts over."""
    lost_again = Stay(remembers=True, at=0, wrong={3: "lost"}, code=0)
    exchange = Exchange(Teller([LOSSY, lost_again]))
    async with LiveDrop(URL, "sh_a", "token", chance=lambda: 0.0, dial=exchange.dial) as live:
        await wait_for(lambda: len(exchange.hellos) == 3, "a third try")
        assert live.connection.state in {"live", "connecting"}
    assert [hello.get("since") for hello in exchange.hellos] == [None, {"epoch": "e", "offset": 2}, None]


@pytest.mark.parametrize("epoch", ["f", "e"], ids=["of another epoch", "of nowhere"])
async def test_a_recovery_that_cannot_be_ours_is_not_believed(epoch: str) -> None:
    """A server that claims to go on in another life of the log, or where nobody was, is asked for a snapshot."""
    claims = iter([welcome(4, epoch=epoch, recovered=True), welcome(9, epoch=epoch)])
    first = iter([welcome(2)] if epoch == "f" else [])

    def play(wire: FakeWire, _message: Message) -> None:
        begun = next(first, None)
        wire.say(begun or next(claims))
        if begun is not None:
            wire.close(1006)

    exchange = Exchange(play)
    async with LiveDrop(URL, "sh_a", "token", chance=lambda: 0.0, dial=exchange.dial) as live:
        await wait_for(lambda: live.connection.state == "live" and len(exchange.hellos) > 1, "a new start")
    assert "since" not in exchange.hellos[-1]
