"""What a reservation costs the gateway itself, in pings: both are read, decided and answered by the same code."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from tests.gateway.seats import DROP, Hall, framed

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

VIEWERS = 50
BLOCKS = 60
MOST_PINGS = 2.5  # two, when this was written; more than three with a task, before it has even run


def seconds(work: Callable[[], None]) -> float:
    """Return the CPU time of this thread that the work takes, the least of many tries."""
    found = []
    for _ in range(BLOCKS):
        began = time.thread_time()
        work()
        found.append(time.thread_time() - began)
    return min(found)


async def cost_in_pings(hall: Hall) -> float:
    """Return what a reservation costs from its bytes to the bytes of its answer, without the step that decides it."""
    seats = [hall.sit(f"v{number}") for number in range(VIEWERS)]
    reserve = framed({"type": "reserve", "id": "op-1", "drop": DROP, "quantity": 1})
    ping = framed({"type": "ping", "id": "op-1"})

    def say(data: bytes) -> None:
        for seat in seats:
            seat.viewer._session._limit._due = 0.0  # nobody is too quick here
            seat.viewer.data_received(data)
            seat.wire.data = b""

    def take() -> None:
        say(reserve)
        hall.lines.answer()
        hall.lines.asks.clear()

    return seconds(take) / seconds(lambda: say(ping))


async def test_a_reservation_costs_the_gateway_few_pings() -> None:
    """Reading, asking and answering, without a task or a future."""
    assert await cost_in_pings(Hall()) <= MOST_PINGS


async def test_the_check_of_the_cost_finds_a_task_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a gateway that makes a task and a future for every command."""
    hall = Hall()
    submit = hall.dispatch.submit

    def with_a_task(viewer: Any, command: Any) -> Any:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            await future

        asyncio.create_task(wait()).cancel()
        return submit(viewer, command)

    monkeypatch.setattr(hall.dispatch, "submit", with_a_task)
    assert await cost_in_pings(hall) > MOST_PINGS
