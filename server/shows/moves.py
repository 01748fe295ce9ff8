"""A recorded show's drops, as its log tells of them: which events are moves that were made, and which are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from server.shows import tape

if TYPE_CHECKING:
    from server.shows.tape import DropMove, Line, ShowMove

EARLY_MS = 250  # a drop that opens so long before its countdown ends was opened by its host
TERMS = (
    "status",
    "quantity",
    "available",
    "unit_price",
    "limit_per_viewer",
    "hold_seconds",
    "mode",
    "waitlist",
)
TURNS: dict[str, ShowMove] = {"started": "start", "paused": "pause", "resumed": "resume", "ended": "end"}
NOT_YET = frozenset({"scheduled", "countdown"})
# Of an event: the states in which it is news, the state after it, and the move.
MOVES: dict[str, tuple[frozenset[str], str, DropMove]] = {
    "countdown": (NOT_YET, "countdown", "open"),
    "opened": (NOT_YET, "open", "open"),
    "scheduled": (frozenset({"countdown"}), "scheduled", "cancel"),
    "paused": (frozenset({"open"}), "paused", "pause"),
    "resumed": (frozenset({"paused"}), "open", "resume"),
    "closed": (NOT_YET | {"open", "paused"}, "closed", "close"),
}

View = dict[str, Any]


@dataclass(slots=True)
class DropSeen:
    """A drop as far as it is known; events that were known before, as those of a first look, are no news."""

    number: int
    status: str
    quantity: int
    opens_at: int  # Unix ms, of a countdown

    @classmethod
    def of(cls, number: int, view: View) -> Self:
        """Return a drop as the server shows it."""
        return cls(number, view["status"], view["quantity"], view.get("opens_at", 0))

    def planned(self, view: View, at: int, now: int) -> Line:
        """Return the line that says what is sold; `now` is `at` in Unix ms."""
        left_ms = max(0, self.opens_at - now) if self.status == "countdown" else 0
        return tape.Drop(
            at=at, drop=self.number, countdown_ms=left_ms, **{name: view[name] for name in TERMS}
        )

    def moved(self, verb: str, event: View, at: int) -> list[Line]:
        """Return the move that an event tells of, if it is one and is news."""
        if verb == "restocked":
            return self._restocked(event["stock"]["quantity"], at)
        if verb not in MOVES or self.status not in MOVES[verb][0]:
            return []
        _, after, move = MOVES[verb]
        before, self.status = self.status, after
        countdown_ms = 0
        if verb == "countdown":
            if before == after and event["opens_at"] == self.opens_at:
                return []
            self.opens_at = event["opens_at"]
            countdown_ms = max(0, self.opens_at - event["at"])
        elif verb == "opened" and before == "countdown" and event["at"] >= self.opens_at - EARLY_MS:
            return []  # the end of its countdown, which is told already
        return [tape.Move(at=at, drop=self.number, move=move, countdown_ms=countdown_ms)]

    def _restocked(self, quantity: int, at: int) -> list[Line]:
        more, self.quantity = quantity - self.quantity, max(quantity, self.quantity)
        return [tape.Move(at=at, drop=self.number, move="restock", quantity=more)] if more > 0 else []
