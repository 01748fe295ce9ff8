"""What is counted for whom, and what who goes beyond it is told; on a clock that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from server import metrics
from server.auth import EVERY_SHOW, Identity, Role, Tokens
from server.errors import Code, Problem, unavailable
from server.limits import limits
from server.limits.limits import STAFF_TIMES, Limits
from server.protocol.codec import Codec
from server.protocol.commands import Ping
from server.protocol.session import RateLimit, Refused, Session
from server.settings import Settings
from tests.server import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.limits.meter import Meter

HERE, THERE = "203.0.113.7", "203.0.113.8"
TOKENS = Tokens(SECRET)
GOOD = TOKENS.mint("ann", Role.VIEWER, ["sh_a"], 3600)[0]


class Clock:
    """A clock that goes on when the test says so, s."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Ear:
    """Stands in for `Telling`: keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[Meter] = []

    def tell(self, meter: Meter) -> None:
        self.heard.append(meter)

    def part_of(self, _who: str) -> str:
        return "limits0"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(limits, "monotonic", one)
    return one


def limits_of(ear: Ear | None = None, **settings: Any) -> Limits:
    """Return limits with these settings."""
    return Limits(Settings(**settings), ear or Ear())  # type: ignore[arg-type]  # a stand-in


def caller(role: Role = Role.VIEWER) -> Identity:
    """Return who calls."""
    return Identity("ann", role, frozenset({EVERY_SHOW}), 0)


def passed(do: Callable[[], Any], tries: int) -> int:
    """Return how many of so many tries are not rate-limited."""
    count = 0
    for _ in range(tries):
        try:
            do()
        except Problem as problem:
            count += problem.code is not Code.RATE_LIMITED
        else:
            count += 1
    return count


def refused(do: Callable[[], Any]) -> Problem:
    """Do what must be refused, and return the refusal."""
    with pytest.raises(Problem) as caught:
        do()
    assert (caught.value.code, caught.value.status) == (Code.RATE_LIMITED, 429)
    return caught.value


@pytest.mark.usefixtures("clock")
def test_in_development_nothing_but_messages_is_limited() -> None:
    """Without settings requests, refused tokens and joins are let through, however many."""
    free = limits_of()
    assert passed(lambda: free.require_caller(caller(), "ann"), 500) == 500
    assert passed(lambda: free.require_address(HERE), 500) == 500
    assert passed(lambda: free.sign_in(TOKENS.verify, "bad", HERE), 500) == 500
    assert sum(free.join("sh_a") for _ in range(500)) == 0
    messages = free.messages("sh_a", "ann")
    assert sum(messages.wait(1.0) == 0 for _ in range(500)) == Settings().message_burst


def test_a_caller_has_a_rate_and_a_burst(clock: Clock) -> None:
    """Five seconds' worth at once, then so many a second; the sentence and the wait have the numbers."""
    some = limits_of(requests_per_second=4)
    assert passed(lambda: some.require_caller(caller(), "ann"), 30) == 20
    problem = refused(lambda: some.require_caller(caller(), "ann"))
    assert problem.detail == "A viewer may send 4 requests per second; the next is taken in 250 ms."
    assert problem.extras == {"retry_after_ms": 250}
    assert passed(lambda: some.require_caller(caller(), "bob"), 30) == 20
    clock.now += 1
    assert passed(lambda: some.require_caller(caller(), "ann"), 30) == 4


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("role", "times"),
    [(Role.VIEWER, 1), (Role.MODERATOR, 1), (Role.HOST, STAFF_TIMES), (Role.SERVICE, STAFF_TIMES)],
)
def test_who_runs_the_show_has_more(role: Role, times: int) -> None:
    """Hosts and services have ten times the requests of a viewer."""
    some = limits_of(requests_per_second=2)
    assert passed(lambda: some.require_caller(caller(role), "name"), 300) == 10 * times


@pytest.mark.usefixtures("clock")
def test_an_address_has_its_own() -> None:
    """All who share an address have one limit, an IPv6 network counts as one, an unknown address is not limited."""
    some = limits_of(requests_per_address=2)
    assert passed(lambda: some.require_address(HERE), 30) == 10
    assert passed(lambda: some.require_address(THERE), 30) == 10
    assert passed(lambda: some.require_address("2001:db8::1"), 6) == 6
    assert passed(lambda: some.require_address("2001:db8::2"), 6) == 4
    assert passed(lambda: some.require_address(""), 100) == 100
    detail = refused(lambda: some.require_address("2001:db8::3")).detail
    assert detail == ("2 requests per second are taken from 2001:db8::/64; the next is taken in 500 ms.")


def test_after_too_many_bad_tokens_none_is_looked_at(clock: Clock) -> None:
    """Six a minute: the seventh is refused before anybody looks at it, a good one too, until its time has come."""
    looked: list[str] = []

    def verify(token: str) -> Identity:
        looked.append(token)
        return TOKENS.verify(token)

    some = limits_of(failed_sign_ins=6)
    for _ in range(6):
        with pytest.raises(Problem) as caught:
            some.sign_in(verify, "bad", HERE)
        assert caught.value.code is Code.UNAUTHENTICATED
    problem = refused(lambda: some.sign_in(verify, GOOD, HERE))
    assert problem.detail == (f"Too many tokens from {HERE} were not valid; the next is taken in 10000 ms.")
    assert problem.extras == {"retry_after_ms": 10_000}
    assert looked == ["bad"] * 6
    assert some.sign_in(verify, GOOD, THERE).subject == "ann"
    clock.now += 10
    assert some.sign_in(verify, GOOD, HERE).subject == "ann"
    assert looked == ["bad"] * 6 + [GOOD] * 2


@pytest.mark.usefixtures("clock")
def test_good_tokens_are_not_counted() -> None:
    """Who comes with a good token a thousand times has failed never; nobody is remembered for it."""
    some = limits_of(ear := Ear(), failed_sign_ins=1)
    assert passed(lambda: some.sign_in(TOKENS.verify, GOOD, HERE), 1000) == 1000
    assert ear.heard == []
    assert some._failures is not None
    assert len(some._failures) == 0


@pytest.mark.usefixtures("clock")
def test_a_key_that_is_looked_for_is_nobodys_failure() -> None:
    """`unavailable` says nothing about a token: whoever hears it may come again as often as needed."""

    def looked_for(_token: str) -> NoReturn:
        raise unavailable("The key is being looked for.")

    some = limits_of(failed_sign_ins=1)
    for _ in range(20):
        with pytest.raises(Problem) as caught:
            some.sign_in(looked_for, GOOD, HERE)
        assert caught.value.code is Code.UNAVAILABLE


@pytest.mark.usefixtures("clock")
def test_every_bad_token_is_told() -> None:
    """Whoever guesses does not find as many tries at each process: failures are told from the first on."""
    some = limits_of(ear := Ear(), failed_sign_ins=5)
    assert passed(lambda: some.sign_in(TOKENS.verify, "bad", HERE), 9) == 5
    assert [meter.who for meter in ear.heard] == [HERE] * 5


@pytest.mark.usefixtures("clock")
def test_a_show_takes_so_many_a_second() -> None:
    """Joins are counted per show, on the show's own node."""
    some = limits_of(ear := Ear(), joins_per_second=8)
    waits = [some.join("sh_a") for _ in range(9)]
    assert waits == pytest.approx([0.0] * 8 + [0.125], abs=1e-5)
    assert some.join("sh_b") == 0
    assert {(meter.part, meter.who) for meter in ear.heard} == {("sh_a", "sh_a")}


@pytest.mark.usefixtures("clock")
def test_a_viewer_who_says_little_costs_no_message() -> None:
    """A quarter of the burst is told to nobody; what goes beyond it is told on the show's own node."""
    some = limits_of(ear := Ear(), messages_per_second=16, message_burst=64)
    messages = some.messages("sh_a", "ann")
    assert sum(messages.wait(5.0) == 0 for _ in range(16)) == 16
    assert ear.heard == []
    assert sum(messages.wait(5.0) == 0 for _ in range(50)) == 48
    assert [meter.part for meter in ear.heard] == ["sh_a"] * 48


def test_a_viewer_hears_that_their_messages_are_used_up_elsewhere() -> None:
    """A message beyond what all processes let through is refused as one that comes too fast; later ones are taken."""
    messages = limits_of().messages("sh_a", "ann")
    session = Session(Codec.JSON, RateLimit(1, 1))
    session.go_live(messages)
    messages.hear(2.5, now=10.0)
    refused = session.receive(b'{"type":"ping"}', binary=False, now=10.0)
    assert isinstance(refused, Refused)
    assert refused.answer is not None
    assert (refused.answer["code"], refused.answer["retry_after_ms"]) == ("rate-limited", 2501)
    assert isinstance(session.receive(b'{"type":"ping"}', binary=False, now=12.5), Ping)


@pytest.mark.usefixtures("clock")
def test_refusals_are_counted_by_their_limit() -> None:
    """Each refusal is in the figures, under the name of its limit."""
    before = dict(metrics.LIMITED._counts)
    some = limits_of(requests_per_second=1, requests_per_address=1, failed_sign_ins=1, joins_per_second=1)
    passed(lambda: some.require_caller(caller(), "ann"), 7)
    passed(lambda: some.require_address(HERE), 8)
    passed(lambda: some.sign_in(TOKENS.verify, "bad", HERE), 4)
    for _ in range(5):
        some.join("sh_a")
    grown = {name: count - before.get(name, 0) for name, count in metrics.LIMITED._counts.items()}
    assert grown == {("requests",): 2, ("addresses",): 3, ("sign-ins",): 3, ("joins",): 4}
