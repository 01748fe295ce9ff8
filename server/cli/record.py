"""`livedrop record`: who comes and goes in a show, what is asked and what the host does, kept in a file.

It runs beside the servers and asks nothing of them but what they hand over while its lease lasts. It ends when it is
told to, when its time is up, when the show has ended, or when the file is full; the file is whole then. One that was
killed leaves a file that can be read as far as it goes.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from server import ids, logs
from server.cli.home import console, errors, fail
from server.clock import monotonic
from server.errors import Code, Problem
from server.eventlog import stream
from server.house import build
from server.protocol.codec import unpack_event
from server.shows.recordings import LEASE_MS, READ_LIMIT, Recordings
from server.shows.scribe import Scribe
from server.shows.tape import CLOCK, FORMAT, VERSION, End, Full, Header, Writer
from server.store.redis_clock import RedisClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.house import House
    from server.settings import Settings
    from server.shows.tape import Line

READ_SECONDS = 0.25
RENEW_SECONDS = 1.0
FLUSH_SECONDS = 2.0  # a recorder that is killed loses so much at most
LAST_SECONDS = 1.5  # in which processes hand over what they have, when a recording ends
STOPPED, TIME_UP, SHOW_ENDED = "it was told to end", "its time was up", "the show ended"
COMMANDS = frozenset({"reserve", "bundle", "release", "wait", "unwait"})

log = structlog.get_logger(__name__)


def record(settings: Settings, show: str, out: Path | None, seconds: float | None) -> None:
    """Record a show into a file that is not there yet, and say what it holds."""
    logs.configure(settings.log_level)
    try:
        asyncio.run(keep(settings, show, out, seconds))
    except Problem as problem:
        raise fail(problem.detail) from None
    except OSError as error:
        raise fail(f"The recording cannot be written: {error}") from None


async def keep(settings: Settings, show: str, out: Path | None, seconds: float | None) -> None:
    """Record a show. Raises Problem where it cannot be, and OSError where the file cannot be made."""
    house = build(settings)
    try:
        view, _host = await house.shows.find(show)
        if view["status"] == "ended":
            raise fail("This show has ended; there is nothing to record any more.")
        recorder = Recorder(house, show)
        began_at = await recorder.begin()
        path = out or Path(
            f"recording-{datetime.fromtimestamp(began_at / 1000, UTC):%Y%m%dT%H%M%SZ}.ndjson.gz"
        )
        try:
            with Writer(path) as writer:
                end = await recorder.run(writer, view, seconds)
        finally:
            await recorder.leave()
    finally:
        await house.aclose()
    _report(path, end)


def _report(path: Path, end: End) -> None:
    counts = end.counts
    commands = sum(count for kind, count in counts.items() if kind in COMMANDS)
    console.print(
        f"Recorded {end.at / 1000:,.1f} s, until {end.reason}: {end.viewers:,} viewers, "
        f"{counts.get('join', 0):,} connections, {commands:,} commands, {counts.get('checkout', 0):,} checkouts, "
        f"{counts.get('move', 0):,} moves of drops.",
        highlight=False,
        soft_wrap=True,
    )
    if end.lost or end.lost_batches or end.gaps_ms:
        errors.print(
            f"[yellow]It is not whole:[/] {end.lost:,} entries and {end.lost_batches:,} batches were lost; "
            f"for {end.gaps_ms / 1000:.1f} s the store could not be asked.",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"{path} ({path.stat().st_size / 1024:,.1f} KiB)", highlight=False, soft_wrap=True)


class Recorder:
    """One recording of one show; its secret is drawn here and is nowhere but here and in the lease."""

    def __init__(self, house: House, show: str) -> None:
        self._house = house
        self._show = show
        self._secret = ids.secret()
        self._recordings = Recordings(house.client, house.scripts)
        self._clock = RedisClock(house.client)
        self._began_at = self._leased_at = 0  # Unix ms of the store's clock
        self._renew_at = self._flush_at = 0.0
        self._gaps_ms = 0
        self._offset = 0  # of the newest event of the log that was taken
        self._place = ""  # on the tape
        self._until: int | None = None  # ms since the beginning: what is later is not wanted
        self._reason = ""  # why it is to end, once it is
        self._ended = asyncio.Event()

    async def begin(self) -> int:
        """Take the lease and return when. Raises `in-progress`, `limit-reached`, `unavailable`."""
        await self._clock.sync()
        self._began_at, _ = await self._recordings.lease(self._show, self._secret)
        self._leased_at = self._began_at
        self._renew_at = monotonic() + RENEW_SECONDS
        return self._began_at

    async def leave(self) -> None:
        """Give the lease up; where that fails it ends by itself."""
        with suppress(Problem):
            await self._recordings.end(self._show, self._secret)

    async def run(self, writer: Writer, view: dict[str, Any], seconds: float | None) -> End:
        """Write a whole recording, of so many seconds at most, and return its last line."""
        scribe = Scribe(self._began_at)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, STOPPED)
        timer = loop.call_later(seconds, self._end, TIME_UP) if seconds is not None else None
        try:
            with console.status("Recording …") as status, suppress(Full):
                await self._first_look(writer, scribe, view)
                while not self._ended.is_set():
                    await self._turn(writer, scribe)
                    status.update(self._so_far(writer, scribe))
                    await self._pause()
                last = monotonic() + LAST_SECONDS
                while monotonic() < last:
                    await self._turn(writer, scribe)
                    await asyncio.sleep(READ_SECONDS)
        finally:
            if timer is not None:
                timer.cancel()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
        return self._last_line(writer, scribe)

    def _end(self, reason: str) -> None:
        """End the recording now; the first reason counts."""
        if not self._ended.is_set():
            self._reason, self._until = reason, self._clock.now_ms() - self._began_at
            self._ended.set()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_SECONDS):
                await self._ended.wait()

    async def _first_look(self, writer: Writer, scribe: Scribe, view: dict[str, Any]) -> None:
        """Write the header and the drops that there are; what happens from here on comes from the log."""
        place = await stream.top(self._house.client, self._show)
        self._offset = place.offset if place is not None else 0
        header = Header(
            at=0,
            format=FORMAT,
            version=VERSION,
            clock=CLOCK,
            began_at=self._began_at,
            currency=view["currency"],
            limit_per_viewer=view.get("limit_per_viewer", 0),
        )
        writer.write([header, *scribe.drops(await self._house.drops.listed(self._show), self._began_at)])
        view, _host = await self._house.shows.find(self._show)
        if view["status"] == "ended":  # before that place of the log, so no event will tell
            self._end(SHOW_ENDED)

    async def _turn(self, writer: Writer, scribe: Scribe) -> None:
        """Renew what is due and take what there is; where the store does not answer, the next turn does."""
        try:
            if monotonic() >= self._renew_at:
                await self._renew()
            self._write(writer, await self._events(scribe))
            full = True
            while full:
                batches, self._place = await self._recordings.fetch(self._show, self._place)
                full = len(batches) == READ_LIMIT
                for batch in batches:
                    self._write(writer, scribe.batch(batch))
        except Problem as problem:
            if problem.code is Code.IN_PROGRESS:
                self._end("somebody else began to record the show")
            log.warning("recording.waits", reason=problem.detail)
        self._write(writer, scribe.silent(self._clock.now_ms()))
        if monotonic() >= self._flush_at:
            self._flush_at = monotonic() + FLUSH_SECONDS
            writer.flush()

    async def _renew(self) -> None:
        now, unbroken = await self._recordings.lease(self._show, self._secret)
        if not unbroken:
            self._gaps_ms += max(0, now - self._leased_at - LEASE_MS)
        self._leased_at = now
        self._renew_at = monotonic() + RENEW_SECONDS
        await self._clock.sync()

    async def _events(self, scribe: Scribe) -> list[Line]:
        """Return the lines of what the log has that is new."""
        entries = await stream.after(self._house.client, self._show, self._offset)
        lines: list[Line] = []
        for entry in entries:
            self._offset = entry.offset
            event = unpack_event(entry.packed)
            lines += scribe.event(event)
            if event["type"] == "show.ended":
                self._end(SHOW_ENDED)
        return lines

    def _write(self, writer: Writer, lines: Sequence[Line]) -> None:
        try:
            writer.write(line for line in lines if self._until is None or line.at <= self._until)
        except Full as full:
            self._end(str(full))
            raise

    def _so_far(self, writer: Writer, scribe: Scribe) -> str:
        seconds = (self._clock.now_ms() - self._began_at) / 1000
        commands = sum(count for kind, count in writer.counts.items() if kind in COMMANDS)
        return (
            f"Recording for {seconds:,.0f} s: {scribe.here:,} connections now, {scribe.viewers:,} viewers, "
            f"{commands:,} commands. Ctrl-C ends it."
        )

    def _last_line(self, writer: Writer, scribe: Scribe) -> End:
        end = End(
            at=self._until or 0,
            reason=self._reason,
            viewers=scribe.viewers,
            counts=writer.counts,
            lost=scribe.lost,
            lost_batches=scribe.lost_batches,
            gaps_ms=self._gaps_ms,
        )
        writer.end(end)
        return end
