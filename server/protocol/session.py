"""One viewer's conversation without its wire: hello comes first, bad messages are counted, floods are refused.

No I/O and no clock of its own: times are seconds of a monotonic clock, given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.errors import CLOSE_MALFORMED, CLOSE_NO_TOKEN, CLOSE_TOO_MANY_MESSAGES, Close, Code, Problem
from server.protocol.codec import Codec, invalid, operation_of
from server.protocol.commands import AnyCommand, Hello
from server.protocol.events import Message, error_message

INVALID_ALLOWED = 5  # the connection is closed with the fifth
FLOOD_ALLOWED = 60  # messages refused, less those let through meanwhile, before the connection is closed


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that led to no command: what to answer, and whether to close after it."""

    answer: Message | None
    close: Close | None = None
    reason: str = ""


class RateLimit:
    """GCRA: `rate` messages per second with bursts of `burst`, in one float of state."""

    __slots__ = ("_due", "_interval", "_tolerance")

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1.0 / rate
        self._tolerance = self._interval * (burst - 1)
        self._due = 0.0

    def wait(self, now: float) -> float:
        """Return 0.0 and count the message, or the seconds until one would be let through, counting nothing."""
        due = max(self._due, now)
        early = due - now - self._tolerance
        if early > 0:
            return early
        self._due = due + self._interval
        return 0.0


class Session:
    """The order of a conversation: `hello`, then commands, within the limits."""

    __slots__ = ("_floods", "_invalid", "_limit", "challenges", "codec", "live")

    def __init__(self, codec: Codec, limit: RateLimit) -> None:
        self.codec = codec
        self.live = False
        self.challenges = 0  # that hello was answered with
        self._limit = limit
        self._invalid = 0
        self._floods = 0

    def wait(self) -> None:
        """Pass from hello to waiting for a seat; the limit is still this socket's own."""
        self.live = True

    def go_live(self, limit: RateLimit) -> None:
        """Pass to commands; from here on all sockets of a viewer share one limit."""
        self.live = True
        self._limit = limit

    def receive(self, data: bytes, *, binary: bool, now: float) -> AnyCommand | Refused:
        """Return the command in a websocket message, or what to answer instead."""
        wait = self._limit.wait(now)
        if wait > 0:
            return self._flooded(data, wait)
        # Paid off one by one: whoever sends more than twice the rate for long is closed, however evenly they send.
        if self._floods:
            self._floods -= 1
        try:
            if binary is not self.codec.binary:
                raise invalid(
                    f"{self.codec.value} takes {'binary' if self.codec.binary else 'text'} messages."
                )
            command = self.codec.decode(data)
        except Problem as problem:
            return self._malformed(data, problem)
        if isinstance(command, Hello) is self.live:
            return self._malformed(data, invalid("hello is the first message, and only the first."))
        return command

    def _malformed(self, data: bytes, problem: Problem) -> Refused:
        if not self.live:
            return Refused(None, CLOSE_NO_TOKEN, f"The first message must be hello. {problem.detail}")
        self._invalid += 1
        answer = error_message(problem, operation_of(data, self.codec))
        if self._invalid >= INVALID_ALLOWED:
            return Refused(answer, CLOSE_MALFORMED, f"{self._invalid} messages were not valid.")
        return Refused(answer)

    def _flooded(self, data: bytes, wait: float) -> Refused:
        self._floods += 1
        problem = Problem(
            Code.RATE_LIMITED,
            f"Too many messages; the next is taken in {wait * 1000:.0f} ms.",
            retry_after_ms=int(wait * 1000) + 1,
        )
        answer = error_message(problem, operation_of(data, self.codec))
        if self._floods >= FLOOD_ALLOWED:
            return Refused(answer, CLOSE_TOO_MANY_MESSAGES, f"{self._floods} messages came too fast.")
        return Refused(answer)
