"""What each of the published test tokens plays, with a card to the letter.

By a method that needs its buyer, what a token would have authorized at once waits for them first; the rest of its play,
a refusal, a slow or a lost answer, is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from server.payments.bank.ways import answers_at_once
from server.payments.provider import Status

SLOW_MS = 10_000


@dataclass(frozen=True, slots=True)
class Play:
    """What becomes of a payment with one token, and what goes wrong on the way."""

    status: Status = Status.AUTHORIZED  # once it is decided
    reason: str = ""
    thinks_ms: int = 0  # until it is decided; who asks meanwhile waits
    first_answer_lost: bool = False  # the first authorization is done, and nobody hears of it
    first_capture_fails: bool = False  # the first capture is not done
    # After how many ms the first, second … change is told, each so many times; the last entry is for all that follow.
    tells: tuple[tuple[int, ...], ...] = ((0,),)


UNKNOWN = Play(Status.DECLINED, "The sandbox does not know this token.")
PLAYS: dict[str, Play] = {
    "tok_ok": Play(),
    "tok_declined": Play(Status.DECLINED, "The card was declined."),
    "tok_insufficient_funds": Play(Status.DECLINED, "The card has insufficient funds."),
    "tok_timeout_then_ok": Play(first_answer_lost=True),
    "tok_requires_action": Play(Status.REQUIRES_ACTION),
    "tok_slow_10s": Play(thinks_ms=SLOW_MS),
    "tok_capture_fails_once": Play(first_capture_fails=True),
    # The first change is told twice and late, so that the next one overtakes it.
    "tok_duplicate_webhook": Play(tells=((800, 1200), (100, 500))),
}


def play_of(token: str, method: str) -> Play:
    """Return what a token plays with a method; one that nobody published is declined."""
    play = PLAYS.get(token, UNKNOWN)
    if play.status is not Status.AUTHORIZED or answers_at_once(method):
        return play
    return replace(play, status=Status.REQUIRES_ACTION)
