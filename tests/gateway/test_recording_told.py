"""Who tells a recording what: sockets and lines of operations, and what they tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.errors import CLOSE_TOO_SLOW, Code, Problem
from server.gateway.overhear import overhearing
from server.gateway.reactions import Reactions
from server.inventory import asks
from server.inventory.outcomes import Bundle, Held, Waiting
from server.protocol.commands import Since
from tests.gateway.scene import SHOW, Guest, Scene
from tests.gateway.seats import Hall

if TYPE_CHECKING:
    from server.inventory.outcomes import Outcome

DROP = "dr_1_a"


class Notebook:
    """Stands in for `Tap`: keeps what it is told, and can break."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.show = SHOW
        self.breaks = False

    def now_ms(self) -> int:
        return 77

    def records(self, show: str) -> bool:
        return show == self.show

    def came(self, show: str, viewer: str, *, returns: bool) -> None:
        self.told.append(("came", show, viewer, returns))

    def left(self, show: str, viewer: str, code: int) -> None:
        self.told.append(("left", show, viewer, code))

    def cheered(self, show: str, count: int) -> None:
        self.told.append(("cheered", show, count))

    def asked(self, *said: Any, at: int, code: str) -> None:
        if self.breaks:
            raise RuntimeError
        self.told.append((*said, at, code))


@pytest.fixture
def notebook() -> Any:
    return Notebook()


async def test_the_hub_tells_of_every_connection_of_the_audience(notebook: Any) -> None:
    """Each socket comes and goes, whether or not its viewer has others; hosts and moderators are no audience."""
    scene = Scene()
    scene.hub.tap = notebook
    ann, again = scene.come("ann"), scene.come("ann", Since("e", 9))
    host = scene.come("host", guest=Guest(counts=False))
    assert scene.hub.people(SHOW) == ["ann", "ann"]
    assert scene.hub.people("sh_other") == []
    for guest, code in ((ann, 1006), (host, 1000), (again, 3001)):
        guest.code = code
        scene.hub.leave(guest)  # type: ignore[arg-type]  # a stand-in
    assert notebook.told == [
        ("came", SHOW, "ann", False),
        ("came", SHOW, "ann", True),
        ("left", SHOW, "ann", 1006),
        ("left", SHOW, "ann", 3001),
    ]


async def test_a_socket_knows_how_it_ended() -> None:
    """With the code that we sent; without any it is 1006."""
    hall = Hall()
    slow, lost = hall.sit("ann").viewer, hall.sit("ben").viewer
    slow.close(CLOSE_TOO_SLOW, "too slow")
    slow.connection_lost(None)
    lost.connection_lost(None)
    assert (slow.code, lost.code) == (3008, 1006)


async def test_applause_is_told_as_a_count(notebook: Any) -> None:
    """Neither who nor with what."""
    reactions = Reactions(scripts=None)  # type: ignore[arg-type]  # not asked
    reactions.add(SHOW, "heart", 3)
    reactions.tap = notebook
    reactions.add(SHOW, "heart", 4)
    assert notebook.told == [("cheered", SHOW, 4)]


def held(state: str = "held", *, replayed: bool = False, waiting: Waiting | None = None) -> Held:
    return Held({"id": "rs_1_x", "state": state}, replayed=replayed, waiting=waiting)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (held(), "held"),
        (held("released"), "released"),
        (held("expired"), "expired"),
        (held(replayed=True), "repeated"),
        (held(waiting=Waiting(DROP, 1, 1, 1)), "part"),
        (Waiting(DROP, 3, 5, 1), "waiting"),
        (Waiting(DROP, 0, 5, 0), "left"),
        (Bundle([], replayed=False), "held"),
        (Bundle([], replayed=True), "repeated"),
        (Problem(Code.OUT_OF_STOCK, "none"), "out-of-stock"),
    ],
)
def test_how_an_operation_ended(notebook: Any, outcome: Outcome, code: str) -> None:
    """In a word, behind what was asked and when."""
    ask = asks.reserve(SHOW, "ann", "op", DROP, 2)
    answers: list[Outcome] = []
    overhearing(notebook)(ask, answers.append)(outcome)
    assert answers == [outcome]
    assert notebook.told == [(SHOW, "ann", "reserve", ask.items, 77, code)]


def test_whoever_asks_is_told_first(notebook: Any) -> None:
    """A recording that breaks costs nobody an answer."""
    notebook.breaks = True
    answers: list[Outcome] = []
    done = overhearing(notebook)(asks.reserve(SHOW, "ann", "op", DROP, 2), answers.append)
    with pytest.raises(RuntimeError):
        done(held())
    assert len(answers) == 1


def test_of_other_shows_nothing_is_overheard(notebook: Any) -> None:
    """Their operations go their way untouched."""

    def done(_outcome: Outcome) -> None:
        """Be told."""

    assert overhearing(notebook)(asks.reserve("sh_other", "ann", "op", DROP, 2), done) is done
