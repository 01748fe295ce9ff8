"""Drops: plan one, move it through scheduled ⇄ countdown → open ⇄ paused → closed, add units to it, read its numbers.

Planned times live in a due index; `due` makes the moves whose time has come, so nobody has to call. Whatever brings
units gives them to those who wait in the same step.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import structlog

from server import ids
from server.errors import Code, Problem
from server.protocol.shapes import MAX_DROP_QUANTITY
from server.store import reads
from server.store.answers import Answer, ask, unpacked
from server.store.keys import key
from server.store.redis import reaching

if TYPE_CHECKING:
    from server.store.redis import Redis
    from server.store.scripts import Scripts

MAX_DROPS_PER_SHOW = 500
DUE_LIMIT = 100  # moves per round; the rest follow in the next, at once
NUMBERS = ("available", "held", "sold", "quantity", "revision")  # how a drop's row of numbers begins
AWARDS = 8  # the place of the number of awards in that row
WAITING = 10  # the place of the queue's length in that row
# What of a wave is told; who released it is not.
WAVE_FIELDS = ("quantity", "at", "after_seconds", "released_at")
PHRASES = {
    "wave": "release a wave of",
    "cancel": "cancel the countdown of",
}  # where the verb alone would not be English

View = dict[str, Any]

log = structlog.get_logger(__name__)


class Drops:
    """The door to drops. Illegal moves raise `wrong-state` with the state in the sentence."""

    def __init__(self, client: Redis, scripts: Scripts, *, skip_absent: bool = False) -> None:
        self._client = client
        self._scripts = scripts
        self._skip = int(skip_absent)  # whether units that come back pass over who is not here

    async def create(self, show: str, drop: str, terms: View, quantity: int) -> View:
        """Put a scheduled drop into a show under the given id; repeating returns the drop that is there."""
        answer = await ask(
            self._scripts,
            "drop_create",
            {"show": show},
            drop=drop,
            terms={**terms, "id": drop, "show": show},
            quantity=quantity,
            most=MAX_DROPS_PER_SHOW,
        )
        match answer["outcome"]:
            case "wrong-state":
                raise Problem(Code.WRONG_STATE, f"Cannot plan a drop in a show that is {answer['state']}.")
            case "limit-reached":
                raise Problem(Code.LIMIT_REACHED, f"A show has at most {answer['limit']} drops.")
            case "not-found":
                raise Problem(Code.NOT_FOUND, f"There is no show {show[:64]!r}.")
        view: View = answer["drop"]
        return view

    async def open(self, show: str, drop: str, countdown_ms: int = 0) -> View:
        """Open the drop now, or start a countdown after which it opens by itself."""
        return await self._move("open", show, drop, countdown_ms=countdown_ms, by="host", **_fresh_seed())

    async def pause(self, show: str, drop: str) -> View:
        """Stop taking units for a while; what is held stays held."""
        return await self._move("pause", show, drop)

    async def resume(self, show: str, drop: str) -> View:
        """Let units be taken again; what came back meanwhile goes to who waits."""
        return await self._move("resume", show, drop, skip=self._skip)

    async def cancel(self, show: str, drop: str) -> View:
        """Call a countdown off; the drop is planned again, and opens when the host says so."""
        return await self._move("cancel", show, drop)

    async def close(self, show: str, drop: str) -> View:
        """Close the drop for good; what is held can be paid until it lapses. A draw is drawn."""
        return await self._move("close", show, drop, by="host", skip=self._skip)

    async def restock(self, show: str, drop: str, quantity: int, operation: str = "") -> View:
        """Add units to a drop that is not closed; idempotent where the caller names the operation."""
        most, skip = MAX_DROP_QUANTITY, self._skip
        return await self._move(
            "restock", show, drop, quantity=quantity, most=most, operation=operation, skip=skip
        )

    async def wave(self, show: str, drop: str, operation: str = "") -> View:
        """Release the next wave of units now; idempotent where the caller names the operation."""
        return await self._move("wave", show, drop, by="host", operation=operation, skip=self._skip)

    async def rebuild(self, show: str, drop: str, epoch: str, revision: int, plan: View) -> bool:
        """Set a drop of a show that was frozen under this epoch to what a rebuild made of it (`Plan.packed`).

        False where its numbers are no longer those of the revision that it was made from (-1: it was lost). Raises
        `wrong-state` where the freeze is over.
        """
        answer = await ask(
            self._scripts,
            "drop_rebuild",
            {"show": show},
            drop=drop,
            epoch=epoch,
            revision=revision,
            plan={**plan, **_fresh_seed()},
        )
        if answer["outcome"] == "changed":
            return False
        if answer["outcome"] == "not-frozen":
            raise Problem(
                Code.WRONG_STATE, "Cannot rebuild a drop of a show that is not frozen by this rebuild."
            )
        return True

    async def find(self, show: str, drop: str) -> View:
        """Return one drop with its four numbers, or raise `not-found`."""
        with reaching("reading the drop"):
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hget(key("drops", show=show), drop)
                pipe.hget(key("stock", show=show), drop)
                terms, stock = await pipe.execute()
        if terms is None:
            raise unknown(drop)
        return shown(terms, stock)

    async def listed(self, show: str) -> list[View]:
        """Return a show's drops in the order in which they were planned."""
        with reaching("reading the drops"):
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hgetall(key("drops", show=show))
                pipe.hgetall(key("stock", show=show))
                terms, stock = await pipe.execute()
        views = [shown(packed, stock[drop]) for drop, packed in terms.items()]
        return sorted(views, key=lambda drop: (drop["created_at"], drop["id"]))

    async def due(self, show: str, now: int) -> bool:
        """Make the planned moves of a show whose time (Redis clock, ms) has come; say whether to look again at once.

        A move that its state forbids by now is dropped from the index by its script; one that must wait (the show
        is paused) is due again in a second, so that others have their turn. A queue that one step could not serve to
        its end is due again already. One that a bug fails is logged, and holds up no other.
        """
        moves = await reads.due(self._client, key("due", show=show), now, DUE_LIMIT, "reading planned moves")
        planned = [move.partition(" ")[::2] for move in moves]
        made = [await self._make(show, verb, drop) for verb, drop in planned if verb != "flush"]
        untold = [drop for verb, drop in planned if verb == "flush"]
        if untold:
            await ask(self._scripts, "stock_flush", {"show": show}, drops=untold)
        return any(verb == "promote" for verb, _ in planned) or (len(moves) == DUE_LIMIT and all(made))

    async def _make(self, show: str, verb: str, drop: str) -> bool:
        """Make a planned move; False where a bug fails it. Raises `unavailable` as `ask`."""
        try:
            arguments = self._planned(verb)
            await ask(self._scripts, f"drop_{verb}", {"show": show}, drop=drop, by="clock", **arguments)
        except Problem:
            raise
        except Exception:
            log.exception("drops.move_failed", show=show, drop=drop, move=verb)
            return False
        return True

    def _planned(self, verb: str) -> dict[str, Any]:
        """Return what a move by the clock needs besides its drop."""
        if verb == "open":
            return {"countdown_ms": 0, **_fresh_seed()}
        return {"skip": self._skip, **({"operation": ""} if verb == "wave" else {})}

    async def _move(self, verb: str, show: str, drop: str, **args: Any) -> View:
        answer = await ask(self._scripts, f"drop_{verb}", {"show": show}, drop=drop, **args)
        if answer["outcome"] == "moved":
            view: View = answer["drop"]
            return view
        raise _refusal(answer, verb, drop)


def unknown(drop: str) -> Problem:
    """Return the problem for a drop that is not there."""
    return Problem(Code.NOT_FOUND, f"There is no drop {drop[:64]!r} in this show.")


def _fresh_seed() -> dict[str, str]:
    """Return a secret for the draw that an opening may begin, and the promise of it that everybody is told."""
    seed = ids.secret()
    return {"seed": seed, "seed_hash": hashlib.sha256(seed.encode()).hexdigest()}


def _refusal(answer: Answer, verb: str, drop: str) -> Problem:
    phrase = PHRASES.get(verb, verb)
    match answer["outcome"]:
        case "wrong-state" if "waves" in answer and answer["state"] in {"open", "paused"}:
            return Problem(
                Code.WRONG_STATE, f"Of this drop's {answer['waves']} waves none is left to release."
            )
        case "wrong-state":
            return Problem(Code.WRONG_STATE, f"Cannot {phrase} a drop that is {answer['state']}.")
        case "show-not-live":
            return Problem(Code.SHOW_NOT_LIVE, f"Cannot {phrase} a drop while the show is {answer['state']}.")
        case "limit-reached":
            return Problem(
                Code.LIMIT_REACHED,
                f"A drop has at most {answer['limit']} units, this one has {answer['quantity']}.",
            )
        case _:
            return unknown(drop)


def awards(stock: bytes) -> int:
    """Return how often units of a drop were given, by its packed numbers."""
    count: int = unpacked(stock)[AWARDS]
    return count


def shown(terms: bytes, stock: bytes) -> View:
    """Return a drop from its two packed records as the scripts show it (`drop_view`)."""
    view, row = unpacked(terms), unpacked(stock)
    view.pop("number")
    if "waves" in view:
        view["waves"] = [{name: wave[name] for name in WAVE_FIELDS if name in wave} for wave in view["waves"]]
    waiting = 0 if view["status"] == "closed" else row[WAITING]
    numbers = dict(zip(NUMBERS, row, strict=False))
    numbers["available"] = max(0, numbers["available"])  # below zero: units are owed, and nobody can take any
    return {**view, **numbers, "waitlist_length": waiting}
