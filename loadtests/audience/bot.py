"""A bot: floods, asks for more than the limit, sends nonsense. All of it must be refused, and harm nobody else."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec

from loadtests import habits
from loadtests.audience.asking import ANSWER_SECONDS
from loadtests.audience.intents import BOT
from loadtests.audience.viewers import Lurker
from loadtests.habits import drawn
from server.errors import CLOSE_MALFORMED, CLOSE_TOO_MANY_MESSAGES, Code
from server.protocol.codec import pack

if TYPE_CHECKING:
    from loadtests.audience.line import Ended
    from loadtests.audience.numbers import Message
    from loadtests.audience.venue import Venue
    from loadtests.audience.wire import Told

NOWHERE = "dr_of_nobody"  # a drop that there is not
THROWN_OUT = frozenset({CLOSE_TOO_MANY_MESSAGES, CLOSE_MALFORMED})
NONSENSE: tuple[dict[str, Any], ...] = (
    {"type": "reserve", "quantity": 0},
    {"type": "reserve", "quantity": -1},
    {"type": "reserve", "quantity": 10**15},
    {"type": "reserve", "quantity": "two"},
    {"type": "reserve", "quantity": 1, "drop": NOWHERE},
    {"type": "reserve", "quantity": 1, "drop": "x" * 300},
    {"type": "reserve"},
    {"type": "release", "reservation": "rs_of_somebody_else"},
    {"type": "release"},
    {"type": "buy", "everything": True},
    {"type": ["reserve"], "quantity": 1},
    {},
)


class Bot(Lurker):
    """A viewer of bad will, for as long as the run lasts."""

    kind_name = BOT

    def __init__(self, venue: Venue, number: int) -> None:
        super().__init__(venue, number)
        self._refusals = 0

    async def live(self) -> None:
        """Attack, breathe, and come back when thrown out."""
        if not await self.arrive():
            return
        attacks = (self.ask_beyond, self.send_nonsense, self.flood)
        weights = (habits.ASKS_BEYOND_THE_LIMIT, habits.SENDS_NONSENSE, habits.FLOODS)
        while self.venue.elapsed() < self.venue.plan.seconds:
            if self.here:
                await self.random.choices(attacks, weights)[0]()
            await asyncio.sleep(drawn(self.random, habits.BOT_BREATH))

    async def ask_beyond(self) -> None:
        """Ask for more than the limit of whatever is on sale."""
        drop = self._any_drop()
        terms = self.venue.terms.get(drop)
        quantity = (terms.limit_per_viewer if terms is not None else 1) + 1 + self.random.randrange(3)
        asked_at = time.monotonic()
        answer = await self.ask(
            {"type": "reserve", "id": self.operation(), "drop": drop, "quantity": quantity}, repeats=0
        )
        if answer["type"] == "error":
            self.refused("reserve", drop, answer["code"], asked_at, quantity)
        else:
            self.breach(f"{quantity} units of {drop} were given to a bot, beyond the limit")

    async def send_nonsense(self) -> None:
        """Send what is no command, each in its turn: it must be refused, or end the connection."""
        line, before = self.line, self._refusals
        for _ in range(habits.NONSENSE_IN_A_ROW):
            message = {"id": self.operation(), "drop": self._any_drop(), **self.random.choice(NONSENSE)}
            if line is not None:
                line.send_raw(pack(message) if self.codec.binary else msgspec.json.encode(message))
        await self._require_refusals(before + habits.NONSENSE_IN_A_ROW, "nonsense")

    async def flood(self) -> None:
        """Send more at once than anybody may."""
        before, drop = self._refusals, self._any_drop()
        for turn in range(habits.FLOOD_MESSAGES):
            ping: Message = {"type": "ping", "id": self.operation()}
            self.tell(ping if turn % 3 else {"type": "react", "kind": "heart", "count": 100})
        self.tell({"type": "reserve", "id": self.operation(), "drop": drop, "quantity": 0})
        await self._require_refusals(before + 1, "a flood")

    def expects(self, code: int) -> bool:
        """Whether a connection may end with a code: bots are thrown out."""
        return code in THROWN_OUT or super().expects(code)

    def away_for(self, ended: Ended) -> float | None:
        """Return after how many seconds it is back: whatever the server has said, it is a bot."""
        return max(ended.retry_ms / 1000, drawn(self.random, habits.BOT_AWAY))

    def answered(self, told: Told) -> None:
        """Count refusals."""
        if told.kind == "error":
            self._refusals += 1
            if told.message.get("code") == Code.RATE_LIMITED:
                self.venue.measures.refused("flood", Code.RATE_LIMITED)
        super().answered(told)

    def unasked_error(self, error: Message) -> None:
        """Take it: a bot has deserved it."""

    async def _require_refusals(self, count: int, what: str) -> None:
        """Wait until so many refusals have come in all, or the server has had enough."""
        line = self.line
        reached = await self.wait(
            lambda: self._refusals >= count or self.line is not line, time.monotonic() + ANSWER_SECONDS
        )
        if not reached and self.line is line:
            self.breach(f"{what} was not refused within {ANSWER_SECONDS:g} s")

    def _any_drop(self) -> str:
        """Return a drop that can be taken from, else any, else one that there is not."""
        drops = self.watch.drops
        return next(
            (drop for drop, seen in drops.items() if seen.status == "open"), next(iter(drops), NOWHERE)
        )
