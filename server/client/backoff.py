"""When to come back: full jitter, so that a crowd that was cut off together does not return together.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server import ids
from server.errors import CLOSE_LEAVING

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.client.failures import ClosedError, LiveDropError

FIRST_SECONDS = 0.5
MOST_SECONDS = 20.0
MOST_DOUBLINGS = 16  # keeps the power small; the limit is reached long before


def jitter(attempt: int, chance: Callable[[], float] = ids.chance) -> float:
    """Return seconds: anything from nothing to a limit that doubles with each attempt, from 0.5 up to 20."""
    return chance() * min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempt, MOST_DOUBLINGS))


def pause(error: LiveDropError, attempt: int, chance: Callable[[], float] = ids.chance) -> float:
    """Return the seconds until an operation is repeated: what the server asks for, and jitter on top of it."""
    return (error.retry_after_ms or 0) / 1000 + jitter(attempt, chance)


class Backoff:
    """Counts the attempts of a series. `chance` gives numbers from 0 up to 1."""

    def __init__(self, chance: Callable[[], float] = ids.chance) -> None:
        self._chance = chance
        self._attempt = 0

    def steady(self) -> None:
        """End a series of failed attempts."""
        self._attempt = 0

    def wait(self, closed: ClosedError) -> float:
        """Return the seconds until the next attempt, never less than the server asks for.

        A server that leaves deals out moments, one to each viewer: that is kept to the letter. Whatever else it asks
        for it may ask of many at once, and so does a moment that did not help: our own jitter comes on top.
        """
        least = (closed.retry_after_ms or 0) / 1000
        dealt = closed.code == CLOSE_LEAVING and least > 0 and self._attempt == 0
        own = 0.0 if dealt else jitter(self._attempt, self._chance)
        self._attempt += 1
        return least + own
