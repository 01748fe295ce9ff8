"""What is limited, by which setting, and what is said to who goes beyond it.

| limit | counts | per |
|---|---|---|
| messages | messages of the live socket | viewer and show, over all sockets and processes |
| requests | HTTP requests | role, subject and shows of the token; hosts and services have 10 times as many |
| addresses | HTTP requests with a token | network address (IPv6: per /64), but for those that settle what is held |
| sign-ins | tokens that were refused | network address; once they are used up no token from there is looked at |
| joins | viewers who say hello | show |

Each is shared by all processes as `meter` says. An address that is not known is not limited.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, TypeVar

from server import ids, metrics
from server.auth import Role
from server.clock import monotonic
from server.errors import Code, Problem
from server.limits.meter import Limit, Meter, Meters

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.auth import Identity
    from server.limits.telling import Telling
    from server.settings import Settings

BURST_SECONDS = 5  # of requests and joins at the rate may come at once
FAILURE_SECONDS = 60  # the time that failed sign-ins are given for
STAFF = frozenset({Role.HOST, Role.SERVICE})
STAFF_TIMES = 10  # as many requests as others
MOST_NAMES = 20_000  # callers and addresses that are remembered of one limit
MOST_SHOWS = 1_000

T = TypeVar("T")


class Limits:
    """The limits of one process; those whose setting is 0 let everything through."""

    def __init__(self, settings: Settings, telling: Telling) -> None:
        requests, addresses = settings.requests_per_second, settings.requests_per_address
        failures, joins = settings.failed_sign_ins, settings.joins_per_second
        self._telling = telling
        self._messages = Limit("messages", settings.messages_per_second, settings.message_burst)
        self._callers = self._meters("requests", requests, requests * BURST_SECONDS)
        self._staff = self._meters("requests", requests * STAFF_TIMES, requests * STAFF_TIMES * BURST_SECONDS)
        self._addresses = self._meters("addresses", addresses, addresses * BURST_SECONDS)
        # Told of one by one: whoever guesses must not find as many tries at each process.
        self._failures = self._meters("sign-ins", failures / FAILURE_SECONDS, failures, share=0)
        self._joins = self._meters("joins", joins, joins, by_show=True)

    def messages(self, show: str, subject: str) -> Meter:
        """Return the meter of a viewer's messages in a show."""
        return Meter(self._messages, show, subject, self._telling.tell)

    def join(self, show: str) -> float:
        """Return 0.0 and count a viewer into a show, or the seconds until one may come."""
        if self._joins is None:
            return 0.0
        wait = self._joins.of(show).wait(monotonic())
        if wait:
            metrics.LIMITED.count("joins")
        return wait

    def require_caller(self, identity: Identity, name: str) -> None:
        """Count a request of a caller, by the name that is only theirs. Raises `rate-limited`."""
        meters = self._staff if identity.role in STAFF else self._callers
        _require(meters, name, f"A {identity.role} may send {{rate:g}} requests per second")

    def require_address(self, address: str) -> None:
        """Count a request from an address. Raises `rate-limited`."""
        if self._addresses is not None and address:
            household = ids.household_of(address)
            _require(self._addresses, household, f"{{rate:g}} requests per second are taken from {household}")

    def sign_in(self, verify: Callable[[str], T], token: str, address: str) -> T:
        """Return what `verify` makes of a token; a token that it refuses counts against the address.

        Raises what `verify` raises, and `rate-limited` without a look at the token where too many were refused.
        """
        if self._failures is None or not address:
            return verify(token)
        household = ids.household_of(address)
        meter = self._failures.known(household)
        wait = meter.left(monotonic()) if meter is not None else 0.0
        if wait:
            raise _refused(self._failures.limit, wait, f"Too many tokens from {household} were not valid")
        try:
            return verify(token)
        except Problem as problem:
            if problem.code is Code.UNAUTHENTICATED:  # not where the token's key is still being looked for
                self._failures.of(household).wait(monotonic())
            raise

    async def aclose(self) -> None:
        """Tell the store nothing more."""
        await self._telling.aclose()

    def _meters(
        self, name: str, rate: float, burst: int, *, share: float | None = None, by_show: bool = False
    ) -> Meters | None:
        if not rate:
            return None
        limit = Limit(name, rate, burst) if share is None else Limit(name, rate, burst, share)
        if by_show:
            return Meters(limit, lambda limit, show: self._make(limit, show, show), MOST_SHOWS)
        return Meters(
            limit, lambda limit, who: self._make(limit, self._telling.part_of(who), who), MOST_NAMES
        )

    def _make(self, limit: Limit, part: str, who: str) -> Meter:
        return Meter(limit, part, who, self._telling.tell)


def _require(meters: Meters | None, who: str, sentence: str) -> None:
    if meters is None:
        return
    wait = meters.of(who).wait(monotonic())
    if wait:
        raise _refused(meters.limit, wait, sentence.format(rate=meters.limit.rate))


def _refused(limit: Limit, wait: float, sentence: str) -> Problem:
    metrics.LIMITED.count(limit.name)
    wait_ms = ceil(wait * 1000)
    return Problem(
        Code.RATE_LIMITED, f"{sentence}; the next is taken in {wait_ms} ms.", retry_after_ms=wait_ms
    )
