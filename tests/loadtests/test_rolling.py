"""A release under viewers, small: nobody loses anything; and whoever had lost something would be seen."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from rich.console import Console

from loadtests.rolling.__main__ import table
from loadtests.rolling.audience import FINALE, Audience, Viewer
from loadtests.rolling.play import Outcome, Plan, play
from loadtests.stagehand import own_server
from server.client import Connection, LiveDrop

PLAN = Plan(processes=2, viewers=12, holders=3, takers=4, takes_per_second=2.0, seed=1)
SHOW = "sh_1"


async def test_nobody_loses_anything() -> None:
    """Both processes are replaced, everybody comes back, and everything is as it was promised."""
    with own_server(workers=2, LIVEDROP_DRAIN_SPREAD_MS="300") as stage:
        outcome = await play(stage, PLAN, print)
    assert outcome.broken() == []
    assert outcome.replaced == 2
    assert outcome.held == PLAN.holders + PLAN.takers
    assert sum(bool(viewer.outages) for viewer in outcome.audience.viewers) == PLAN.viewers
    console = Console(record=True, width=110)
    console.print(table(outcome))
    assert "the longest of one viewer" in console.export_text()


def seen(*messages: dict[str, Any]) -> Viewer:
    """Return a viewer who has heard these."""
    viewer = Viewer("ann", LiveDrop("http://127.0.0.1:1", SHOW, "token"))
    for message in messages:
        viewer._saw(message)
    return viewer


def event(offset: int, kind: str = "drop.restocked") -> dict[str, Any]:
    """Return an event of the log."""
    return {"type": kind, "offset": offset}


WELCOME = {"type": "welcome", "offset": 4, "snapshot": {}}
RETURN = {"type": "welcome", "offset": 6, "recovered": True}


def test_a_hole_is_seen() -> None:
    """An event that comes without the one before counts; a picture that begins anew does not, and is counted apart."""
    assert seen(WELCOME, event(5), event(6), RETURN, event(7)).holes == 0
    assert seen(WELCOME, event(6)).holes == 1
    assert seen(WELCOME, event(5), event(5)).holes == 1
    anew = seen(WELCOME, event(5), {**WELCOME, "offset": 9}, event(10))
    assert (anew.holes, anew.pictures) == (0, 1)


def test_the_end_is_seen() -> None:
    """By itself or in a picture."""
    assert not seen(WELCOME, event(5)).finale
    assert seen(WELCOME, event(5, FINALE)).finale
    assert seen({**WELCOME, "snapshot": {"pinned": [{}]}}).finale


def test_being_away_is_timed() -> None:
    """From the end of a connection to the next welcome, however many attempts lie between."""
    viewer = seen(WELCOME)
    for state, code in (
        ("waiting", 3001),
        ("connecting", 0),
        ("waiting", 1006),
        ("connecting", 0),
        ("live", 0),
    ):
        viewer._turned(Connection(state, code))  # type: ignore[arg-type]  # one of its words
    assert len(viewer.outages) == 1
    assert viewer.closes == Counter({3001: 1, 1006: 1})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"behind": 2}, "2 viewers do not have the last event."),
        ({"lost": 1}, "1 reservations that were promised are not held."),
        ({"held": 3}, "2 units are held that nobody was promised, or the other way round."),
    ],
)
def test_what_was_lost_is_said(change: dict[str, int], sentence: str) -> None:
    """Each promise that was not kept is a sentence."""
    audience = Audience([seen(WELCOME)])
    audience.viewers[0].reservation = "rs_1"
    usual = {"behind": 0, "lost": 0, "held": 1}
    outcome = Outcome(PLAN, 2, 1.0, 1, audience, **{**usual, **change})
    assert outcome.broken() == [sentence]


def test_refusals_and_holes_are_said() -> None:
    """Of the viewers, each is counted once."""
    audience = Audience([seen(WELCOME, event(6), event(9)), seen(WELCOME)])
    audience.refused["unavailable"] += 3
    broken = Outcome(PLAN, 2, 1.0, 1, audience, 0, 0, 0).broken()
    assert broken == ["1 viewers miss events.", "3 reservations failed though there were units."]
