"""One show's events in order, whichever way they come: as they are published, or read from the log.

No I/O. Both ways may bring the same event, in any mixture: each is told once, and none is told before the one
in front of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from server.eventlog.stream import Place

if TYPE_CHECKING:
    from server.eventlog.stream import Entry

log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Who is told. Calls come from one task at a time and in order; they must not wait."""

    def began(self, show: str, place: Place, tail: list[Entry]) -> None:
        """Know that following begins, at first or anew after `lost`: the log stands at `place`.

        `tail` are the newest events up to it, oldest first and gapless, as far as `HISTORY_BYTES` reach.
        """

    def event(self, show: str, entry: Entry) -> None:
        """Take the show's next event of the log: offsets are gapless and never repeat."""

    def live(self, show: str, kind: str, name: str, packed: bytes) -> None:
        """Take a live number: `s` stock of drop `name`, `c` viewers, `r` reactions; or `v`, for viewer `name` only."""

    def lost(self, show: str) -> None:
        """Know that events are gone for good: whoever follows the show must start over. `began` will come again."""

    def heard_anew(self, show: str) -> None:
        """Know that the subscription was made anew: events are whole, but live numbers may have been missed."""


class Feed:
    """One show as its listener knows it. A bug of the listener's costs them this show's place and no other's."""

    __slots__ = ("_listener", "confirmed", "left", "place", "ready", "show")

    def __init__(self, show: str, listener: Listener) -> None:
        self.show = show
        self.place: Place | None = None  # of the newest event told; None before `begin` and after `lose`
        self.confirmed = False  # whether the channel has been heard since it was followed
        self.left = False  # whoever still reads for this feed must tell nothing more
        self.ready = asyncio.Event()  # begun, or known to be gone
        self._listener = listener

    def begin(self, place: Place, tail: list[Entry]) -> None:
        """Start at a place, with the newest events up to it; harmless where it has begun already."""
        if self.left or self.place is not None:
            return
        self.place = place
        try:
            self._listener.began(self.show, place, tail)
        except Exception:
            self.place = None
            raise
        self.ready.set()

    def take(self, entry: Entry) -> bool:
        """Tell an event if it is the next. Return whether all up to it are told: else the log must be read."""
        if self.left or self.place is None:
            return self.left
        ahead = entry.offset - self.place.offset
        if ahead == 1:
            self.place = Place(self.place.epoch, entry.offset)
            try:
                self._listener.event(self.show, entry)
            except Exception:
                log.exception("event.untold", show=self.show)
                self.lose()  # whoever did not get this event must not go on as if they had
                return False
        return ahead <= 1

    def lose(self) -> None:
        """Tell that events are gone; `begin` comes next."""
        if self.left or self.place is None:
            return
        log.warning("position.lost", show=self.show)
        self.place = None
        self._listener.lost(self.show)
