"""Looks that end: each has a time limit, and what blocks has a thread that nobody waits for at the end."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from server.cli.doctor.finding import Finding, wrong
from server.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECONDS = 8.0  # for one look; more than the store's and the ledger's own time-outs for a connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Look:
    """A question under a name; `advice` is what to do where it has no answer."""

    check: str
    ask: Callable[[], Awaitable[list[Finding]]]
    advice: str


async def answered(look: Look, seconds: float = SECONDS) -> list[Finding]:
    """Return what a look has found, or that it has not been answered, after `seconds` at the latest. Never raises."""
    try:
        async with asyncio.timeout(seconds):
            return await look.ask()
    except TimeoutError:
        return [wrong(look.check, f"no answer in {seconds:g} s", look.advice)]
    except Problem as problem:
        return [wrong(look.check, problem.detail, look.advice)]
    except Exception as error:  # noqa: BLE001  whatever it is, it is what was found
        return [wrong(look.check, _told(error), look.advice)]


async def aside(work: Callable[[], T]) -> T:
    """Run what blocks in a thread of its own. Who gives up leaves the thread; it does not keep the process."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]  # None only where the work returns it

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  it belongs to who waits
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            return  # the loop has ended: nobody waits any more

    threading.Thread(target=run, name="doctor", daemon=True).start()
    return await outcome


def _told(error: Exception) -> str:
    """Return an error's kind and its first line: a database's next ones repeat what it was asked."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
