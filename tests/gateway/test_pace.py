"""How soon live numbers reach everybody: from a change, over the script that may keep it back, to the last viewer.

Played on a clock of its own: a round takes its time on it, and nothing else does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import pairwise
from math import inf
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from server.eventlog.stream import Place
from server.gateway import delivery, room
from server.gateway.delivery import SPACING_SECONDS, Delivery
from server.gateway.frames import Format
from server.gateway.room import Room
from server.protocol.codec import pack
from tests.gateway.scene import unframed

PROMISE = 0.25 - 0.01  # seconds from a change to the last viewer, less the way to and from the store
ROUND = 0.06  # the longest round here: some 7,000 viewers
SPACING = 0.1  # the script tells a drop's numbers so seldom, and sees to the last ones so much later
WINDOW = 0.05
BEGAN = 100.0


class Arrival(NamedTuple):
    """A number that is heard, and how new it is."""

    at: float
    revision: int
    kind: str = "s"


class Stand:
    """A room and its delivery on a clock that the test moves; its one viewer stands for so many as a round takes."""

    form = Format.MSGPACK
    behind = closing = owed = False
    offset = 0

    def __init__(self, arrivals: list[Arrival], round_seconds: float = 0.0) -> None:
        self.now = BEGAN
        self.arrivals = deque(arrivals)
        self.transport: Any = self
        self.written: list[tuple[float, dict[str, Any]]] = []
        self.room = Room("sh_1", 1_000, 10)
        self.room.begin(Place("e", 0), [])
        self.room.viewers = {self}  # type: ignore[arg-type]  # a stand-in
        self._round_seconds = round_seconds
        self._timer: tuple[float, Any, Any] | None = None
        self._delivery = Delivery(WINDOW, 1_000)

    def write(self, data: bytes) -> None:
        self._hear_until(self.now + self._round_seconds)  # the loop turns during a round
        self.written += [(self.now, message) for message in unframed(data)]

    def call_later(self, delay: float, call: Any, argument: Any) -> Stand:
        self._timer = self.now + delay, call, argument
        return self

    def cancel(self) -> None:
        self._timer = None

    async def play(self) -> None:
        """Let all numbers arrive, and happen what is due, to the end."""
        while self.arrivals or self._timer is not None:
            due = self._timer[0] if self._timer is not None else inf
            if self.arrivals and self.arrivals[0].at < due:
                self._hear_until(self.arrivals[0].at)
                continue
            assert self._timer is not None
            _due, call, argument = self._timer
            self._timer = None
            self.now = max(self.now, due)
            call(argument)
            if self.room.delivery is not None:
                await self.room.delivery

    def _hear_until(self, moment: float) -> None:
        while self.arrivals and self.arrivals[0].at <= moment:
            arrival = self.arrivals.popleft()
            self.now = max(self.now, arrival.at)
            packed = pack({"type": arrival.kind, "revision": arrival.revision})
            if self.room.take(arrival.kind, "d", packed):
                self._delivery.numbers(self.room)
        self.now = max(self.now, moment)

    def seen(self, revision: int) -> float:
        """Return when the last viewer had these numbers or newer ones."""
        return min(at for at, message in self.written if message["revision"] >= revision)


def played(arrivals: list[Arrival], round_seconds: float = 0.0) -> Stand:
    """Play on a clock of its own."""
    stand = Stand(arrivals, round_seconds)
    loop = SimpleNamespace(
        get_running_loop=lambda: stand, create_task=asyncio.create_task, sleep=asyncio.sleep
    )
    with pytest.MonkeyPatch.context() as patched:
        for module in (delivery, room):
            patched.setattr(module, "monotonic", lambda: stand.now)
        patched.setattr(delivery, "asyncio", loop)
        asyncio.run(stand.play())
    return stand


def told(changes: list[float]) -> list[Arrival]:
    """Return when the script tells the numbers of these changes, each with the newest change that it tells of."""
    found: list[Arrival] = []
    told_at, owed = 0.0, 0.0
    for number, moment in enumerate(changes, start=1):
        if owed and owed <= moment:
            found.append(Arrival(owed, number - 1))
            told_at, owed = owed, 0.0
        if moment - told_at >= SPACING:
            found.append(Arrival(moment, number))
            told_at, owed = moment, 0.0
        elif not owed:
            owed = moment + SPACING
    return [*found, Arrival(owed, len(changes))] if owed else found


def delays(gaps: list[int], round_seconds: float) -> list[float]:
    """Return how long each change takes to the last viewer; `gaps` are the milliseconds between changes."""
    changes = [BEGAN + sum(gaps[: number + 1]) / 1000 for number in range(len(gaps))]
    stand = played(told(changes), round_seconds)
    return [stand.seen(number) - moment for number, moment in enumerate(changes, start=1)]


gaps = some.lists(some.integers(0, 20) | some.integers(0, 400), min_size=1, max_size=40)


@settings(max_examples=300, deadline=None)
@given(gaps=gaps, round_seconds=some.floats(0, ROUND))
def test_every_change_is_everywhere_within_the_promise(gaps: list[int], round_seconds: float) -> None:
    """Whatever the rhythm of the changes: 250 ms, of which the script may have taken 100."""
    assert max(delays(gaps, round_seconds)) <= PROMISE


def test_the_check_of_the_promise_finds_who_takes_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a delivery that does not know of the script's 100 ms breaks the promise."""
    monkeypatch.setattr(room, "KEPT_BACK_SECONDS", 0.0)
    assert max(delays([0, *[10] * 60], ROUND / 2)) > PROMISE


@pytest.mark.parametrize(
    ("kind", "every", "most"),
    [
        ("s", 0.01, 8),  # a drop that sells: as often as the promise demands
        ("s", SPACING, 8),
        ("s", 0.25, 4),  # told at once each time: no more often than that
        ("c", 0.01, 5),  # other numbers keep their pace
        ("r", SPACING, 5),
    ],
)
def test_a_steady_stream_is_few_writes(kind: str, every: float, most: int) -> None:
    """Writes a second, which are what a delivery costs."""
    seconds = 4.0
    count = round(seconds / every)
    arrivals = [Arrival(BEGAN + number * every, number + 1, kind) for number in range(count)]
    moments = [at for at, _message in played(arrivals).written]
    assert len(moments) <= most * seconds + 1
    assert moments[0] == pytest.approx(BEGAN + WINDOW)


def test_a_number_that_is_due_takes_the_others_along() -> None:
    """A drop's numbers leave in time, and what would have waited for longer leaves with them in the same write."""
    arrivals = [Arrival(BEGAN + n * SPACING, n + 1, kind) for n in range(3) for kind in ("s", "c")]
    kinds = [(round(at - BEGAN, 3), message["type"]) for at, message in played(arrivals).written]
    assert kinds[:2] == [(WINDOW, "s"), (WINDOW, "c")]
    assert {at for at, kind in kinds if kind == "s"} == {at for at, kind in kinds if kind == "c"}
    assert kinds[2][0] < WINDOW + SPACING_SECONDS


def test_a_crowd_that_takes_long_leaves_time_for_commands() -> None:
    """Rounds that are always late do not follow each other without a pause."""
    arrivals = [Arrival(BEGAN + number * SPACING, number + 1) for number in range(100)]
    ends = [at for at, _message in played(arrivals, 0.4).written]
    assert min(later - earlier for earlier, later in pairwise(ends)) >= 0.4 + WINDOW - 0.001
