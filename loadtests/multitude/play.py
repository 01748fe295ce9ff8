"""The play: a multitude arrives; rounds with and without stalled viewers take turns; all are dropped and return."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from loadtests.bench.meter import cpu_seconds
from loadtests.multitude.beside import repeated, watched
from loadtests.multitude.company import company
from loadtests.multitude.outcome import Expected, Flood, Nap, Outcome, Round, Storm, missing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from loadtests.multitude.company import Company
    from loadtests.multitude.figures import Census
    from loadtests.multitude.outcome import Plan
    from loadtests.multitude.scene import Scene

    Say = Callable[[str], None]

ARRIVAL_SECONDS = 60.0  # beyond the planned ones
SLEEPERS_SECONDS = 0.5  # for those who stall to come anew
OTHERS_SECONDS = 1.0  # for those who stay
EVENT_SECONDS = 30.0  # for one event to reach everybody
SETTLE_SECONDS = 30.0  # until everybody has everything; whoever has not then is evidence
POLL_SECONDS = 0.005
LOOK_SECONDS = 0.1  # between looks at a group
WARM_UP_EVENTS = 5
MS = 1_000_000


class PlayError(Exception):
    """The play cannot go on, because the server does not do its part; the sentence says which."""


class Play:
    """One run: `scene` is the show, `crowd` everybody who watches it, of three kinds.

    The viewers read all the time. The sleepers stop reading, and are there only to do that. The others come for the
    end, when all viewers are dropped.
    """

    def __init__(self, scene: Scene, crowd: Company, plan: Plan, say: Say) -> None:
        self.scene = scene
        self.crowd = crowd
        self.plan = plan
        self.say = say
        self.viewers = range(plan.viewers)
        self.sleepers = range(plan.viewers, plan.viewers + plan.stalled)
        self.others = range(plan.viewers + plan.stalled, plan.viewers + plan.stalled + plan.others)

    async def run(self, outcome: Outcome) -> None:
        """Play it all, writing down what comes out as it comes. Raises PlayError where it cannot go on."""
        plan = self.plan
        self.say(f"{plan.viewers:,} viewers come, within {plan.arrival_seconds:g} s …")
        await self.arrive()
        for number in range(plan.repetitions):
            for stalling in (False, True) if number % 2 == 0 else (True, False):
                beside = f"beside {plan.stalled} who do not read" if stalling else "nobody beside them"
                self.say(f"{plan.events} events and {plan.changes:,} stock changes, {beside} …")
                outcome.rounds.append(await self.round(stalling=stalling))
        self.say(f"{plan.stalled} do not read for {plan.nap_events} events …")
        outcome.nap = await self.nap()
        self.say(f"{plan.flood_events:,} small events at once, beside {plan.stalled} who do not read …")
        outcome.flood = await self.flood()
        self.say(f"All {plan.viewers:,} are dropped and return within {plan.return_seconds:g} s …")
        outcome.storm = await self.storm()

    async def arrive(self) -> None:
        """Let all come, and write a few events that nobody measures."""
        plan, tokens = self.plan, self.scene.tokens
        await self.crowd.enlist(tokens("viewer", plan.viewers))
        await self.crowd.enlist(tokens("sleeper", plan.stalled), narrow=True)
        await self.crowd.enlist(tokens("other", plan.others))
        await self.crowd.arrive(self.viewers, plan.arrival_seconds)
        await self._all_here(self.viewers)
        await self.crowd.keep_time(self.viewers)
        await self._events(WARM_UP_EVENTS, plan.viewers, plan.event_bytes)

    async def round(self, *, stalling: bool) -> Round:
        """Write events and change the stock, with or without sleepers; in the end these read on, and leave."""
        plan, pids = self.plan, (self.scene.pid, self.crowd.pid)
        if stalling:
            await self._fall_asleep()
        await self.crowd.keep_time(self.viewers)
        async with watched(self.scene.pid) as memory:
            began = [cpu_seconds(pid) for pid in pids]
            asked = await self._events(plan.events, plan.viewers, plan.event_bytes)
            used = [cpu_seconds(pid) - before for pid, before in zip(pids, began, strict=True)]
            burst = await self.scene.burst(plan.changes)
            expected = Expected(self.scene.offset, burst.final)
            viewers = await self._settle(self.viewers, expected)
        sleepers = await self._wake(expected) if stalling else None
        await self.scene.check()
        return Round(
            expected=expected,
            viewers=viewers,
            sleepers=sleepers,
            deliveries=await self.crowd.deliveries(asked),
            last_value_ms=max(0, viewers.stock_at - burst.ended_at) / MS,
            burst_seconds=burst.seconds,
            cpu_micros=1e6 * used[0] / (plan.events * plan.viewers),
            audience_micros=1e6 * used[1] / (plan.events * plan.viewers),
            resident_before=memory.before,
            resident_peak=memory.peak,
        )

    async def nap(self) -> Nap:
        """Let sleepers miss a few events and one stock change, and read on: they must be told all of it."""
        await self._fall_asleep()
        await self.crowd.keep_time(self.viewers)
        await self._events(self.plan.nap_events, self.plan.viewers, self.plan.event_bytes)
        expected = Expected(self.scene.offset, (await self.scene.burst(1)).final)
        await self._settle(self.viewers, expected)
        return Nap(expected, await self._wake(expected))

    async def flood(self) -> Flood:
        """Write small events as fast as it goes: many share a write, and all of them wait for the sleepers."""
        await self._fall_asleep()
        async with watched(self.scene.pid) as memory:
            began = time.monotonic()
            for _ in range(self.plan.flood_events):
                await self.scene.pin(self.plan.flood_bytes)
            expected = Expected(self.scene.offset, await self.scene.stock())
            viewers = await self._settle(self.viewers, expected)
            seconds = time.monotonic() - began
        sleepers = await self._wake(expected)
        return Flood(expected, viewers, sleepers, seconds, memory.before, memory.peak)

    async def storm(self) -> Storm:
        """Cut all viewers off at once and let them return, while events go on and others stay.

        The stock changes only while the first half returns: the second half must be told its numbers all the same.
        """
        plan, crowd = self.plan, self.crowd
        await crowd.arrive(self.others, OTHERS_SECONDS)
        await self._all_here(self.others)
        await crowd.keep_time(self.others)
        size = plan.return_event_bytes
        before = await crowd.deliveries(await self._events(plan.events, plan.others, size))
        book = await crowd.book()
        began = time.monotonic()
        await crowd.vanish(self.viewers)
        await crowd.arrive(self.viewers, plan.return_seconds)
        async with self._writing(changing_until=began + plan.return_seconds / 2) as asked:
            await self._all_here(self.viewers)
            seconds = time.monotonic() - began
        expected = Expected(self.scene.offset, await self.scene.stock())
        viewers = await self._settle(self.viewers, expected)
        others = await self._settle(self.others, expected)
        await self.scene.check()
        after = await crowd.book()
        return Storm(
            expected=expected,
            viewers=viewers,
            others=others,
            recovered=after.recovered - book.recovered,
            pictures=after.pictures - book.pictures,
            refused=after.refused - book.refused,
            seconds=seconds,
            before=before,
            during=await crowd.deliveries(asked),
        )

    async def _fall_asleep(self) -> None:
        """Let the sleepers come and stop reading.

        They come twice: to catch up, and then with hardly anything to read. To a connection that has read for a
        while the kernel sends megabytes ahead, and its stalling would cost the server nothing.
        """
        for _ in range(2):
            await self.crowd.vanish(self.sleepers)
            await self.crowd.arrive(self.sleepers, SLEEPERS_SECONDS)
            await self._all_here(self.sleepers)
            await self._settle(self.sleepers, Expected(self.scene.offset, await self.scene.stock()))
        await self.crowd.stall(self.sleepers)

    async def _wake(self, expected: Expected) -> Census:
        """Let the sleepers read on until they have everything or were closed, or long enough; then they leave."""
        await self.crowd.resume(self.sleepers)
        deadline = time.monotonic() + SETTLE_SECONDS
        while missing("", census := await self.crowd.census(self.sleepers), expected, whole=False):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(LOOK_SECONDS)
        await self.crowd.vanish(self.sleepers)
        return census

    async def _events(self, count: int, audience: int, size: int) -> dict[int, int]:
        """Write events, each when all of the timed have the one before; return when which offset was asked for."""
        asked = {}
        for _ in range(count):
            asked_at = await self.scene.pin(size)
            asked[self.scene.offset] = asked_at
            await self._reaches(self.scene.offset, audience)
            await asyncio.sleep(self.plan.pause_seconds)
        return asked

    async def _reaches(self, offset: int, audience: int) -> None:
        deadline = time.monotonic() + EVENT_SECONDS
        while (count := await self.crowd.delivered(offset)) < audience:
            if time.monotonic() > deadline:
                raise PlayError(f"Event {offset} reached {count} of {audience} in {EVENT_SECONDS:.0f} s.")
            await asyncio.sleep(POLL_SECONDS)

    @asynccontextmanager
    async def _writing(self, changing_until: float) -> AsyncIterator[dict[int, int]]:
        """Write an event every now and then until the end of the block; give when which offset was asked for.

        Until that moment (monotonic seconds) the stock changes with each.
        """
        asked: dict[int, int] = {}

        async def write() -> None:
            asked_at = await self.scene.pin(self.plan.return_event_bytes)
            asked[self.scene.offset] = asked_at
            if time.monotonic() < changing_until:
                await self.scene.burst(self.plan.return_changes)

        async with repeated(write, self.plan.return_events_every):
            yield asked

    async def _all_here(self, group: Sequence[int]) -> None:
        """Wait until a group is connected and welcomed. Raises PlayError."""
        deadline = time.monotonic() + self.plan.arrival_seconds + ARRIVAL_SECONDS
        while (census := await self.crowd.census(group)).here < census.size:
            if time.monotonic() > deadline:
                raise PlayError(f"{census.here} of {census.size} came; closed: {dict(census.closes)}.")
            await asyncio.sleep(LOOK_SECONDS)

    async def _settle(self, group: Sequence[int], expected: Expected) -> Census:
        """Wait until a group has everything, or long enough; return how it stands then."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while missing("", census := await self.crowd.census(group), expected):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(LOOK_SECONDS)
        return census


async def perform(scene: Scene, plan: Plan, say: Say) -> Outcome:
    """Play it all, or up to the point where it cannot go on. Raises SceneError, CompanyError."""
    outcome = Outcome(plan)
    with company(scene.url, scene.show) as crowd:
        try:
            await Play(scene, crowd, plan, say).run(outcome)
        except PlayError as error:
            outcome.stopped = str(error)
        outcome.book = await crowd.book()
    return outcome
