"""When a message is tried again: the standard's waits, a little spread, and the receiver's own wish. Pure.

The waits are counted from the end of the try that failed. After the last one a message is parked: it holds nothing up
any more, and `replay` brings it again.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from server import ids

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

WAITS_MS = (
    0,
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
JITTER = 0.1  # of a wait, added: what failed together does not come back together
LONGEST_WISH_MS = 24 * HOUR  # of a Retry-After; a longer one counts as this
OBEYED = frozenset({429, 503})
MAX_DIGITS = 9  # of a Retry-After in seconds


def next_try(message: str, tries: int, now: int, wish_ms: int = 0) -> int | None:
    """Return when (Unix ms) a message is tried again that failed `tries` times, or None: then it is parked.

    Never before `wish_ms` from now. The spread follows from message and try, so a repeat plans the same.
    """
    if tries >= len(WAITS_MS):
        return None
    wait = WAITS_MS[tries]
    spread = wait * JITTER * int(ids.fingerprint(message.encode(), bytes([tries]))[:4], 16) / 0xFFFF
    return now + max(wait + int(spread), wish_ms)


def wish(status: int, header: str | None, now: int) -> int:
    """Return for how many ms the receiver wants to be left alone: seconds or a date (RFC 9110 §10.2.3), bounded.

    0 where the answer is none that says so, or says nothing that can be read.
    """
    if status not in OBEYED or header is None:
        return 0
    text = header.strip()
    if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS:
        return min(int(text) * SECOND, LONGEST_WISH_MS)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        asked = int(moment.timestamp() * SECOND) - now
    except (ValueError, OverflowError):
        return 0
    return max(0, min(asked, LONGEST_WISH_MS))
