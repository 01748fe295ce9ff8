"""Where a viewer stands in a show's log, and what the next event means to who stands there. No I/O."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.protocol.events import Message


class Step(Enum):
    """What an event is to who stands at a place."""

    NEXT = auto()  # the one that follows; the place has moved
    REPEAT = auto()  # known already, or of a stream that was given up
    GAP = auto()  # some are missing before it: connect anew


class Place:
    """A place in a show's log: every event once and in order, or a new start with a snapshot.

    After a gap the missing events are asked for; where the same gap comes again, everything is.
    """

    def __init__(self) -> None:
        self._epoch = ""
        self._offset = -1  # of the last event taken; -1 where there is no place
        self._gap_at = -1  # the place before which a gap was met once already

    @property
    def since(self) -> Message | None:
        """The place to come back to; None to start over."""
        return None if self._offset < 0 else {"epoch": self._epoch, "offset": self._offset}

    def forget(self) -> None:
        """Start over next time; events of the present stream no longer count."""
        self._offset = -1

    def welcomed(self, welcome: Message) -> Step:
        """Stand where a welcome says: anew with its snapshot, or where we stood (the missed events follow it)."""
        if not welcome["recovered"]:
            self._epoch, self._offset = welcome["epoch"], welcome["offset"]
        elif self._offset < 0 or welcome["epoch"] != self._epoch:
            self.forget()
            return Step.GAP
        return Step.NEXT

    def take(self, event: Message) -> Step:
        """Move on to an event, if it is the next."""
        offset: int = event["offset"]
        if self._offset < 0 or offset <= self._offset:
            return Step.REPEAT
        if offset == self._offset + 1:
            self._offset = offset
            return Step.NEXT
        if self._gap_at == self._offset:
            self.forget()
        self._gap_at = self._offset
        return Step.GAP
