"""One conversation without a wire: hello first, five bad messages, floods, and the arithmetic of the rate limit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from server.errors import Close
from server.protocol.codec import Codec
from server.protocol.commands import AnyCommand, Hello, Ping
from server.protocol.session import FLOOD_ALLOWED, RateLimit, Refused, Session

RATE, BURST = 20.0, 60
PING = Codec.JSON.encode({"type": "ping", "id": "p"})
HELLO = Codec.JSON.encode({"type": "hello", "token": "t"})


def session(*, live: bool = True) -> Session:
    """Return a JSON session, past hello unless told otherwise."""
    made = Session(Codec.JSON, RateLimit(RATE, BURST))
    if live:
        assert isinstance(made.receive(HELLO, binary=False, now=0.0), Hello)
        made.go_live(RateLimit(RATE, BURST))
    return made


def say(to: Session, data: bytes = PING, now: float = 0.0) -> AnyCommand | Refused:
    """Say something."""
    return to.receive(data, binary=False, now=now)


def refused(result: AnyCommand | Refused) -> Refused:
    """Assert that it was refused."""
    assert isinstance(result, Refused)
    return result


@pytest.mark.parametrize("data", [PING, b"", b"{", b"[]", b'{"type":"hello"}'])
def test_before_hello_everything_else_ends_it(data: bytes) -> None:
    """3500, without an answer."""
    result = refused(say(session(live=False), data))
    assert (result.close, result.answer) == (3500, None)
    assert result.reason.startswith("The first message must be hello.")


def test_the_wrong_kind_of_frame_is_refused() -> None:
    """A binary frame on JSON is an invalid message, however good its content is."""
    result = refused(session().receive(PING, binary=True, now=0.0))
    assert result.answer is not None
    assert (result.answer["code"], result.answer["id"]) == ("invalid-message", "p")
    assert result.close is None


def test_the_fifth_invalid_message_ends_it() -> None:
    """Good ones in between do not wash the bad ones off."""
    one = session()
    for count in range(1, 6):
        result = refused(say(one, b"nonsense"))
        assert result.answer is not None
        assert result.close == (Close(3501) if count == 5 else None)
        assert isinstance(say(one), Ping)
    assert result.reason == "5 messages were not valid."


def test_a_burst_passes_and_the_next_waits() -> None:
    """Sixty at once, then one every 50 ms; the answer says how long it takes."""
    one = session()
    assert all(isinstance(say(one), Ping) for _ in range(BURST))
    answer = refused(say(one)).answer
    assert answer is not None
    assert (answer["code"], answer["id"]) == ("rate-limited", "p")
    assert answer["message"] == "Too many messages; the next is taken in 50 ms."
    assert 50 <= answer["retry_after_ms"] <= 51
    assert isinstance(say(one, now=0.051), Ping)


@pytest.mark.parametrize("per_second", [50, 100, 500, 1_000, 10_000])
def test_a_flood_ends_it_however_evenly_it_comes(per_second: int) -> None:
    """Who keeps sending more than twice what is allowed is closed with 3013, fast floods sooner than slow ones."""
    one = session()
    for number in range(10 * per_second):
        result = say(one, now=number / per_second)
        if isinstance(result, Refused) and result.close is not None:
            assert (result.close, result.close.reconnects) == (3013, True)
            assert result.answer is not None
            assert result.answer["code"] == "rate-limited"
            assert number >= BURST + FLOOD_ALLOWED - 1
            return
    pytest.fail(f"{per_second} messages per second were endured for ten seconds")


def test_a_little_too_fast_is_slowed_down_not_closed() -> None:
    """Thirty a second for a minute: the surplus is refused, the connection stays."""
    one = session()
    results = [say(one, now=number / 30) for number in range(30 * 60)]
    closed = [each for each in results if isinstance(each, Refused) and each.close is not None]
    assert closed == []
    assert sum(isinstance(each, Ping) for each in results) <= BURST + RATE * 60 + 1


@given(
    gaps=some.lists(some.floats(0, 2, allow_nan=False), min_size=1, max_size=300),
    rate=some.integers(1, 100),
    burst=some.integers(1, 100),
)
@settings(deadline=None)
def test_the_rate_limit_keeps_its_promise(gaps: list[float], rate: int, burst: int) -> None:
    """In every window of t seconds at most burst + rate·t messages pass; whoever waits as told gets through."""
    limit, now, passed = RateLimit(rate, burst), 0.0, []
    for gap in gaps:
        now += gap
        wait = limit.wait(now)
        assert wait >= 0
        if wait == 0:
            passed.append(now)
        else:
            assert wait <= 1 / rate + 1e-9
            now += wait + 1e-9
            assert limit.wait(now) == 0
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - start) + 1e-3


def test_all_sockets_of_a_viewer_share_one_limit() -> None:
    """Two connections that went live with the same limit have one burst between them."""
    shared = RateLimit(RATE, BURST)
    both = [session(live=False) for _ in range(2)]
    for one in both:
        say(one, HELLO)
        one.go_live(shared)
    results = [say(both[number % 2]) for number in range(BURST + 2)]
    assert sum(isinstance(each, Ping) for each in results) == BURST
