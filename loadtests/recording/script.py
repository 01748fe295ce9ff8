"""From a recording to what is asked of a server: who does what and when, and what the host does.

Everything is known before anything happens: the same recording, speed and seed ask for the same, whatever a server
answers. `speed` brings every two lines nearer together, and the end of a countdown to its beginning. It does not touch
what the server measures for itself: reservations are held as long as ever.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

from server.shows.tape import Join, Leave, Move, React

if TYPE_CHECKING:
    from loadtests.recording.reading import Recording
    from server.shows.tape import Act, Drop

SLOWEST, FASTEST = 1.0, 20.0
ARRIVALS_PER_SECOND = 500.0  # of those who were there already
ARRIVE_AT_LEAST = 2.0  # s
QUIET = 1.0  # s between the last of them and the recording's beginning
CLOSED = "closed"
GATHERED_MS = 250  # for which a line of reactions tells of all that came


class Step(NamedTuple):
    """A viewer's act, `at` seconds after the run's begin."""

    at: float
    viewer: int
    act: Act | React


class Scene(NamedTuple):
    """What the host does, `at` seconds after the run's begin."""

    at: float
    act: Drop | Move


class Pace:
    """The run's times: first everybody arrives who was there already, then the recording begins."""

    def __init__(self, recording: Recording, speed: float) -> None:
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(
                f"A recording is played {SLOWEST:.0f} to {FASTEST:.0f} times as fast, not {speed:g}."
            )
        here = recording.here
        self.arrival = max(ARRIVE_AT_LEAST, here / ARRIVALS_PER_SECOND) if here else 0.0
        self.begin = self.arrival + QUIET
        self.speed = speed

    def at(self, ms: float) -> float:
        """Return the seconds since the run's begin of a time of the recording, to the microsecond."""
        return round(self.begin + ms / 1000 / self.speed, 6)


def script(recording: Recording, speed: float, seed: int) -> list[Step]:
    """Return all that viewers do, in the order of its times. Raises ValueError for a speed that is not to be had."""
    pace, random = Pace(recording, speed), Random(f"replay/{seed}")
    audience, here, steps = Audience(), [], []
    reactions = list(reversed(recording.reactions))
    for act in recording.acts:
        while reactions and reactions[-1].at <= act.at:
            steps += _cheers(reactions.pop(), pace, audience, random)
        if not audience.sees(act):
            continue
        if isinstance(act, Join) and act.here:
            here.append(act)
        else:
            steps.append(Step(pace.at(act.at), act.viewer, act))
    while reactions:
        steps += _cheers(reactions.pop(), pace, audience, random)
    random.shuffle(here)
    arrivals = (round(pace.arrival * turn / len(here), 6) for turn in range(len(here)))
    steps += [Step(at, act.viewer, act) for at, act in zip(arrivals, here, strict=True)]
    return sorted(steps, key=lambda step: step.at)


def hosting(recording: Recording, speed: float) -> list[Scene]:
    """Return all that the host does, in the order of its times: what there was at the beginning is planned at once."""
    pace = Pace(recording, speed)
    scenes: list[Scene] = []
    for drop in recording.drops:
        if drop.status != CLOSED:
            scenes.append(Scene(0.0 if drop.at == 0 else pace.at(drop.at), drop))
            scenes += [Scene(pace.at(drop.at), move) for move in _begun(drop)]
    # A show's own moves, its pauses above all, are told and not played.
    scenes += [Scene(pace.at(move.at), move) for move in recording.moves if isinstance(move, Move)]
    return sorted(scenes, key=lambda scene: scene.at)


def _begun(drop: Drop) -> list[Move]:
    """Return the moves that bring a planned drop to where it was when it was first seen."""
    opening = Move(at=drop.at, drop=drop.drop, move="open", countdown_ms=drop.countdown_ms)
    pause = Move(at=drop.at, drop=drop.drop, move="pause")
    return {"countdown": [opening], "open": [opening], "paused": [opening, pause]}.get(drop.status, [])


class Audience:
    """Who is connected, each with one connection; anybody is drawn as quickly as nobody else."""

    def __init__(self) -> None:
        self._viewers: list[int] = []
        self._places: dict[int, int] = {}
        self._connections: dict[int, set[int]] = {}

    def sees(self, act: Act) -> bool:
        """Take an act in; False where it changes nothing for who is played with one connection.

        Who returns has lost the connection before, whether or not the server knew of that yet. A second one beside
        the first, as of another tab, is not played; who has several leaves with the last.
        """
        if isinstance(act, Join):
            open_now = self._connections.setdefault(act.viewer, set())
            news = not open_now or act.returns
            if act.returns:
                open_now.clear()
            open_now.add(act.connection)
            self._add(act.viewer)
            return news
        if isinstance(act, Leave):
            left = self._connections.get(act.viewer)
            if not left or act.connection not in left:
                return False
            left.remove(act.connection)
            if not left:
                self._remove(act.viewer)
            return not left
        return True

    def drawn(self, random: Random) -> int | None:
        """Return anybody, None where nobody is in."""
        return self._viewers[int(random.random() * len(self._viewers))] if self._viewers else None

    def _add(self, viewer: int) -> None:
        if viewer not in self._places:
            self._places[viewer] = len(self._viewers)
            self._viewers.append(viewer)

    def _remove(self, viewer: int) -> None:
        place, last = self._places.pop(viewer), self._viewers.pop()
        if last != viewer:
            self._viewers[place], self._places[last] = last, place


def _cheers(react: React, pace: Pace, audience: Audience, random: Random) -> list[Step]:
    """Return messages of applause by anybody who is there, with as many reactions together as were recorded."""
    steps = []
    each, more = divmod(react.reactions, max(1, react.messages))
    for turn in range(react.messages):
        viewer = audience.drawn(random)
        count = each + (turn < more)
        if viewer is None or not count:
            continue
        ms = react.at + GATHERED_MS * turn / react.messages
        steps.append(Step(pace.at(ms), viewer, React(at=int(ms), messages=1, reactions=count)))
    return steps
