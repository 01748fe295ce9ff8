"""A simulated viewer in front of a full show, or of a server that asks for work: held up, and no failure."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from loadtests import summary
from loadtests.audience import presence
from loadtests.audience.measures import HELLO, WAITED
from loadtests.audience.venue import Venue
from loadtests.audience.viewers import Lurker
from loadtests.report.page import page
from server.challenge import is_work
from server.client.wire import framed, message_in
from server.protocol.codec import Codec
from tests.loadtests.audience.scripted import PLAN
from tests.loadtests.report import made
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from loadtests.seen import Seen

Message = dict[str, Any]
WELCOME = {"type": "welcome", "epoch": "e", "offset": 4, "recovered": False, "snapshot": {"drops": []}}
BITS = 12
CHALLENGE = {"type": "challenge", "nonce": "n", "bits": BITS, "answer_by_at": 0, "expires_at": 2**50}


def in_line(place: int) -> Message:
    """Return a place in the waiting room."""
    return {"type": "waiting", "status": "in_line", "place": place, "waiting": 9, "keep_ms": 60_000}


class Far:
    """The server's end of one connection."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.hellos: list[Message] = []

    async def hello(self) -> Message:
        """Return the next message, a hello."""
        self.hellos.append(message_in(await self.socket.recv()))
        return self.hellos[-1]

    async def say(self, *messages: Message) -> None:
        """Say these."""
        for message in messages:
            await self.socket.send(framed(Codec.MSGPACK, message))


@asynccontextmanager
async def viewer_of(play: Callable[[Far], Awaitable[None]]) -> AsyncIterator[tuple[Lurker, list[Far]]]:
    """Give a viewer whose server does what `play` does with each connection, and those connections."""
    ends: list[Far] = []

    async def handle(socket: ServerConnection) -> None:
        ends.append(Far(socket))
        try:
            await play(ends[-1])
            await socket.wait_closed()
        except ConnectionClosed:
            pass

    async with serve(
        handle, "127.0.0.1", 0, subprotocols=[Subprotocol(Codec.MSGPACK.value)], compression=None
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        venue = Venue(f"http://127.0.0.1:{port}", "sh_x", replace(PLAN, viewers=1), "token", time.time())
        viewer = Lurker(venue, 0)
        viewer.token = "a token"
        yield viewer, ends
        viewer.end()
        venue.close()


def measured(viewer: Lurker) -> Seen:
    """Return what was measured."""
    return viewer.venue.measures.seen(1, viewer.venue.clock)


async def test_who_waits_gets_in_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait has no limit of its own, counts as a wait and not as the server's slowness, and breaks no promise."""
    monkeypatch.setattr(presence, "WELCOME_SECONDS", 30.0)
    seat = asyncio.Event()

    async def play(far: Far) -> None:
        await far.hello()
        await far.say(in_line(2), in_line(1))
        await seat.wait()
        await far.say(WELCOME)

    async with viewer_of(play) as (viewer, ends):
        coming = asyncio.create_task(viewer.come())
        await wait_for(lambda: viewer.venue.measures.messages == 2, "both places are heard")
        assert viewer._patience is not None
        assert viewer._patience.when() is None, "nothing but the server ends the wait"
        assert not coming.done()
        seat.set()
        assert await coming
        assert viewer.here
        assert viewer.account.breaches == []
        assert len(ends) == 1
        seen = measured(viewer)
    assert seen.failures == []
    assert seen.latencies[WAITED].count == 1
    assert seen.latencies[HELLO].count == 1


async def test_who_hears_nothing_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without a word of the waiting room a silent server is a failure."""
    monkeypatch.setattr(presence, "WELCOME_SECONDS", 0.05)
    monkeypatch.setattr(presence, "GIVE_UP_SECONDS", 0.0)

    async def play(far: Far) -> None:
        await far.hello()

    async with viewer_of(play) as (viewer, _):
        assert not await viewer.come()
        assert [failure.name for failure in measured(viewer).failures] == [HELLO]


async def test_who_still_waits_at_the_end_has_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the run ends the wait: it is counted, and is no failure of the server."""
    monkeypatch.setattr(presence, "ENOUGH_SECONDS", 0.0)

    async def play(far: Far) -> None:
        await far.hello()
        await far.say(in_line(7))

    async with viewer_of(play) as (viewer, _):
        viewer.begin(_come(viewer))
        await wait_for(lambda: viewer.venue.measures.messages == 1, "the place is heard")
        assert not viewer.busy, "the run need not go on for them"
        viewer.end()
        seen = measured(viewer)
    assert seen.failures == []
    assert seen.latencies[WAITED].count == 1
    assert not viewer.account.connected


async def _come(viewer: Lurker) -> None:
    await viewer.come()


async def test_a_break_in_line_is_one_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is cut off in line comes back as the same viewer, also later than anybody else would."""
    monkeypatch.setattr(presence, "GIVE_UP_SECONDS", 0.0)
    monkeypatch.setattr(presence, "BACKOFF_SECONDS", (0.0, 0.0))

    async def play(far: Far) -> None:
        await far.hello()
        await far.say(in_line(1))
        if len(ends) == 1:
            monkeypatch.setattr(presence, "GIVE_UP_SECONDS", 60.0)
            await far.socket.close(3010, '{"retry_after_ms":0}')
        else:
            await far.say(WELCOME)

    async with viewer_of(play) as (viewer, ends):
        assert await viewer.come()
        seen = measured(viewer)
    assert [far.hellos[0]["token"] for far in ends] == ["a token", "a token"]
    assert (seen.latencies[WAITED].count, seen.failures) == (1, [])


async def test_the_work_is_done() -> None:
    """A challenge is answered by a hello with a proof that holds; the next connection brings it at once."""

    async def play(far: Far) -> None:
        hello = await far.hello()
        if "proof" not in hello:
            await far.say(CHALLENGE)
            await far.hello()
        await far.say(WELCOME)

    async with viewer_of(play) as (viewer, ends):
        assert await viewer.come()
        viewer.cut()
        assert await viewer.come()
        assert measured(viewer).failures == []
    first, again = ends
    proof = first.hellos[1]["proof"]
    assert is_work(proof["nonce"], proof["answer"], BITS)
    assert [hello.get("proof") for hello in again.hellos] == [proof]


async def test_too_much_work_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody could do in time ends as any other hello without an answer."""
    monkeypatch.setattr(presence, "WORK_SECONDS", 0.0)
    monkeypatch.setattr(presence, "GIVE_UP_SECONDS", 0.0)

    async def play(far: Far) -> None:
        await far.hello()
        await far.say({**CHALLENGE, "bits": 27})

    async with viewer_of(play) as (viewer, ends):
        assert not await viewer.come()
        assert [failure.name for failure in measured(viewer).failures] == [HELLO]
    assert [len(far.hellos) for far in ends] == [1]


@pytest.mark.parametrize(("waits", "said"), [((), False), ((2.0, 7.2), True)], ids=["nobody", "two"])
def test_the_report_says_who_waited(*, waits: tuple[float, ...], said: bool) -> None:
    """How many and how long at most: in the terminal's sentence and on the page, where anybody waited at all."""
    run = made.run()
    if waits:
        run.latencies[WAITED] = made.spread(*waits)
    for text in (summary.sentence(run), page(run)):
        assert ("Waited in the room: 2, longest 7.2 s." in text) is said
        assert ("Waited in the room" in text) is said
