"""Those who wait for a seat, as one process keeps them: who is asked about, who is told, and who is let in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from server.errors import CLOSE_CONNECTION_LIMIT, CLOSE_TOO_MANY_MESSAGES, Problem, unavailable
from server.gateway import lobby as module
from server.gateway.lobby import AT_ONCE, Crowd, Lobby, Waiter
from server.shows.waiting_room import KNOWN_TURNS, MOST_ESTIMATE_MS, Standing, estimate
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SHOW = "sh_1"
SOCKETS = 2


class Guest:
    """What the lobby sees of a connection."""

    def __init__(self) -> None:
        self.show = SHOW
        self.closing = False
        self.told: list[dict[str, Any]] = []
        self.closed_with: int | None = None
        self.refused: Problem | None = None
        self.inside: str | None = None

    def send(self, message: dict[str, Any]) -> None:
        self.told.append(message)

    def close(self, code: int, _text: str, _retry_after_ms: int | None = None) -> None:
        self.closing, self.closed_with = True, code

    def refuse(self, problem: Problem) -> None:
        self.closing, self.refused = True, problem

    def come_in(self, subject: str, _since: object) -> None:
        self.inside = subject


class Seats:
    """A waiting room that answers what it is told to; `asked` has who was asked about, call by call."""

    keep_ms = 60_000

    def __init__(self) -> None:
        self.places: dict[str, Standing] = {}
        self.fails: Problem | Exception | None = None
        self.asked: list[list[str]] = []

    async def enter(self, _show: str, viewers: list[str]) -> list[Standing]:
        self.asked.append(viewers)
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        return [self.places.get(name, Standing(1, 1)) for name in viewers]


@pytest.fixture
def seats(monkeypatch: pytest.MonkeyPatch) -> Seats:
    """Give a waiting room whose people are asked about without a pause."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    return Seats()


@pytest.fixture
async def lobby(seats: Seats) -> AsyncIterator[Lobby]:
    """Give the lobby of a process."""
    one = Lobby(seats, SOCKETS)  # type: ignore[arg-type]  # a stand-in
    yield one
    await one.aclose()


def come(lobby: Lobby, subject: str) -> Guest:
    """Let somebody come."""
    guest = Guest()
    lobby.enter(guest, subject, None)  # type: ignore[arg-type]  # a stand-in
    return guest


async def test_everybody_with_a_seat_comes_in(lobby: Lobby, seats: Seats) -> None:
    """On all their connections, and nobody is left behind."""
    seats.places["ann"] = Standing(0)
    guests = [come(lobby, "ann"), come(lobby, "ann")]
    await wait_for(lambda: all(guest.inside == "ann" for guest in guests), "ann is in")
    assert len(lobby) == 0
    assert not any(guest.told for guest in guests)


async def test_a_crowd_is_asked_about_together(lobby: Lobby, seats: Seats) -> None:
    """Those who come at once share calls; nobody is asked about twice in one."""
    guests = [come(lobby, f"viewer-{number}") for number in range(AT_ONCE + 10)]
    await wait_for(lambda: all(guest.told for guest in guests), "everybody is told")
    assert [len(names) for names in seats.asked[:2]] == [AT_ONCE, 10]
    assert all(len(set(names)) == len(names) for names in seats.asked)


async def test_only_news_is_told(lobby: Lobby, seats: Seats) -> None:
    """However often somebody is asked about, they hear of what has changed; a second connection hears it at once."""
    guest = come(lobby, "ann")
    await wait_for(lambda: len(seats.asked) > 5, "many looks")
    assert [message["place"] for message in guest.told] == [1]
    again = come(lobby, "ann")
    assert [message["place"] for message in again.told] == [1]
    seats.places["ann"] = Standing(1, 7)
    await wait_for(lambda: len(guest.told) == 2, "the line is longer")
    assert guest.told[1]["waiting"] == again.told[1]["waiting"] == 7


async def test_who_has_left_is_asked_about_no_more(lobby: Lobby, seats: Seats) -> None:
    """The lobby rests when the last one has gone, and wakes for the next."""
    guest = come(lobby, "ann")
    await wait_for(lambda: bool(guest.told), "ann waits")
    lobby.leave(guest)  # type: ignore[arg-type]  # a stand-in
    lobby.leave(guest)  # type: ignore[arg-type]  # twice is once
    await wait_for(lambda: not lobby._tasks, "nobody is asked about")
    asked = len(seats.asked)
    seats.places["bob"] = Standing(0)
    bob = come(lobby, "bob")
    await wait_for(lambda: bob.inside == "bob", "bob is in")
    assert seats.asked[asked:] == [["bob"]]


async def test_one_who_cannot_be_let_in_holds_up_nobody(lobby: Lobby, seats: Seats) -> None:
    """A bug in somebody's entrance costs them the connection, and those behind them nothing."""

    def breaks(subject: str, _since: object) -> None:  # noqa: ARG001  as the one whose place it takes
        raise RuntimeError("a bug")

    seats.places = {"ann": Standing(0), "bob": Standing(0)}
    ann = come(lobby, "ann")
    ann.come_in = breaks  # type: ignore[method-assign]  # what is broken
    bob = come(lobby, "bob")
    await wait_for(lambda: bob.inside == "bob", "bob is in")
    assert ann.refused is not None
    assert len(lobby) == 0


async def test_the_end_of_the_process(lobby: Lobby, seats: Seats) -> None:
    """Nobody is asked about after it, and who is still connected can go."""
    guest = come(lobby, "ann")
    await wait_for(lambda: bool(guest.told), "ann waits")
    await lobby.aclose()
    asked = len(seats.asked)
    lobby.leave(guest)  # type: ignore[arg-type]  # a stand-in
    assert (len(lobby), len(seats.asked)) == (0, asked)


async def test_the_line_is_full(lobby: Lobby, seats: Seats) -> None:
    """Who finds no place is sent away with a time to come back at."""
    seats.places["ann"] = Standing(None, 100_000)
    guest = come(lobby, "ann")
    await wait_for(lambda: guest.closed_with == CLOSE_TOO_MANY_MESSAGES, "ann is sent away")
    assert len(lobby) == 0


async def test_too_many_connections_of_one(lobby: Lobby) -> None:
    """One more than are taken is closed; the others wait on."""
    guests = [come(lobby, "ann") for _ in range(SOCKETS + 1)]
    assert [guest.closed_with for guest in guests] == [None, None, CLOSE_CONNECTION_LIMIT]
    assert len(lobby) == SOCKETS


@pytest.mark.parametrize("failure", [unavailable("The store is away."), RuntimeError("a bug")])
async def test_nobody_can_say(lobby: Lobby, seats: Seats, failure: Exception) -> None:
    """Who waits already waits on while the store is away; who comes is told to come again."""
    ann = come(lobby, "ann")
    await wait_for(lambda: bool(ann.told), "ann waits")
    seats.fails = failure
    bob = come(lobby, "bob")
    await wait_for(lambda: bob.refused is not None, "bob is refused")
    assert not ann.closing
    seats.fails, seats.places["ann"] = None, Standing(0)
    await wait_for(lambda: ann.inside == "ann", "ann is in")


def test_news_far_back_comes_now_and_then() -> None:
    """At the front every change is told; 500 places back five seconds apart; the opening to everybody at once."""
    front, back = Waiter("ann"), Waiter("bob")
    front.told, back.told = Standing(2, 600), Standing(500, 600)
    assert front.is_news(Standing(1, 600), 0.1)
    assert not front.is_news(Standing(2, 600), 100.0)
    assert not back.is_news(Standing(499, 600), 4.9)
    assert back.is_news(Standing(499, 600), 5.0)
    back.told = Standing(500, 600, begun=False)
    assert back.is_news(Standing(500, 600), 0.0)


def test_many_are_asked_about_less_often() -> None:
    """Who waits is asked about once a second, among ten thousand every two seconds; who has just come first."""
    crowd = Crowd(60_000)
    waiters = [Waiter(str(number)) for number in range(10_000)]
    crowd.people = {waiter.subject: waiter for waiter in waiters}
    crowd.again(waiters, 0.0)
    assert crowd.due(1.9) == []
    late = Waiter("late")
    crowd.people["late"] = late
    crowd.arrived.append(late)
    assert crowd.pause(0.0) == 0.0
    assert crowd.due(2.0) == [late, *waiters[: AT_ONCE - 1]]


def test_an_estimate() -> None:
    """Place by turns per second; nothing where turns are rare, or it would take hours."""
    assert estimate(30, 0.5) == 60_000
    assert estimate(1_234, 10.0) == 120_000
    assert estimate(0, 1.0) is None
    assert estimate(1, KNOWN_TURNS * 0.99) is None
    assert estimate(1_000_000, 1.0) is None
    assert estimate(MOST_ESTIMATE_MS // 1000, 1.0) == MOST_ESTIMATE_MS
