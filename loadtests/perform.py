"""A run from its plan to its `run.json`.

Locust is started and followed, deploys are carried out, the machine and the stock are looked at, and when all is over
the gate compares the server's books with what every viewer remembers.
"""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import msgspec

from loadtests import crowd, family, merge
from loadtests.deploy import Deploys, refuse_unless_replaceable
from loadtests.gate import inspect
from loadtests.progress import Progress, look_at
from loadtests.run import Run
from loadtests.sampler import EVERY_SECONDS, Sampler
from loadtests.stagehand import StageError, door

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.plan import Plan
    from loadtests.stagehand import Stage

START_SECONDS = 60.0  # for Locust until the run begins
STOP_SECONDS = 60.0  # beyond the plan's own time: what people have begun, and writing it down
SETTLE_SECONDS = 15.0  # beyond the longest hold: until the last units have come back
LOOK_SECONDS = 1.0
SAY_EVERY = 5.0
RUN = "run.json"


def perform(  # noqa: PLR0913  what a run is made of
    stage: Stage,
    show: str,
    plan: Plan,
    folder: Path,
    say: Callable[[str], None],
    *,
    look: Callable[[Progress], None] | None = None,
    processes: int = 1,
) -> Run:
    """Carry out a plan on a live show and return the run with the gate's findings; `run.json` is left in the folder.

    `look` is called every second with how it goes; without it, `say` is told every five. Raises StageError where the
    run could not be carried out: then it says nothing about the server.
    """
    if plan.deploys:
        refuse_unless_replaceable(stage)
    run = Run(
        plan=plan,
        began_at="",
        machine=family.this_machine(),
        server=_name(stage),
        seconds=0.0,
    )
    look = look or _sayer(say)
    with Sampler(stage.url, stage.host_token, show, stage.processes) as sampler:
        with crowd.crowd(stage, show, plan, folder, processes) as locust:
            sampler.generators.append(locust.pid)
            began = _follow(stage, plan, folder, locust, sampler, say, look)
        ended = time.time()
        say("Waiting until the last reservations have lapsed …")
        _settle(plan, sampler)
    for sentence in sampler.unseen:
        say(sentence)
    run.began_at = datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds")
    run.seconds = ended - began
    run.processes = sampler.usages.processes(began, ended)
    run.curves = [*sampler.stocks.curves(began), *sampler.usages.curves(began)]
    _gather(run, began, folder, locust)
    with door(stage.url, stage.host_token) as host:
        run.findings = inspect(stage, host, show, merge.accounts_in(folder), run)
    _write(folder / RUN, run)
    return run


def _follow(  # noqa: PLR0913, PLR0917  all that goes on at once
    stage: Stage,
    plan: Plan,
    folder: Path,
    locust: subprocess.Popen[bytes],
    sampler: Sampler,
    say: Callable[[str], None],
    look: Callable[[Progress], None],
) -> float:
    """Look on until Locust has ended, deploys carried out; return when the run began, Unix seconds."""
    began = _begin(folder, locust)
    since = time.monotonic() - (time.time() - began)
    deploys = Deploys(stage, [since + moment for moment in plan.deploys], say)
    deploys.start()
    try:
        deadline = since + plan.seconds + STOP_SECONDS
        while not _ended(locust, LOOK_SECONDS):
            now = look_at(folder, plan, time.monotonic() - since, sampler.stock)
            if now is not None:
                look(now)
            if time.monotonic() > deadline:
                raise StageError(f"Locust did not end within {STOP_SECONDS:.0f} s after its time.")
    finally:
        deploys.end()
    if deploys.error is not None:
        raise deploys.error
    return began


def _begin(folder: Path, locust: subprocess.Popen[bytes]) -> float:
    """Wait until the run has begun and return when, Unix seconds. Raises StageError."""
    deadline = time.monotonic() + START_SECONDS
    ended = False
    while not (began := merge.began_in(folder)):
        if ended:  # and what it has left was read after that
            raise StageError(f"The run never began. {crowd.ending(locust, folder)}")
        if time.monotonic() > deadline:
            raise StageError(f"Locust did not begin within {START_SECONDS:.0f} s.")
        ended = _ended(locust, EVERY_SECONDS / 5)
    return began


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _settle(plan: Plan, sampler: Sampler) -> None:
    """Wait until nothing is held any more, or long enough for the gate to say what still is."""
    longest = max((sale.hold_seconds for sale in plan.sales), default=0)
    deadline = time.monotonic() + longest + SETTLE_SECONDS
    after = time.time()
    while time.monotonic() < deadline:
        stock = sampler.stock
        if stock is None or (stock.at > after and not stock.held):
            return
        time.sleep(EVERY_SECONDS)


def _gather(run: Run, began: float, folder: Path, locust: subprocess.Popen[bytes]) -> None:
    """Fill in what the processes and the viewers wrote down. Raises StageError where Locust was cut off."""
    seen = merge.seen_in(folder)
    if not seen or locust.returncode < 0:
        raise StageError(f"The crowd left no whole record. {crowd.ending(locust, folder)}")
    merge.merge_into(run, began, seen, merge.accounts_in(folder))


def _sayer(say: Callable[[str], None]) -> Callable[[Progress], None]:
    """Return a look that says a line every five seconds."""
    told = -SAY_EVERY

    def look(progress: Progress) -> None:
        nonlocal told
        if progress.seconds - told >= SAY_EVERY:
            told = progress.seconds
            say(progress.line)

    return look


def _name(stage: Stage) -> str:
    """Return the server's URL, with its version where it tells."""
    try:
        with door(stage.url, stage.host_token) as host:
            version = host.get("/openapi.json").raise_for_status().json()["info"]["version"]
    except (httpx.HTTPError, ValueError, KeyError):
        return stage.url
    return f"{stage.url} (Livedrop {version})"


def _write(path: Path, run: Run) -> None:
    """Write the run whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(run))
    fresh.replace(path)
