"""Drops: plan one, move it through scheduled → countdown → open ⇄ paused → closed, restock it, read its numbers.

Planned times live in a due index; `due` makes the moves whose time has come, so nobody has to call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
DUE_LIMIT = 100  # moves per round; the rest follow in the next
STOCK_FIELDS = ("available", "held", "sold", "quantity", "revision")

View = dict[str, Any]


class Drops:
    """The door to drops. Illegal moves raise `wrong-state` with the state in the sentence."""

    def __init__(self, client: Redis, scripts: Scripts) -> None:
        self._client = client
        self._scripts = scripts

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
        return await self._move("open", show, drop, countdown_ms=countdown_ms, by="host")

    async def pause(self, show: str, drop: str) -> View:
        """Stop taking units for a while; what is held stays held."""
        return await self._move("pause", show, drop)

    async def resume(self, show: str, drop: str) -> View:
        """Let units be taken again."""
        return await self._move("resume", show, drop)

    async def close(self, show: str, drop: str) -> View:
        """Close the drop for good; what is held can be paid until it lapses."""
        return await self._move("close", show, drop, by="host")

    async def restock(self, show: str, drop: str, quantity: int, operation: str = "") -> View:
        """Add units to a drop that is not closed; idempotent where the caller names the operation."""
        return await self._move(
            "restock", show, drop, quantity=quantity, most=MAX_DROP_QUANTITY, operation=operation
        )

    async def find(self, show: str, drop: str) -> View:
        """Return one drop with its four numbers, or raise `not-found`."""
        with reaching("reading the drop"):
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hget(key("drops", show=show), drop)
                pipe.hget(key("stock", show=show), drop)
                terms, stock = await pipe.execute()
        if terms is None:
            raise unknown(drop)
        return _view(terms, stock)

    async def listed(self, show: str) -> list[View]:
        """Return a show's drops in the order in which they were planned."""
        with reaching("reading the drops"):
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hgetall(key("drops", show=show))
                pipe.hgetall(key("stock", show=show))
                terms, stock = await pipe.execute()
        views = [_view(packed, stock[drop]) for drop, packed in terms.items()]
        return sorted(views, key=lambda drop: (drop["created_at"], drop["id"]))

    async def due(self, show: str, now: int) -> None:
        """Make the planned moves of a show whose time (Redis clock, ms) has come.

        A move that its state forbids by now is dropped from the index by its script; one that must wait (the show
        is paused) stays and is tried again.
        """
        moves = await reads.due(self._client, key("due", show=show), now, DUE_LIMIT, "reading planned moves")
        for move in moves:
            verb, _, drop = move.partition(" ")
            extra = {"countdown_ms": 0} if verb == "open" else {}
            await ask(self._scripts, f"drop_{verb}", {"show": show}, drop=drop, by="clock", **extra)

    async def _move(self, verb: str, show: str, drop: str, **args: Any) -> View:
        answer = await ask(self._scripts, f"drop_{verb}", {"show": show}, drop=drop, **args)
        if answer["outcome"] == "moved":
            view: View = answer["drop"]
            return view
        raise _refusal(answer, verb, drop)


def unknown(drop: str) -> Problem:
    """Return the problem for a drop that is not there."""
    return Problem(Code.NOT_FOUND, f"There is no drop {drop[:64]!r} in this show.")


def _refusal(answer: Answer, verb: str, drop: str) -> Problem:
    match answer["outcome"]:
        case "wrong-state":
            return Problem(Code.WRONG_STATE, f"Cannot {verb} a drop that is {answer['state']}.")
        case "show-not-live":
            return Problem(Code.SHOW_NOT_LIVE, f"Cannot {verb} a drop while the show is {answer['state']}.")
        case "limit-reached":
            return Problem(
                Code.LIMIT_REACHED,
                f"A drop has at most {answer['limit']} units, this one has {answer['quantity']}.",
            )
        case _:
            return unknown(drop)


def _view(terms: bytes, stock: bytes) -> View:
    numbers = dict(zip(STOCK_FIELDS, unpacked(stock), strict=False))
    return {**unpacked(terms), **numbers, "waitlist_length": 0}
