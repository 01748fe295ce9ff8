"""The parts that need neither server nor network: moments to return, the server's clock, lines and their bounds."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.http11 import Response

from server.client import ClosedError, LiveDrop, LiveDropError, operations, outbox, unread
from server.client.backoff import Backoff
from server.client.outbox import Outbox
from server.client.server_clock import ServerClock
from server.client.wire import refusal
from tests.client.told import Told, holes
from tests.client.wires import URL, Exchange, FakeWire, event, friendly, welcome
from tests.waiting import wait_for

Message = dict[str, Any]
CROWD = 100


def chance(seed: int) -> random.Random:
    """Return the chance of one client."""
    return random.Random(seed)  # noqa: S311  moments, no secrets


def bunched(waits: list[float]) -> int:
    """Return how many return in the fullest tenth of the time over which they do."""
    return Counter(int(10 * wait / (max(waits) + 1e-9)) for wait in waits).most_common(1)[0][1]


def crowd(chances: list[random.Random], attempts: int) -> list[float]:
    """Return after how long each of a crowd comes back, having failed so often."""
    waits = []
    for chance in chances:
        backoff = Backoff(chance.random)
        waits.append([backoff.wait(ClosedError(1006, "")) for _ in range(attempts)][-1])
    return waits


@pytest.mark.parametrize(("attempts", "limit"), [(1, 0.5), (2, 1.0), (5, 8.0), (7, 20.0), (60, 20.0)])
def test_a_crowd_returns_spread_out(attempts: int, limit: float) -> None:
    """A hundred who were cut off together return over the whole time, however often they have failed."""
    waits = crowd([chance(number) for number in range(CROWD)], attempts)
    assert limit * 0.9 < max(waits) < limit
    assert min(waits) < limit * 0.1
    assert bunched(waits) <= CROWD // 4


def test_a_crowd_with_one_mind_is_found_out() -> None:
    """Negative control: without chance all hundred return at once."""
    assert bunched(crowd([chance(1) for _ in range(CROWD)], 5)) == CROWD


def test_the_servers_word_comes_first() -> None:
    """A leaving server's moment is kept to the letter once; to anything else that it asks for our own is added.

    A steady connection ends the series.
    """

    def told(code: int, retry_after_ms: int) -> ClosedError:
        return ClosedError(code, f'{{"retry_after_ms":{retry_after_ms}}}')

    backoff = Backoff(lambda: 0.5)
    assert [backoff.wait(told(3001, 700)), backoff.wait(told(3001, 9_000))] == [0.7, 9.5]
    assert backoff.wait(ClosedError(1006, "gone")) == 1.0
    backoff.steady()
    assert backoff.wait(told(3010, 1_000)) == 1.25
    backoff.steady()
    assert backoff.wait(told(3005, 0)) == 0.25


async def test_a_hundred_clients_cut_off_together_return_spread_out() -> None:
    """The clients themselves: each waits for a moment of its own, and a moment that the server deals out is kept."""

    def play(wire: FakeWire, message: Message) -> None:
        friendly(wire, message)
        wire.close(*(3001, f'{{"retry_after_ms":{len(exchange.hellos) * 1000}}}') if dealt else (1006,))

    for dealt in (False, True):
        exchange = Exchange(play)
        clients = [
            LiveDrop(URL, "sh_a", "token", chance=chance(number).random, dial=exchange.dial)
            for number in range(CROWD)
        ]
        waits = [await first_wait(live) for live in clients]
        if dealt:
            assert waits == list(range(1, CROWD + 1))
        else:
            assert bunched(waits) <= CROWD // 4
            assert max(waits) < 0.5


async def first_wait(live: LiveDrop) -> float:
    """Return how long a client means to wait after its first break."""
    told = Told(live)
    async with live:
        await wait_for(lambda: "waiting" in told.states, "a break")
    return next(each.retry_in for each in told.connections if each.state == "waiting")


@given(
    st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), min_size=1, max_size=20), st.integers(0, 10**13)
)
def test_the_clock_is_right_to_its_uncertainty(trips: list[tuple[float, float]], start: int) -> None:
    """Whatever the ways there and back take: the server's time is within what the client says it may be off."""
    local = 0.0
    clock = ServerClock(lambda: local, lambda: 0)
    for there, back in trips:
        asked_at = local
        local += there
        server_time_at = int(start + local)
        local += back
        clock.heard(server_time_at, asked_at)
        assert abs(clock.now() - (start + local)) <= clock.uncertainty_ms + 1


def test_the_quickest_of_the_last_trips_counts() -> None:
    """One quick round trip among slow ones decides; a clock that has jumped is believed at once."""
    local = 0.0
    clock = ServerClock(lambda: local, lambda: 77)
    assert (clock.now(), clock.uncertainty_ms) == (77, float("inf"))
    for there, back in ((200, 0), (1, 1), (0, 300)):
        asked_at, local = local, local + there + back
        clock.heard(int(5_000 + asked_at + there), asked_at)
    assert clock.now() == round(5_000 + local + 0.5)
    clock.heard(1_000_000, local)
    assert clock.now() == round(1_000_000.5)


async def test_what_is_said_keeps_the_servers_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst goes out at once and the rest evenly; asked to slow down, there is silence, then no burst any more."""
    monkeypatch.setattr(outbox, "RATE", 50.0)
    monkeypatch.setattr(outbox, "BURST", 5)
    loop, box = asyncio.get_running_loop(), Outbox()
    box.put({"type": "lost"})
    box.open()

    async def spoken(count: int) -> list[float]:
        began = loop.time()
        for number in range(count):
            box.put({"number": number})
        moments = []
        for number in range(count):
            assert await box.next() == {"number": number}
            moments.append(loop.time() - began)
        return moments

    moments = await spoken(10)
    assert moments[4] < 0.1 <= moments[9]
    box.slow_down(0.2)
    moments = await spoken(4)
    assert moments[0] >= 0.2
    assert moments[3] - moments[0] >= 0.055


async def test_a_rate_limited_command_is_repeated_when_the_server_says() -> None:
    """`rate-limited`, `unavailable` and `in-progress` are no answers: the same id is sent again."""
    codes = iter(["rate-limited", "unavailable", "in-progress"])
    asked: list[Message] = []

    def play(wire: FakeWire, message: Message) -> None:
        friendly(wire, message)
        if message["type"] == "release":
            asked.append(message)
            code = next(codes, None)
            refused = {
                "type": "error",
                "id": message["id"],
                "code": code,
                "message": "",
                "retry_after_ms": 10,
            }
            given = {"type": "reservation", "id": message["id"], "reservation": {"state": "released"}}
            wire.say(refused if code else given)

    async with LiveDrop(URL, "sh_a", "token", dial=Exchange(play).dial) as live:
        assert await live.release("rs_a_b") == {"state": "released"}
    assert len(asked) == 4
    assert len({message["id"] for message in asked}) == 1


async def test_what_was_given_up_before_it_was_said_is_not_said() -> None:
    """Asked to be silent, the client keeps what is asked meanwhile in line; given up there, it never leaves."""
    asked: list[str] = []

    def play(wire: FakeWire, message: Message) -> None:
        friendly(wire, message)
        if message["type"] == "waitlist.leave":
            asked.append(message["drop"])
            busy = {"type": "error", "id": message["id"], "code": "rate-limited", "retry_after_ms": 200}
            wire.say(busy if len(asked) == 1 else {**message, "type": "waitlist", "position": 0})

    async with LiveDrop(URL, "sh_a", "token", dial=Exchange(play).dial) as live:
        first = asyncio.create_task(live.leave("dr_a_a"))
        await wait_for(lambda: asked == ["dr_a_a"], "the first is asked")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(LiveDropError, match="No answer came"):
            await live.leave("dr_a_b", within=0.05)
        assert await first == {"drop": "dr_a_a", "position": 0}
        await live.leave("dr_a_c")
    assert asked == ["dr_a_a", "dr_a_a", "dr_a_c"]


async def test_operations_and_reactions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One operation too many is refused at once and leaves the others; reactions too many are dropped."""
    monkeypatch.setattr(operations, "MOST", 3)
    monkeypatch.setattr(outbox, "MOST_UNIMPORTANT", 3)
    async with LiveDrop(URL, "sh_a", "token", dial=Exchange(friendly).dial) as live:
        asking = [asyncio.create_task(live.reserve("dr_a_b", within=0.2)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(LiveDropError) as refused:
            await live.reserve("dr_a_b")
        assert refused.value.code == "rate-limited"
        assert not await live.react("heart"), "the three are still in line"
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert [str(answer) for answer in answers] == ["unavailable: No answer came within 0.2 s."] * 3
        assert await live.react("heart")
        same = asyncio.create_task(live.reserve("dr_a_b", operation="same", within=0.2))
        await asyncio.sleep(0)
        with pytest.raises(LiveDropError, match="in-progress: It waits for its answer already"):
            await live.reserve("dr_a_b", operation="same")
        await asyncio.gather(same, return_exceptions=True)


async def test_who_reads_too_slowly_starts_over() -> None:
    """More unread than allowed: all are dropped, nothing happens until somebody reads, and then a snapshot comes."""

    def play(wire: FakeWire, message: Message) -> None:
        if message["type"] == "hello":
            wire.say(welcome(10 * len(exchange.hellos)))
            some = 8 if len(exchange.hellos) == 1 else 3
            wire.say(*(event(10 * len(exchange.hellos) + number) for number in range(1, some + 1)))

    exchange = Exchange(play)
    live = LiveDrop(URL, "sh_a", "token", unread=5, chance=lambda: 0.0, dial=exchange.dial)
    told = Told(live)
    async with live:
        await wait_for(lambda: told.offset == 18, "all are told, and none is read")
        assert len(live._unread._messages) <= 5
        assert len(exchange.hellos) == 1
        assert "since" not in exchange.hellos[0]
        read = [await anext(aiter(live)) for _ in range(4)]
        assert [message["offset"] for message in read] == [20, 21, 22, 23]
        assert "since" not in exchange.hellos[1]
    assert holes(told.messages) == []


async def test_of_live_numbers_only_the_newest_waits() -> None:
    """A number that nobody has read yet is replaced by a newer one of its kind, drop by drop; events never are."""
    messages = unread.Unread(100, lambda: None)
    for number in range(1000):
        messages.put({"type": "stock.updated", "drop_id": f"dr_{number % 2}", "revision": number})
        messages.put({"type": "viewers.updated", "count": number})
    messages.put(event(1))
    messages.end(None)
    read = [message async for message in messages]
    assert [message.get("revision", message.get("count")) for message in read] == [998, 999, 999, None]


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "retry_after_ms"),
    [
        (404, {}, b'{"code":"not-found","detail":"no show"}', 3507, None),
        (403, {}, b'{"code":"not-allowed","detail":"no"}', 3507, None),
        (400, {}, b'{"code":"invalid-message","detail":"no"}', 3501, None),
        (503, {"Retry-After": "9"}, b'{"code":"unavailable","retry_after_ms":500}', 1006, 500),
        (429, {"Retry-After": "3"}, b"", 1006, 3000),
        (404, {}, b"<html>", 1006, None),
        (502, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, b"[]", 1006, None),
    ],
)
def test_a_refused_handshake(
    status: int, headers: dict[str, str], body: bytes, code: int, retry_after_ms: int | None
) -> None:
    """Final is only what this server itself says for good; everything else is tried again when it is asked for."""
    closed = refusal(Response(status, "", Headers(headers), body))
    assert (closed.code, closed.retry_after_ms) == (code, retry_after_ms)
    assert closed.final is (code > 3500)
