"""A recording is played on a real server, by a crowd in this process: what was recorded is asked again."""

from __future__ import annotations

import gc
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from loadtests.audience.crowd import Crowd, begin_of
from loadtests.audience.venue import Venue
from loadtests.recording.reading import Recording, load
from loadtests.recording.replay import plan_of
from server.auth import Role
from server.shows.tape import (
    Bundle,
    Checkout,
    Join,
    Leave,
    Line,
    Move,
    React,
    Release,
    Reserve,
    Unwait,
    Wait,
)
from tests.gateway.recorder import finish, recording
from tests.loadtests.recording.made import drop, written
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from loadtests.plan import Plan
    from tests.server import ServerProcess
    from tests.stage import Stage

SPEED = 1.25
COUNTDOWN_MS = 400
# What each viewer has in the end: units, and what became of them.
IN_THE_END = [
    [(2, "released")],
    [(1, "held"), (1, "held")],
    [(1, "paid")],
    [(2, "paid")],
    [(2, "held"), (1, "held")],
    [],
]
HERE_IN_THE_END = [False, True, True, True, True, True]


def a_show() -> list[Line]:
    """Return a show in which everything happens that can be played."""
    terms = {"hold_seconds": 60}
    got: dict[str, Any] = {"end": "held", "ms": 3}
    return [
        drop(1, **terms, quantity=3),
        drop(2, **terms, status="open", quantity=9, available=4),
        drop(3, **terms, mode="first_paid", waitlist=False),
        drop(4, **terms, status="open"),
        drop(5, **terms),
        *(Join(at=10, viewer=viewer, connection=1, here=True) for viewer in range(3)),
        *(Join(at=200, viewer=viewer, connection=1) for viewer in range(3, 6)),
        Move(at=400, drop=3, move="open"),
        Move(at=400, drop=1, move="open"),
        Move(at=400, drop=5, move="open", countdown_ms=COUNTDOWN_MS),
        Reserve(at=1_200, viewer=0, take=0, drop=1, quantity=2, **got),
        Reserve(at=1_500, viewer=0, take=0, drop=1, quantity=2, end="repeated", ms=3),
        Reserve(at=1_700, viewer=1, take=0, drop=1, quantity=2, part=True, end="part", ms=3),
        Wait(at=2_000, viewer=2, take=0, drop=1, quantity=1, end="waiting", ms=3),
        Wait(at=2_300, viewer=5, take=0, drop=1, quantity=1, end="waiting", ms=3),
        Bundle(at=2_300, viewer=3, items=((0, 2, 1), (1, 1, 1)), end="out-of-stock", ms=3),
        Bundle(at=2_300, viewer=4, items=((0, 2, 2), (1, 4, 1)), **got),
        Unwait(at=2_500, viewer=5, drop=1, end="left", ms=3),
        Leave(at=2_800, viewer=5, connection=1, code=1006),
        React(at=2_850, messages=2, reactions=6),
        Release(at=2_900, viewer=0, take=0, end="released", ms=3),
        Join(at=3_000, viewer=5, connection=2, returns=True),
        Checkout(at=3_200, viewer=2, takes=(0,), end="paid", ms=30),
        Checkout(at=3_200, viewer=4, takes=(0,), end="payment-declined", ms=30),
        Checkout(at=3_200, viewer=3, items=((3, 2),), end="paid", ms=30),
        Move(at=3_300, drop=4, move="restock", quantity=2),
        Leave(at=3_500, viewer=0, connection=1, code=1000),
    ]


@asynccontextmanager
async def playing(stage: Stage, server: ServerProcess, plan: Plan, folder: Path) -> AsyncIterator[Crowd]:
    """Play a plan on a show, with all its viewers and its host in this loop."""
    thresholds = gc.get_threshold()
    token = server.token(Role.HOST, "host")
    crowd = Crowd(Venue(server.url, stage.show, plan, token, begin_of(folder)), folder)
    try:
        crowd.open()
        crowd.enlist(range(plan.viewers))
        crowd.host()
        yield crowd
    finally:
        await crowd.close()
        gc.set_threshold(*thresholds)


def in_the_end(crowd: Crowd) -> list[list[tuple[int, str]]]:
    """Return what each viewer has."""
    return [[(take.quantity, take.end) for take in person.account.takes] for person in crowd.people]


def spoken(recorded: Recording) -> Counter[Any]:
    """Return what viewers did, each in their order, without who is who and when it was exactly."""
    said: dict[int, list[Any]] = {}
    for act in recorded.acts:
        fields = {name: getattr(act, name) for name in act.__struct_fields__}
        hidden = {"at", "viewer", "ms", "here"}
        told = tuple((name, value) for name, value in fields.items() if name not in hidden)
        said.setdefault(act.viewer, []).append((type(act).__name__, told))
    return Counter(map(tuple, said.values()))


def moved(recorded: Recording, speed: float = 1.0) -> Counter[Any]:
    """Return the moves of drops, countdowns as much shorter as the speed wants."""
    moves = [move for move in recorded.moves if isinstance(move, Move)]
    return Counter((move.drop, move.move, move.quantity, move.countdown_ms / speed) for move in moves)


async def test_what_was_recorded_is_asked_again(stage: Stage, server: ServerProcess, tmp_path: Path) -> None:
    """A recording of the replay has the same comings, goings, commands, applause and moves; no promise is broken."""
    first, second = written(tmp_path / "first", a_show()), tmp_path / "second"
    plan = plan_of(first, SPEED, 1)
    async with (
        recording(server, stage.show, second) as recorder,
        playing(stage, server, plan, tmp_path) as crowd,
    ):
        await wait_for(
            lambda: (
                [person.here for person in crowd.people] == HERE_IN_THE_END
                and in_the_end(crowd) == IN_THE_END
            ),
            "everything was played",
        )
        await finish(recorder)
        seen = crowd.venue.measures.seen(6, crowd.venue.clock)
    assert [person.account.breaches for person in crowd.people] == [[]] * 6
    assert seen.failures == []
    assert seen.latencies["reserve"].count == 4  # a repeat is no reservation of its own
    assert seen.refusals == {
        "reserve": {"out-of-stock": 1},
        "checkout": {"payment-declined": 1},
    }
    one, two = load(first), load(second)
    assert two.warnings == []
    assert spoken(two) == spoken(one)
    assert moved(two) == moved(one, SPEED) + Counter([(2, "open", 0, 0.0), (4, "open", 0, 0.0)])
    assert sum(react.messages for react in two.reactions) == 2
    assert sum(react.reactions for react in two.reactions) == 6
