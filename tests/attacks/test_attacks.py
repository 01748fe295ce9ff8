"""Every attack of this folder on one server: refused as written beside it, counted, and nothing bad in the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from tests.attacks.__main__ import SETTINGS, table_of
from tests.attacks.answers import differences
from tests.attacks.trial import ATTACKS, NOT_SET, Trial, name_of, tried, unclean
from tests.server import own_server
from tests.wire import shared_show, stage_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.attacks.trial import Attack
    from tests.server import ServerProcess
    from tests.stage import Stage

LINE = {"event": "join.failed", "level": "error", "timestamp": "2026-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give the server that is attacked."""
    with own_server(tmp_path_factory.mktemp("attacked"), SETTINGS) as process:
        yield process


@pytest.fixture(scope="module")
def show(server: ServerProcess) -> Iterator[str]:
    yield from shared_show(server)


@pytest.fixture
async def stage(server: ServerProcess, show: str) -> AsyncIterator[Stage]:
    async for one in stage_of(server, show):
        yield one


@pytest.mark.parametrize("attack", ATTACKS, ids=name_of)
async def test_an_attack_is_refused(stage: Stage, attack: Attack) -> None:
    """Each thing tried has the status or close code that is written beside it, and others are served as before."""
    trial = await tried(stage, attack, stage.server.log)
    assert differences(trial.expected, trial.seen) == {}
    assert not NOT_SET.intersection(trial.seen.values())
    assert trial.counted
    assert trial.unclean == []
    assert trial.passed
    async with stage.watching() as viewer:
        assert viewer.welcome["type"] == "welcome"


def test_another_answer_is_found() -> None:
    """Negative control: another code, an answer too few, a figure that stands still, and an unclean log each fail."""
    good = Trial("a", {"x": "403|404"}, {"x": "404"}, counted=True, lines=0, unclean=[])
    assert good.passed
    assert differences(good.expected, {"x": "200"}) == {"x": "200"}
    assert differences(good.expected, {}) == {"x": "not tried"}
    assert differences({}, good.seen) == good.seen
    assert not Trial("a", {"x": "403"}, {"x": "403"}, counted=False, lines=0, unclean=[]).passed
    assert not Trial("a", {"x": "403"}, {"x": "403"}, counted=True, lines=1, unclean=["x"]).passed


@pytest.mark.parametrize(
    "written",
    [
        "no JSON\n",
        "[1]\n",
        json.dumps({"event": "x"}) + "\n",
        json.dumps({**LINE, "path": "/x?token=eyJhbGciOiJI.eyJzdWIiOiJ2"}) + "\n",
        json.dumps({**LINE, "title": "a\u2028b"}, ensure_ascii=False) + "\n",
        json.dumps({**LINE, "title": "a"}).replace('"a"', '"\x1b[2J"') + "\n",
        json.dumps(LINE)[:20] + "\n" + json.dumps(LINE)[20:] + "\n",
    ],
)
def test_an_unclean_log_is_found(written: str) -> None:
    """Negative control: a line that is none, a token, a control character, a line broken in two."""
    assert unclean(json.dumps(LINE) + "\n") == []
    assert unclean(written)


def test_the_table_shows_what_differs() -> None:
    """A line for each thing tried, with what was expected and what came."""
    trial = Trial("origins", {"null": "403"}, {"null": "101"}, counted=True, lines=3, unclean=["x"])
    console = Console(width=120)
    with console.capture() as captured:
        console.print(table_of([trial]))
    for words in ("origins", "null", "403", "101", "3 lines, 1 unclean"):
        assert words in captured.get()
