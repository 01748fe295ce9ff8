"""Joining a show: one atomic look at it, shared by all who join at the same time.

Per show at most one look is on its way; whoever comes meanwhile, or within `GATHER_SECONDS` after it, shares the
next one, in the order of arrival. So a thousand viewers who return at once cost a few script calls, and who comes
alone does not wait.

The caller follows the show first. A look is true at exactly its `offset`: events at or below it are contained in
it, and the first above it is `offset + 1`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from server.errors import Code, Problem, unavailable
from server.store.answers import unpacked

if TYPE_CHECKING:
    from server.store.scripts import Scripts

LOOK_LIMIT = 128  # viewers who share one look: about half a millisecond of Redis where each has reservations
WAITING_LIMIT = 20_000  # viewers per show who wait for theirs; whoever comes then is told to come back
RETRY_MS = 2_000
GATHER_SECONDS = 0.005  # after a look, until the next one of the show: in a storm it serves several, not one
TURN = 32  # answers per turn of the loop: each is a welcome to be built and written
NOBODY = ""  # stands for a viewer where nobody in particular looks

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """A show at one moment, as everybody sees it."""

    epoch: str
    offset: int  # the log's top at that moment
    server_time_at: int
    stocks: list[dict[str, Any]]  # every drop's numbers, as `stock.updated` has them
    snapshot: dict[str, Any] | None  # {show, drops, pinned, viewers}; None where nobody needed it
    viewers: int = 0  # how many are here


@dataclass(frozen=True, slots=True)
class Own:
    """What one viewer has in the show at that moment, each a packed list as the script made it."""

    reservations: bytes  # those that count, oldest first
    places: bytes  # in queues and draws: {drop, position, quantity}


NOTHING = Own(b"", b"")  # where there is no look

Then = Callable[[Look | Problem, Own], None]


@dataclass(frozen=True, slots=True)
class Joiner:
    """One who waits for a look."""

    viewer: str
    snapshot: bool
    then: Then


class Joins:
    """Everybody who is joining, by show. A show is in here while a look at it is wanted."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._waiting: dict[str, deque[Joiner]] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # one per show that is being looked at

    def ask(self, show: str, viewer: str, *, snapshot: bool, then: Then) -> None:
        """Call `then` once, later, on the loop: with a look made after this, and what the viewer has in the show.

        Where there is no look it gets the problem and `NOTHING`: `not-found` where the show is gone, `unavailable`
        where Redis cannot say or too many wait already.
        """
        joiner = Joiner(viewer, snapshot, then)
        waiting = self._waiting.get(show)
        if waiting is None:
            self._waiting[show] = deque([joiner])
            task = asyncio.create_task(self._serve(show))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif len(waiting) < WAITING_LIMIT:
            waiting.append(joiner)
        else:
            problem = unavailable(f"{len(waiting)} viewers are joining this show already.", RETRY_MS)
            asyncio.get_running_loop().call_soon(_tell, joiner, problem, NOTHING)

    async def look(self, show: str) -> Look:
        """Return a look without a snapshot, for nobody in particular. Raises the problem where there is none."""
        found: asyncio.Future[Look] = asyncio.get_running_loop().create_future()

        def then(seen: Look | Problem, _own: Own) -> None:
            if found.done():  # whoever waited has gone
                return
            if isinstance(seen, Problem):
                found.set_exception(seen)
            else:
                found.set_result(seen)

        self.ask(show, NOBODY, snapshot=False, then=then)
        return await found

    async def _serve(self, show: str) -> None:
        """Look at a show until nobody waits for it any more; whoever is left when that is broken off is told."""
        waiting, together = self._waiting[show], deque[Joiner]()
        try:
            while waiting:
                while waiting and len(together) < LOOK_LIMIT:
                    together.append(waiting.popleft())
                seen, everybodys = await self._look(show, list(together))
                for number, own in enumerate(everybodys, start=1):
                    _tell(together.popleft(), seen, own)
                    if number % TURN == 0:
                        await asyncio.sleep(0)
                await asyncio.sleep(GATHER_SECONDS)
        finally:
            del self._waiting[show]
            for joiner in (*together, *waiting):
                _tell(joiner, unavailable("The look at the show was broken off."), NOTHING)

    async def _look(self, show: str, together: list[Joiner]) -> tuple[Look | Problem, list[Own]]:
        """Return one look, or why there is none, and what belongs to each of those who share it, in their order."""
        try:
            answer, pinned, *lists = await self._scripts.run(
                "show_join",
                {"show": show},
                viewers=[joiner.viewer for joiner in together],
                snapshot=int(any(joiner.snapshot for joiner in together)),
            )
            return _look(show, unpacked(answer), pinned), list(map(Own, lists[::2], lists[1::2]))
        except Problem as problem:
            seen = problem
        except Exception:  # a bug costs these their answer, but not those behind them
            log.exception("join.failed", show=show)
            seen = unavailable("The look at the show failed inside the server.")
        return seen, [NOTHING] * len(together)


def _look(show: str, answer: dict[str, Any], pinned: bytes) -> Look:
    if answer["outcome"] == "not-found":
        raise Problem(Code.NOT_FOUND, f"There is no show {show[:64]!r}.")
    snapshot = answer.get("snapshot")
    if snapshot is not None:
        snapshot["drops"].sort(key=lambda drop: (drop["created_at"], drop["id"]))
        snapshot["pinned"] = unpacked(pinned) if pinned else []
    return Look(
        epoch=answer["epoch"],
        offset=answer["offset"],
        server_time_at=answer["server_time_at"],
        stocks=answer["stocks"],
        snapshot=snapshot,
        viewers=answer["viewers"],
    )


def _tell(joiner: Joiner, seen: Look | Problem, own: Own) -> None:
    try:
        joiner.then(seen, own)
    except Exception:
        log.exception("join.unheard", viewer=joiner.viewer)
