"""All simulated people of one process: made, looked after, written down. Everything in here runs in their loop.

Its files are the run's: `seen-<pid>.json` and `accounts-<pid>.ndjson` at the end, `live-<pid>.json` every second.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import time
from typing import TYPE_CHECKING

import msgspec

from loadtests.audience.asking import LOOK_SECONDS, NoAnswerError, give_up
from loadtests.audience.bot import Bot
from loadtests.audience.hosting import Host
from loadtests.audience.http import HttpError
from loadtests.audience.intents import BOT, BUYER, HOARDER, LURKER, kind_of
from loadtests.audience.measures import LAG, LIVE_SECONDS
from loadtests.audience.numbers import wrong_stock
from loadtests.audience.viewers import Buyer, Hoarder, Lurker
from loadtests.habits import STOP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    from loadtests.audience.person import Person
    from loadtests.audience.venue import Venue
    from loadtests.plan import Plan

KINDS: dict[str, type[Lurker]] = {BUYER: Buyer, HOARDER: Hoarder, BOT: Bot, LURKER: Lurker}
LIVE_EVERY = 1.0
PROBE_EVERY = 1.0
PANEL = 100  # viewers whose numbers are held against the truth, each time
PINGS, PING_PAUSE, PING_EVERY = 8, 0.03, 5.0  # to learn the server's clock: at first, and then on
YOUNG_OBJECTS = 100_000  # made between two looks for garbage: people are many, and none of them is any


class Crowd:
    """The people of one process at one venue; `folder` takes their files. Made and used in the loop's thread."""

    def __init__(self, venue: Venue, folder: Path) -> None:
        self.venue = venue
        self.people: list[Person] = []
        self._folder = folder
        self._tasks: set[asyncio.Task[Any]] = set()
        self._hosting: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to look after the people."""
        gc.set_threshold(YOUNG_OBJECTS, 20, 50)
        asyncio.get_running_loop().set_exception_handler(self._fault)
        for coroutine in (self._sweep(), self._write_live(), self._keep_time(), self._probe()):
            self._tasks.add(asyncio.get_running_loop().create_task(coroutine))

    def enlist(self, numbers: Iterable[int], kind: str = "") -> None:
        """Let the viewers of these numbers live, each as their kind (none given: as the plan's mix has it)."""
        kinds, _ = cast_of(self.venue.plan)
        for number in numbers:
            person = kinds[kind or kind_of(self.venue.plan.mix, number)](self.venue, number)
            person.begin(person.live())
            self.people.append(person)

    def host(self) -> None:
        """Let the host sell what the plan has."""
        _, host = cast_of(self.venue.plan)
        self._hosting = asyncio.get_running_loop().create_task(host(self.venue).live())

    @property
    def idle(self) -> bool:
        """Whether the run's time is over, and everything that was begun is done or has had its time to be."""
        over = self.venue.elapsed() - self.venue.plan.seconds
        if over < 0:
            return False
        hosting = self._hosting is not None and not self._hosting.done()
        return over > STOP_SECONDS or not (hosting or any(person.busy for person in self.people))

    async def close(self) -> None:
        """End everybody and leave the files."""
        self.venue.closing = True
        tasks = [*self._tasks, *([self._hosting] if self._hosting is not None else [])]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                self.venue.measures.failed("generator", repr(error))
        for person in self.people:
            person.end()
        self.venue.close()
        self._write()
        await asyncio.sleep(0)
        gc.freeze()  # the process is about to end, and looking through all people for garbage takes a second

    def _fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Count what went wrong in here, where no journey can know of it."""
        self.venue.measures.failed("generator", repr(context.get("exception", context["message"])))

    def _write(self) -> None:
        lines = b"\n".join(msgspec.json.encode(person.account) for person in self.people)
        replace(self._folder / f"accounts-{os.getpid()}.ndjson", lines + b"\n" if lines else b"")
        seen = self.venue.measures.seen(len(self.people), self.venue.clock)
        replace(self._folder / f"seen-{os.getpid()}.json", msgspec.json.encode(seen))
        self._live_file().unlink(missing_ok=True)

    def _live_file(self) -> Path:
        return self._folder / f"live-{os.getpid()}.json"

    async def _write_live(self) -> None:
        while True:
            await asyncio.sleep(LIVE_EVERY)
            here = sum(person.here for person in self.people)
            seen = self.venue.measures.seen(here, self.venue.clock, last_seconds=LIVE_SECONDS)
            replace(self._live_file(), msgspec.json.encode(seen))

    async def _sweep(self) -> None:
        while True:
            due = time.monotonic() + LOOK_SECONDS
            await self.venue.until(due)
            self.venue.measures.took(LAG, time.monotonic() - due)
            give_up(self.venue.asked)

    async def _keep_time(self) -> None:
        """Learn the server's clock from pings of whoever is here."""
        for turn in itertools.count():
            await asyncio.sleep(PING_PAUSE if turn < PINGS else PING_EVERY)
            person = next((one for one in self.people if one.here and not one.narrow), None)
            while person is None:
                await asyncio.sleep(PING_PAUSE)
                person = next((one for one in self.people if one.here and not one.narrow), None)
            asked_at = time.monotonic()
            try:
                answer = await person.ask({"type": "ping", "id": person.operation()}, repeats=0)
            except NoAnswerError:
                continue
            if answer["type"] == "pong":
                self.venue.heard_time(answer["server_time_at"], asked_at)

    async def _probe(self) -> None:
        """Look at the truth of what is open, and measure how long a panel of viewers still has older numbers."""
        while True:
            await asyncio.sleep(PROBE_EVERY)
            panel = [one for one in self.people if one.here and not one.narrow][:PANEL]
            drops = panel[0].watch.drops if panel else {}
            for drop in [name for name, seen in drops.items() if seen.status == "open"]:
                asked_at = time.monotonic()
                try:
                    answer = await self.venue.call("GET", f"/v1/shows/{self.venue.show}/drops/{drop}")
                except HttpError:
                    continue
                if answer.code or "revision" not in answer.body:
                    continue
                for sentence in wrong_stock(drop, answer.body):
                    self.venue.measures.failed("promise", sentence)
                for person in panel:
                    if person.here and drop in person.watch.drops:
                        person.expect(drop, answer.body["revision"], asked_at)


def cast_of(plan: Plan) -> tuple[dict[str, type[Lurker]], type[Host]]:
    """Return who plays the viewers, by kind, and the host: those of the plan's recording, if it has one."""
    if not plan.recording:
        return KINDS, Host
    from loadtests.recording.hosting import RecordedHost  # noqa: PLC0415  only runs of a recording need them
    from loadtests.recording.player import Player  # noqa: PLC0415

    return dict.fromkeys(KINDS, Player), RecordedHost


def replace(path: Path, content: bytes) -> None:
    """Put a file in its place as a whole: who reads it sees the old or the new one."""
    made = path.with_name(f".{path.name}")
    made.write_bytes(content)
    made.replace(path)


def begin_of(folder: Path) -> float:
    """Return the run's begin, Unix seconds of this machine's clock: now, where nobody has begun it."""
    path, mine = folder / "began", folder / f".began-{os.getpid()}"
    mine.write_text(f"{time.time():.6f}")
    try:
        os.link(mine, path)  # fails where it is there already, and never shows half of it
    except FileExistsError:
        pass
    finally:
        mine.unlink()
    return float(path.read_text())
