"""A simulated person's presence in a show: connect, keep the place in the log, lose the connection, return.

They believe nothing: every message is held against the server's promises (`watch`), and what breaks one stands in
their account.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from random import Random
from typing import TYPE_CHECKING

from loadtests.audience.doing import Doing, generic
from loadtests.audience.line import VANISHED, Ended, Line
from loadtests.audience.measures import HELLO, RECOVERY, RETURN, STALENESS, WAITED
from loadtests.audience.watch import Watch
from loadtests.seen import Account
from server.challenge import MOST_BITS
from server.client.work import search
from server.errors import CLOSE_FINAL_FROM, CLOSE_LEAVING, CLOSE_POSITION_LOST, CLOSE_TOO_SLOW
from server.protocol.codec import Codec

if TYPE_CHECKING:
    from loadtests.audience.numbers import Message
    from loadtests.audience.venue import Venue
    from loadtests.audience.wire import Told

WELCOME_SECONDS = 15.0
WORK_SECONDS = 60.0  # for the work that a server may ask for first
TRIED_AT_ONCE = 1000  # numbers, between two turns of the loop: a thread of their own would be one of Locust's
ENOUGH_SECONDS = 10.0  # for what has to have happened when the run ends
GIVE_UP_SECONDS = 60.0  # of trying to connect
BACKOFF_SECONDS = (0.2, 5.0)  # the first, and the longest, where the server names no time
BREACHES_KEPT = 16
WELCOMED = Ended(1, "", 0)  # a connection that has not ended
ENTRANCE = frozenset({"waiting", "challenge"})  # what may come before a welcome
NUMBERS = frozenset({"viewers.updated", "reactions"})  # for everybody, beside the stock's
ABOUT_A_DROP = frozenset({"drop.scheduled", "drop.countdown", "drop.opened"})


class Presence(Doing):
    """Viewer `number` of the run; with the plan's seed the number decides what they do."""

    def __init__(self, venue: Venue, number: int, kind: str) -> None:
        super().__init__(venue)
        self.number = number
        self.kind = kind
        self.name = f"load-{int(venue.began_at * 1000) % 10**9:09d}-{number}"
        self.random = Random(f"{venue.plan.seed}/{number}")  # for what has to be decided on the way
        self.codec = (Codec.MSGPACK, Codec.JSON)[number % 2]
        self.account = Account(viewer=self.name, kind=kind)
        self.watch = Watch(binary=self.codec.binary)
        self.token = ""
        self.narrow = False  # whether they read slowly
        self.line: Line | None = None
        self.here_since = 0.0  # the monotonic moment of the last welcome
        self.present_since = (
            0.0  # and of the one after their last absence: they came, or came back, by themselves
        )
        self.absences = 0  # how often they have left, or the plan has cut them off
        self.behind: dict[str, tuple[int, float]] = {}  # drop -> a revision that is true already, since when
        self._wanted = False  # to be connected
        self._wanted_since = 0.0  # and the monotonic moment from which they meant to
        self._cut_at = 0.0  # the monotonic moment at which the last connection ended
        self._greeting: asyncio.Future[Ended] | None = None
        self._patience: asyncio.Timeout | None = None  # of the connection that is not welcomed yet
        self._waits_since = (
            0.0  # the monotonic moment at which they came into the waiting room; 0.0: they are not in it
        )
        self._queued = False  # whether the last connection has led there
        self._proof: Message = {}  # of the work that was asked for last

    # Coming and going.

    @property
    def here(self) -> bool:
        """Whether they are connected and welcomed."""
        return self.line is not None and self.watch.welcomed

    @property
    def away(self) -> bool:
        """Whether they are not connected because they have left, or the plan has cut them off."""
        return not self._wanted

    @property
    def busy(self) -> bool:
        """Whether something is not done yet; who has only ever waited for a seat has nothing to do."""
        return super().busy and not (self._waits_since and not self.watch.epoch)

    async def come(self, intended: float | None = None) -> bool:
        """Connect and say hello, with their place where they have one; try again as the server allows.

        Measured from `intended`, a monotonic moment (None: now). False where it can never be, or took too long.
        """
        came = await self._connect(intended)
        self.present_since = self.here_since
        return came

    async def _connect(self, intended: float | None = None) -> bool:
        first, place = time.monotonic() if intended is None else intended, self.watch.place
        self._wanted, self._wanted_since = True, first
        if not self.token:
            self.token = await self.venue.token(self.name)
            first = max(first, time.monotonic())
        deadline, wait = time.monotonic() + GIVE_UP_SECONDS, BACKOFF_SECONDS[0]
        while self._wanted:
            ended = await self._dial()
            if ended is WELCOMED:
                self._arrived(first, returned=place is not None)
                return True
            self.venue.measures.refused("connect", ended.reason)
            if self._queued:  # their place is kept for a while
                deadline = time.monotonic() + GIVE_UP_SECONDS
            if ended.code >= CLOSE_FINAL_FROM or not self.token or time.monotonic() > deadline:
                self.venue.measures.failed(HELLO, ended.reason)
                self._waits_no_longer()
                break
            await asyncio.sleep(max(ended.retry_ms / 1000, wait) * self.random.uniform(1.0, 1.5))
            wait = min(2 * wait, BACKOFF_SECONDS[1])
        self._wanted = False
        return False

    def cut(self) -> None:
        """Lose the connection as to a dead network; `come` returns to the place in the log."""
        line = self._forget_line()
        if line is not None:
            line.cut()

    def leave(self) -> None:
        """Say goodbye and go; `come` returns to the place in the log."""
        line = self._forget_line()
        if line is not None:
            line.leave()

    def breach(self, sentence: str) -> None:
        """Keep a broken promise as evidence."""
        if len(self.account.breaches) < BREACHES_KEPT:
            self.account.breaches.append(sentence)
        self.venue.measures.failed("promise", generic(sentence))

    def expect(self, drop: str, revision: int, since: float) -> None:
        """Measure how stale this viewer's numbers are: a revision is true since a monotonic moment."""
        if self.watch.drops[drop].revision >= revision:
            self.venue.measures.took(STALENESS, 0.0)
        else:
            self.behind.setdefault(drop, (revision, since))

    def end(self) -> None:
        """Stop everything, complete the account and leave."""
        self.stop()
        watch, account, now = self.watch, self.account, time.monotonic()
        account.connected = self.here
        account.epoch, account.offset = watch.epoch, watch.offset
        account.gaps, account.repeats, account.snapshots = watch.gaps, watch.repeats, watch.snapshots
        if account.connected and not watch.caught_up and now - self.here_since > ENOUGH_SECONDS:
            self.breach(
                f"was promised all events up to {watch.live_from} and told those up to {watch.offset}"
            )
        waited = self._waits_no_longer()
        if self._wanted and not (account.connected or waited) and now - self._wanted_since > ENOUGH_SECONDS:
            self.venue.measures.failed(
                HELLO, f"not welcomed in {ENOUGH_SECONDS:g} s and more when the run ended"
            )
        self.leave()

    def answered(self, told: Told) -> None:
        """Hear what is for this viewer alone; kept by who asks."""

    def arrived(self) -> None:
        """Know that a connection has begun; kept by who asks."""

    # What a line calls.

    def greet(self, line: Line) -> None:
        """Say hello."""
        hello: Message = {"type": "hello", "token": self.token}
        more = {"since": self.watch.place, "proof": self._proof}
        line.send(hello | {name: known for name, known in more.items() if known})

    def hear(self, told: Told) -> None:
        """Hold a message against the promises, and do what it asks for."""
        self.venue.measures.messages += 1
        if told.kind in ENTRANCE and not self.watch.welcomed:
            self._held_up(told)
            return
        for sentence in self.watch.take(told):
            self.breach(sentence)
        if told.live:
            if self.behind:
                self._catch_up(told)
        elif told.kind in ABOUT_A_DROP:
            self._heard_of(told)
        elif told.kind == "welcome":
            self._welcomed(told)
        elif not told.offset and told.kind not in NUMBERS:
            self.answered(told)
        if self._waits:
            self.heard()

    def lose(self, line: Line, ended: Ended) -> None:
        """Know that a connection has ended without our will, and come back where that may be."""
        if line is not self.line:
            return
        self.line = None
        self._cut_at = time.monotonic()
        if self._greeting is not None and not self._greeting.done():
            self._greeting.set_result(ended)
        elif self._wanted and not self.venue.closing:
            self.venue.measures.refused("closed", str(ended.code))
            if not self.expects(ended.code):
                self.venue.measures.failed("closed", ended.reason)
            wait = self.away_for(ended)
            if wait is not None:
                self.begin(self._return(ended, wait))

    def expects(self, code: int) -> bool:
        """Whether the plan of this run lets the server end this viewer's connection with a close code."""
        if code == CLOSE_TOO_SLOW:
            return self.narrow
        return code == CLOSE_POSITION_LOST or (
            bool(self.venue.plan.deploys) and code in {CLOSE_LEAVING, VANISHED}
        )

    def away_for(self, ended: Ended) -> float | None:
        """Return the seconds after which this viewer comes back, or None where they may not."""
        if ended.code >= CLOSE_FINAL_FROM:
            return None
        return max(ended.retry_ms / 1000, BACKOFF_SECONDS[0]) * self.random.uniform(1.0, 1.5)

    def _forget_line(self) -> Line | None:
        line, self.line = self.line, None
        self.absences += 1
        self._wanted = False
        self._cut_at = time.monotonic()
        return line

    async def _dial(self) -> Ended:
        """Connect once; return how that ended, or `WELCOMED`."""
        venue, loop = self.venue, asyncio.get_running_loop()
        greeting: asyncio.Future[Ended] = loop.create_future()
        self._greeting = greeting
        self._queued = False
        self.watch.begin()
        self.behind.clear()
        line = self.line = Line(
            self, self.codec, venue.readers[self.codec], venue.requests[self.codec], narrow=self.narrow
        )
        try:
            async with asyncio.timeout(WELCOME_SECONDS) as self._patience:
                await loop.create_connection(
                    lambda: line,
                    venue.host,
                    venue.port,
                    ssl=venue.tls,
                    local_addr=venue.source(self.number),
                )
                return await greeting
        except TimeoutError:
            ended = Ended(0, f"no welcome within {WELCOME_SECONDS:g} s", 0)
        except OSError as error:
            ended = Ended(0, type(error).__name__, 0)
        finally:
            self._greeting = self._patience = None
        if self.line is line:
            self.line = None
        line.cut()
        return ended

    async def _return(self, ended: Ended, wait: float) -> None:
        """Come back after the server or the network has ended the connection."""
        cut_at = self._cut_at
        if ended.code == CLOSE_POSITION_LOST:
            self.watch.forget()
        await asyncio.sleep(wait)
        if self._wanted and self.line is None:
            self._cut_at = cut_at
            await self._connect()

    def _arrived(self, intended: float, *, returned: bool) -> None:
        self.venue.measures.took(HELLO, (self._waits_since or self.here_since) - intended)
        if not self._waits_no_longer() and returned:
            self.begin(self._catch_up_from(intended, self._cut_at))
        self.arrived()

    async def _catch_up_from(self, intended: float, cut_at: float) -> None:
        """Measure when all that was missed has been told."""
        if await self.wait(lambda: self.watch.caught_up, time.monotonic() + GIVE_UP_SECONDS):
            now = time.monotonic()
            self.venue.measures.took(RETURN, now - intended)
            self.venue.measures.took(RECOVERY, now - cut_at)

    def _catch_up(self, told: Told) -> None:
        name, stock, _ = told.drops[0]
        revision, since = self.behind.get(name, (-1, 0.0))
        if 0 <= revision <= stock.revision:
            del self.behind[name]
            self.venue.measures.took(STALENESS, time.monotonic() - since)

    # What messages ask for.

    def _welcomed(self, told: Told) -> None:
        self.here_since = time.monotonic()
        self.venue.learn(told)
        if self._greeting is not None and not self._greeting.done():
            self._greeting.set_result(WELCOMED)

    def _held_up(self, told: Told) -> None:
        """Wait for a seat for as long as it takes, or do the work that is asked for first."""
        if told.kind == "challenge":
            if self.line is not None:
                self.begin(self._work(self.line, **told.message))
            left: float | None = asyncio.get_running_loop().time() + WORK_SECONDS
        else:
            self._queued = True
            self._waits_since = self._waits_since or time.monotonic()
            left = None
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(left)

    def _waits_no_longer(self) -> bool:
        """Count the time that they had to wait for a seat; whether they had to."""
        since, self._waits_since = self._waits_since, 0.0
        if since:
            self.venue.measures.took(WAITED, time.monotonic() - since)
        return since > 0

    async def _work(self, line: Line, nonce: str, bits: int, **_: object) -> None:
        """Say hello again with the proof; too much work is not begun."""
        for first in itertools.count(0, TRIED_AT_ONCE) if bits <= MOST_BITS else ():
            answer = search(nonce, bits, range(first, first + TRIED_AT_ONCE))
            if self.line is not line:
                return
            if answer is not None:
                self._proof = {"nonce": nonce, "answer": answer}
                self.greet(line)
                return
            await asyncio.sleep(0)

    def _heard_of(self, told: Told) -> None:
        self.venue.learn(told)
        if told.kind == "drop.opened" and told.offset > self.watch.live_from and not self.narrow:
            at = told.message["at"] / 1000
            self.venue.measures.opened(told.message["drop"]["id"], at, self.venue.server_time() - at)
