"""The play: a crowd watches, some hold units, some take them all the while, and every process is replaced."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from loadtests.deploy import Deploys, workers
from loadtests.rolling.audience import Audience, Viewer
from loadtests.stagehand import START_SECONDS, StageError, live_show
from server.auth import Role, Tokens
from server.client import LiveDrop, LiveDropError
from server.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.stagehand import Stage

    Say = Callable[[str], None]

HOLD_SECONDS = 3600  # longer than any run: what lapses here was lost
TOKEN_SECONDS = 6 * 3600
PACE_SECONDS = 1.0  # between two events of the show
SETTLE_SECONDS = 60.0  # for everybody to be back and to have seen the last event
POLL_SECONDS = 0.1
OPERATION_SECONDS = 60.0
HTTP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How many processes serve how many who watch; of these hold a unit from the beginning, and take one meanwhile."""

    processes: int
    viewers: int
    holders: int
    takers: int
    takes_per_second: float
    seed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    plan: Plan
    replaced: int
    seconds: float  # from the first process that was told to leave to the last that was replaced
    events: int  # that the show told meanwhile and after
    audience: Audience
    lost: int  # reservations that were promised and are not held at the end
    held: int  # units that the drop says are held
    behind: int  # viewers who do not have the last event

    def broken(self) -> list[str]:
        """Return a sentence for each promise that was not kept."""
        viewers = self.audience.viewers
        promised = sum(bool(viewer.reservation) for viewer in viewers)
        found = {
            "viewers miss events": sum(bool(viewer.holes) for viewer in viewers),
            "viewers do not have the last event": self.behind,
            "reservations that were promised are not held": self.lost,
            "units are held that nobody was promised, or the other way round": abs(self.held - promised),
            "reservations failed though there were units": sum(self.audience.refused.values()),
        }
        return [f"{count} {what}." for what, count in found.items() if count]


async def play(stage: Stage, plan: Plan, say: Say) -> Outcome:
    """Play it on a show of this server. Raises StageError."""
    await _all_there(stage, plan.processes)
    headers = {"Authorization": f"Bearer {stage.host_token}"}
    with httpx.Client(base_url=stage.url, headers=headers, timeout=HTTP_SECONDS, trust_env=False) as host:
        show = live_show(host)
    async with httpx.AsyncClient(
        base_url=stage.url, headers=headers, timeout=HTTP_SECONDS, trust_env=False
    ) as host:
        drop = await _drop(host, show, plan.viewers)
        tokens = Tokens(stage.environment["LIVEDROP_SECRET"])
        audience = Audience([_viewer(stage.url, show, tokens, number) for number in range(plan.viewers)])
        try:
            await audience.come()
            say(f"{plan.viewers:,} viewers are in.")
            chosen = random.Random(plan.seed).sample(audience.viewers, plan.holders + plan.takers)
            async with asyncio.TaskGroup() as tasks:
                for viewer in chosen[: plan.holders]:
                    tasks.create_task(audience.reserve(viewer, drop))
            say(f"{plan.holders:,} of them hold a unit; now every process is replaced.")
            return await _released(stage, plan, say, host, (show, drop), audience, chosen[plan.holders :])
        finally:
            await audience.leave()


async def _all_there(stage: Stage, processes: int) -> None:
    """Wait for the whole server: it is ready with its first process."""
    deadline = monotonic() + START_SECONDS
    while len(workers(stage)) < processes:
        if monotonic() > deadline:
            raise StageError(f"{processes} processes did not begin within {START_SECONDS:.0f} s.")
        await asyncio.sleep(POLL_SECONDS)


async def _released(  # noqa: PLR0913, PLR0917  what there is by then
    stage: Stage,
    plan: Plan,
    say: Say,
    host: httpx.AsyncClient,
    place: tuple[str, str],
    audience: Audience,
    takers: list[Viewer],
) -> Outcome:
    """Replace every process, while the show goes on and units are taken."""
    show, drop = place
    before = set(workers(stage))
    began = monotonic()
    deploys = Deploys(stage, [began], say)
    deploys.start()
    try:
        events, seconds = 0, 0.0
        taking = asyncio.create_task(_take(audience, takers, drop, plan.takes_per_second))
        while deploys.is_alive() or not taking.done():
            path = f"/v1/shows/{show}/drops/{drop}/restock"
            await _asked(host, "POST", path, {"quantity": 1}, key=f"restock-{events}")
            events += 1
            await asyncio.sleep(PACE_SECONDS)
            seconds = monotonic() - began if deploys.is_alive() else seconds
            if not deploys.is_alive() and events == 1:
                raise deploys.error or StageError("The processes could not be replaced.")
        await taking
    finally:
        await asyncio.to_thread(deploys.end)
    if deploys.error is not None:
        raise deploys.error
    sku = (await _asked(host, "GET", f"/v1/shows/{show}/drops/{drop}")).json()["sku"]
    await _asked(host, "PUT", f"/v1/shows/{show}/pinned", {"skus": [sku]})
    behind = await _behind(audience)
    lost = await _lost(audience)
    answer = (await _asked(host, "GET", f"/v1/shows/{show}/drops/{drop}")).json()
    replaced = len(before - set(workers(stage)))
    return Outcome(plan, replaced, seconds, events + 1, audience, lost, answer["held"], behind)


async def _take(audience: Audience, takers: list[Viewer], drop: str, per_second: float) -> None:
    """Let one after the other take a unit, at an even pace that waits for nobody."""
    async with asyncio.TaskGroup() as tasks:
        for viewer in takers:
            tasks.create_task(audience.reserve(viewer, drop))
            await asyncio.sleep(1 / per_second)


async def _behind(audience: Audience) -> int:
    """Wait until everybody has the last event, and return how many have it not."""
    deadline = monotonic() + SETTLE_SECONDS
    while missing := sum(not viewer.finale for viewer in audience.viewers):
        if monotonic() > deadline:
            break
        await asyncio.sleep(POLL_SECONDS)
    return missing


async def _lost(audience: Audience) -> int:
    """Return how many reservations that were promised are not held any more."""
    lost = 0
    for viewer in audience.viewers:
        if viewer.reservation:
            try:
                found = await viewer.live.request("GET", f"/v1/reservations/{viewer.reservation}")
            except LiveDropError:
                lost += 1
            else:
                lost += found["state"] != "held"
    return lost


async def _drop(host: httpx.AsyncClient, show: str, units: int) -> str:
    products = (await _asked(host, "GET", "/v1/catalog/products?limit=1")).json()["items"]
    terms = {"sku": products[0]["sku"], "quantity": units, "hold_seconds": HOLD_SECONDS}
    drop: str = (await _asked(host, "POST", f"/v1/shows/{show}/drops", terms)).json()["id"]
    await _asked(host, "POST", f"/v1/shows/{show}/drops/{drop}/open")
    return drop


async def _asked(
    host: httpx.AsyncClient, method: str, path: str, body: Any = None, key: str = ""
) -> httpx.Response:
    """Ask as the host; a process that just leaves is asked no more: the next one answers."""
    for _ in range(3):
        try:
            headers = {"Idempotency-Key": key} if key else {}
            answer = await host.request(method, path, json=body, headers=headers)
        except httpx.TransportError:
            continue
        if answer.is_success:
            return answer
    raise StageError(f"{method} {path} was not answered three times.")


def _viewer(url: str, show: str, tokens: Tokens, number: int) -> Viewer:
    name = f"viewer-{number}"
    token, _ = tokens.mint(name, Role.VIEWER, [show], TOKEN_SECONDS)
    return Viewer(name, LiveDrop(url, show, token))
