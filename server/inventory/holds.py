"""Reserve, release, look at and sweep holds: the way of every unit between available and sold.

Each operation is one Lua script, atomic and repeatable: the reservation id is derived from viewer and operation id,
so a repeat meets the hold that its first run made. Refusals are values, a `Problem` with its numbers; only "we do
not know" (`unavailable`) is raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server import ids
from server.errors import Code, Problem
from server.store import reads
from server.store.answers import Answer, ask, unpacked
from server.store.keys import key

if TYPE_CHECKING:
    from server.store.redis import Redis
    from server.store.scripts import Scripts

SWEEP_LIMIT = 200  # reservations per sweep: one step stays around a millisecond of Redis

Reservation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation as it now is; `replayed` where this operation id had been applied before."""

    reservation: Reservation
    replayed: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: how many lapsed, how late the oldest was let go, when the next is due (0: none)."""

    lapsed: int
    lag_ms: int
    next_at: int


class Holds:
    """The inventory's door."""

    def __init__(self, client: Redis, scripts: Scripts) -> None:
        self._client = client
        self._scripts = scripts

    async def reserve(
        self, show: str, viewer: str, operation: str, drop: str, quantity: int
    ) -> Held | Problem:
        """Take `quantity` units of `drop` for `viewer` and hold them; atomic, idempotent by (viewer, operation)."""
        answer = await ask(
            self._scripts,
            "hold_reserve",
            {"show": show},
            reservation=ids.reservation(show, viewer, operation),
            viewer=viewer,
            drop=drop,
            quantity=quantity,
        )
        if answer["outcome"] in {"held", "replayed"}:
            return Held(answer["reservation"], answer["outcome"] == "replayed")
        return _refusal(answer, drop, quantity)

    async def release(self, reservation: str, viewer: str) -> Held | Problem:
        """Give a held reservation back; repeating returns it as it is (released, or expired in the meantime)."""
        show = ids.show_of(reservation)
        if show is None:
            return unknown(reservation)
        answer = await ask(
            self._scripts, "hold_release", {"show": show}, reservation=reservation, viewer=viewer
        )
        match answer["outcome"]:
            case "released":
                return Held(answer["reservation"], replayed=False)
            case "not-found":
                return unknown(reservation)
            case "not-allowed":
                return Problem(Code.NOT_ALLOWED, "This reservation is somebody else's.")
            case "in-progress":
                return Problem(Code.IN_PROGRESS, "This reservation is being paid.", retry_after_ms=1000)
            case _:
                return Problem(Code.WRONG_STATE, f"This reservation is {answer['state']}.")

    async def find(self, reservation: str) -> tuple[Reservation, str] | None:
        """Return a reservation and its viewer, or None."""
        show = ids.show_of(reservation)
        if show is None:
            return None
        raw = await reads.field(self._client, key("holds", show=show), reservation, "reading the reservation")
        if raw is None:
            return None
        drop, viewer, quantity, state, unit_price, expires_at, _order = unpacked(raw)
        packed = await reads.field(self._client, key("drops", show=show), drop, "reading the drop")
        terms = unpacked(packed or b"")
        view = {
            "id": reservation,
            "drop": drop,
            "sku": terms["sku"],
            "quantity": quantity,
            "state": state,
            "unit_price": unit_price,
            "currency": terms["currency"],
            "expires_at": expires_at,
        }
        return view, viewer

    async def sweep(self, show: str) -> Swept:
        """Let up to `SWEEP_LIMIT` lapsed reservations of a show go; two sweepers never take one twice."""
        answer = await ask(self._scripts, "hold_sweep", {"show": show}, limit=SWEEP_LIMIT)
        return Swept(answer["lapsed"], answer["lag_ms"], answer["next_at"])


def unknown(reservation: str) -> Problem:
    """Return the problem for a reservation that is not there."""
    return Problem(Code.NOT_FOUND, f"There is no reservation {reservation[:64]!r}.")


def _refusal(answer: Answer, drop: str, quantity: int) -> Problem:  # noqa: PLR0911  one per outcome
    match answer["outcome"]:
        case "out-of-stock":
            held = answer["held"]
            back = f"; {held} held by others may come back" if held else ""
            return Problem(
                Code.OUT_OF_STOCK,
                f"Asked for {quantity}, {answer['available']} available{back}.",
                available=answer["available"],
            )
        case "limit-reached":
            return Problem(
                Code.LIMIT_REACHED,
                f"Asked for {quantity}, the limit per viewer is {answer['limit']} and {answer['taken']} are taken.",
            )
        case "drop-not-open":
            return Problem(
                Code.DROP_NOT_OPEN, f"The drop is {answer['state']}.", opens_at=answer.get("opens_at")
            )
        case "drop-closed":
            return Problem(Code.DROP_CLOSED, "The drop is closed.")
        case "show-not-live":
            return Problem(Code.SHOW_NOT_LIVE, f"The show is {answer['state']}.")
        case "idempotency-mismatch":
            return Problem(
                Code.IDEMPOTENCY_MISMATCH,
                f"This id took {answer['quantity']} of drop {answer['drop']}, not {quantity} of {drop[:64]}.",
            )
        case _:
            return Problem(Code.NOT_FOUND, f"There is no drop {drop[:64]!r} in this show.")
