"""When a message is tried again, and what a receiver's Retry-After means."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from server.webhooks.schedule import HOUR, LONGEST_WISH_MS, MINUTE, SECOND, WAITS_MS, next_try, wish

NOW = 1_800_000_000_000
STANDARD = [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]


def test_the_waits_are_the_standards() -> None:
    """0 s, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: then no more."""
    assert [wait // SECOND for wait in WAITS_MS] == STANDARD
    assert next_try("or_1 paid", 10, NOW) is None


@pytest.mark.parametrize("tries", range(1, 10))
def test_a_try_comes_at_its_time_and_a_little_later(tries: int) -> None:
    """Never before the wait is over, at most a tenth of it after; each message has its own moment, and keeps it."""
    planned = [next_try(f"or_{number}", tries, NOW) for number in range(200)]
    waits = [at - NOW for at in planned if at is not None]
    wait = STANDARD[tries] * SECOND
    assert wait <= min(waits) < wait * 1.02
    assert wait * 1.08 < max(waits) <= wait * 1.1
    assert planned == [next_try(f"or_{number}", tries, NOW) for number in range(200)]


def test_a_wish_is_not_undercut() -> None:
    """What the receiver asked for counts where it is longer than the plan, and where it is shorter the plan does."""
    assert next_try("or_1", 1, NOW, wish_ms=HOUR) == NOW + HOUR
    assert next_try("or_1", 2, NOW, wish_ms=SECOND) == next_try("or_1", 2, NOW)


@pytest.mark.parametrize(
    ("status", "header", "expected"),
    [
        (429, "120", 2 * MINUTE),
        (503, " 1 ", SECOND),
        (429, format_datetime(datetime.fromtimestamp(NOW / 1000 + 90, UTC), usegmt=True), 90 * SECOND),
        (429, format_datetime(datetime.fromtimestamp(NOW / 1000 - 90, UTC), usegmt=True), 0),
        (429, "Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WISH_MS),
        (429, "999999999", LONGEST_WISH_MS),
        (429, "9" * 400, 0),
        (429, "-5", 0),
        (429, "1e3", 0),
        (429, "٣", 0),
        (429, "soon", 0),
        (429, "", 0),
        (429, None, 0),
        (500, "120", 0),
        (200, "120", 0),
    ],
)
def test_a_wish_is_read_and_bounded(status: int, header: str | None, expected: int) -> None:
    """Seconds or a date, of 429 and 503 alone, up to a day; what cannot be read is no wish."""
    assert wish(status, header, NOW) == expected
