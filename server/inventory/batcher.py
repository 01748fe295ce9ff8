"""Group commit: per show one script call is under way, and what arrives meanwhile goes into the next one, in order.

There is no timer: a lone operation is sent in the same turn of the loop and sees one round trip, a burst sees big
steps. The next step is on its way before the last one's answers are told, so the store and this process work side by
side. A step takes at most `operations`, and fewer where the store says that it would work longer than a millisecond.
Who waits is bounded: beyond `waiting` operations per show, and after `PATIENCE_SECONDS`, the answer comes at once and
says that nothing was sent. Where a step fails or is not answered, all of it is unknown; the ids are safe to repeat.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import structlog

from server import metrics, tracing
from server.clock import monotonic
from server.errors import Code, Problem, unavailable
from server.inventory import batch
from server.inventory.gate import Gate
from server.store.answers import unpacked
from server.store.scripts import FullError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from server.inventory.asks import Ask
    from server.inventory.flush import Flusher
    from server.inventory.outcomes import Outcome, Seen
    from server.store.scripts import Scripts

MOST_OPERATIONS = 256  # in one step, whatever the settings say
FEWEST_OPERATIONS = 16  # however slow the store is: below that a step is mostly overhead
STEP_US = 900  # work of the store that a step aims at, so that it rarely takes longer than a millisecond
PATIENCE_SECONDS = 5.0  # in the line; as long as an answer may take
RETRY_MS = 200  # to come back after, where the line is full
MOST_LINES = 1000
TURN = 64  # answers per turn of the loop: other viewers' messages are read in between
GIVES_BACK = frozenset({"release", "leave"})  # what is done also while nothing new is taken

log = structlog.get_logger(__name__)


class Line:
    """Who waits in one show, and what this process knows of it."""

    __slots__ = ("answered", "gate", "limit", "operations", "running", "waiting")

    def __init__(self, limit: int) -> None:
        self.waiting: deque[Ask] = deque()
        self.answered: deque[tuple[Ask, Outcome]] = deque()  # of the last step, still to be told
        self.operations = 0  # of all who wait
        self.limit = limit  # operations of the next step
        self.running = False
        self.gate = Gate()


class Batches:
    """The lines of all shows; beyond `MOST_LINES` those in which nobody waits are forgotten, with their gates."""

    def __init__(  # noqa: PLR0913  each is a setting of its own
        self,
        scripts: Scripts,
        flusher: Flusher,
        terms: batch.Terms,
        *,
        operations: int = 128,
        waiting: int = 8192,
        gate: bool = True,
    ) -> None:
        self._scripts = scripts
        self._flusher = flusher
        self._terms = terms
        self._most = min(operations, MOST_OPERATIONS)
        self._most_waiting = waiting
        self._gated = gate
        self._lines: dict[str, Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # While anything is recorded: asked of each operation, it returns who is told of the outcome.
        self.tap: Callable[[Ask, Callable[[Outcome], None]], Callable[[Outcome], None]] | None = None

    def submit(self, ask: Ask, done: Callable[[Outcome], None]) -> None:
        """Put an operation into its show's line; `done` gets the outcome, once, later, on the loop.

        It is a `Problem` where nothing is known (`unavailable`) or the line is full (`rate-limited`). What `done`
        raises is logged and hurts nobody else.
        """
        ask.done = done if self.tap is None else self.tap(ask, done)
        ask.since = monotonic()
        line = self._lines.get(ask.show) or self._new(ask.show)
        operations = line.operations + len(ask.items)
        if operations > self._most_waiting:
            asyncio.get_running_loop().call_soon(_tell, ask, full(line.operations))
            return
        line.waiting.append(ask)
        line.operations = operations
        if not line.running:
            line.running = True
            task = asyncio.create_task(self._serve(ask.show, line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def ask(self, ask: Ask) -> asyncio.Future[Outcome]:
        """Return what will be an operation's outcome. Who is cancelled before it is sent asks for nothing."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        ask.gone = outcome.cancelled
        ask.span = tracing.here()
        self.submit(ask, outcome.set_result)
        return outcome

    def hear(self, show: str, drop: str, revision: int) -> None:
        """Take in that a drop has this revision now: what was known to be sold out may not be any more."""
        line = self._lines.get(show)
        if line is not None:
            line.gate.hear(drop, revision)

    def open(self, show: str) -> None:
        """Take in that this process has changed the show's stock in another way."""
        line = self._lines.get(show)
        if line is not None:
            line.gate.open()

    async def aclose(self) -> None:
        """Break off what is under way; whoever waits is told. Owed numbers are left to the worker of the due index."""
        tasks = list(self._tasks)
        await asyncio.sleep(0)  # a task that never ran would tell nobody
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for line in self._lines.values():
            while line.answered:
                _tell(*line.answered.popleft())
        await self._flusher.aclose()

    def _new(self, show: str) -> Line:
        if len(self._lines) >= MOST_LINES:
            self._lines = {name: line for name, line in self._lines.items() if line.running or line.answered}
        line = self._lines[show] = Line(self._most)
        return line

    async def _serve(self, show: str, line: Line) -> None:
        """Take step after step until nobody waits; whoever is left when that is broken off is told."""
        asks: list[Ask] = []
        try:
            while line.waiting:
                asks = self._taken(line)
                if asks:
                    await self._step(show, line, asks)
                asks = []
        finally:
            line.running = False
            left, line.waiting, line.operations = (*asks, *line.waiting), deque(), 0
            _tell_all(left, unavailable("The server stopped before this was answered."))

    def _taken(self, line: Line) -> list[Ask]:
        """Take the next step's operations off the line; who is not there any more or waited too long is no part."""
        asks: list[Ask] = []
        waiting, room, late = line.waiting, line.limit, monotonic() - PATIENCE_SECONDS
        while waiting and (not asks or len(waiting[0].items) <= room):
            ask = waiting.popleft()
            line.operations -= len(ask.items)
            if ask.gone is not None and ask.gone():
                continue
            if ask.since < late:
                _tell(ask, unavailable(f"Nothing was sent: {PATIENCE_SECONDS:g} s went by in the line."))
                continue
            asks.append(ask)
            room -= len(ask.items)
        return asks

    async def _step(self, show: str, line: Line, asks: list[Ask]) -> None:
        """Carry operations out together and tell everybody."""
        try:
            if self._gated:
                asks = await self._refused_here(show, line, asks)
            try:
                if asks:
                    await self._carry_out(show, line, asks)
            except FullError as full:  # nothing of it was done
                asks = _giving_back(asks, full)
                if asks:
                    await self._carry_out(show, line, asks, self._scripts.give_back)
        except Problem as problem:
            _tell_all(asks, problem)
        except Exception:
            log.exception("batch.failed", show=show, operations=len(asks))
            _tell_all(asks, unavailable("The step failed inside the server; its outcome is unknown."))

    async def _carry_out(
        self, show: str, line: Line, asks: list[Ask], run: Callable[..., Awaitable[Any]] | None = None
    ) -> None:
        told = batch.packed(asks, self._terms)
        began = monotonic()
        with tracing.step(show, asks):
            answer = unpacked(await (run or self._scripts.run)("hold_batch", {"show": show}, batch=told))
        metrics.STEP_OPERATIONS.observe(len(told["ids"]))
        metrics.STEP_SECONDS.observe(monotonic() - began)
        self._flusher.owe(show, answer["owed"])
        line.limit = self._next_limit(line.limit, len(told["ids"]), answer["spent_us"])
        seen = batch.seen(answer, told["drops"])
        if any(ask.verb == "release" for ask in asks):
            line.gate.open()  # who gives back names no drop, so the step does not say what it saw of it
        line.gate.learn(seen.values(), began)
        while line.answered:  # noqa: ASYNC110  of the step before: two or three turns
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(self._answer, show, line, asks, answer, seen)

    def _answer(
        self, show: str, line: Line, asks: list[Ask], answer: dict[str, Any], seen: dict[str, Seen]
    ) -> None:
        """Make the outcomes of a step that is done, and begin to tell them."""
        try:
            line.answered.extend(zip(asks, batch.outcomes(show, asks, answer, seen), strict=True))
        except Exception:
            log.exception("batch.failed", show=show, operations=len(asks))
            _tell_all(asks, unavailable("The step failed inside the server; its outcome is unknown."))
        self._tell_some(line)

    def _tell_some(self, line: Line) -> None:
        """Tell the next outcomes, and go on in the loop's next turn where there are more."""
        for _ in range(min(TURN, len(line.answered))):
            _tell(*line.answered.popleft())
        if line.answered:
            asyncio.get_running_loop().call_soon(self._tell_some, line)

    def _next_limit(self, limit: int, operations: int, spent_us: int) -> int:
        """Return how many operations the next step may have, from what this one cost the store."""
        if spent_us <= 0 or operations < FEWEST_OPERATIONS:
            return limit
        aim = int(operations * STEP_US / spent_us)
        return max(FEWEST_OPERATIONS, min(self._most, (limit + aim) // 2))

    async def _refused_here(self, show: str, line: Line, asks: list[Ask]) -> list[Ask]:
        """Refuse what is known to be gone, where that is the whole answer; return what only a step can answer."""
        now = monotonic()
        refusals = [(ask, line.gate.refusal(ask, now)) for ask in asks]
        gone = [(ask, refusal) for ask, refusal in refusals if refusal is not None]
        if not gone:
            return asks
        items = [ask.items[0] for ask, _ in gone]
        known: list[int] = await self._scripts.run(
            "hold_known",
            {"show": show},
            reservations=[own for own, _, _ in items],
            viewers=[ask.viewer for ask, _ in gone],
            drops=[drop for _, drop, _ in items],
            quantities=[units for _, _, units in items],
        )
        others = {id(ask) for (ask, _), there in zip(gone, known, strict=True) if there}
        for ask, refusal in gone:
            if id(ask) not in others:
                _tell(ask, refusal)
        metrics.GATED.inc(len(gone) - len(others))
        return [ask for ask, refusal in refusals if refusal is None or id(ask) in others]


def full(waiting: int) -> Problem:
    """Return the problem for who finds the line full: nothing was sent."""
    detail = f"{waiting} operations are waiting in this show already; nothing was sent."
    return Problem(Code.RATE_LIMITED, detail, retry_after_ms=RETRY_MS)


def _giving_back(asks: list[Ask], refusal: Problem) -> list[Ask]:
    """Refuse those that want something, and return the others."""
    _tell_all((ask for ask in asks if ask.verb not in GIVES_BACK), refusal)
    return [ask for ask in asks if ask.verb in GIVES_BACK]


def _tell_all(asks: Iterable[Ask], problem: Problem) -> None:
    for ask in asks:
        _tell(ask, problem)


def _tell(ask: Ask, outcome: Outcome) -> None:
    """Give an operation its outcome, the first one only; nobody hears it where its asker has gone."""
    done, ask.done = ask.done, None
    if done is None or (ask.gone is not None and ask.gone()):
        return
    try:
        done(outcome)
    except (Exception, asyncio.CancelledError):  # what was cancelled is the listener's own
        log.exception("batch.unheard", show=ask.show, verb=ask.verb)
