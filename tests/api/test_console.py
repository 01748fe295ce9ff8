"""What the host's console asks for beyond the contract: the run of the show, undone countdowns, figures over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.clock import now_ms
from tests.problems import assert_problem
from tests.waiting import wait_for

if TYPE_CHECKING:
    import httpx

    from tests.stage import Stage

POINT = {
    "at",
    "viewers",
    "orders",
    "units_sold",
    "gmv",
    "conversion",
    "unmet_demand",
    "waitlist",
    "taken",
}


async def arrange(stage: Stage, *drops: str) -> httpx.Response:
    """Ask for an order of the drops."""
    return await stage.host("PUT", f"/v1/shows/{stage.show}/run", json={"drops": list(drops)})


async def test_the_run_of_the_show_is_the_same_for_all(stage: Stage) -> None:
    """It stands in the show, everybody is told it, and drops that it does not name come after those that it does."""
    first, second, third = [await stage.drop(1, opened=False) for _ in range(3)]
    async with stage.watching() as viewer:
        answer = await arrange(stage, third, first)
        told = await viewer.event("show.arranged")
    assert (answer.status_code, told["drops"]) == (200, [third, first])
    listed = [drop["id"] for drop in answer.json()["items"]]
    assert (listed[:2], second in listed[2:]) == ([third, first], True)
    shown = (await stage.host("GET", f"/v1/shows/{stage.show}")).json()
    assert shown["run"] == [third, first]
    async with stage.watching() as viewer:
        assert viewer.welcome["snapshot"]["show"]["run"] == [third, first]


@pytest.mark.parametrize(
    ("drops", "status", "code", "said"),
    [
        (["dr_none"], 404, "not-found", "There is no drop 'dr_none' in this show."),
        (["{drop}", "{drop}"], 422, "invalid-message", "drops: a drop has one place in the run"),
        (["x"] * 101, 422, "invalid-message", "drops: Expected `array` of length <= 100"),
        ("{drop}", 422, "invalid-message", "drops: Expected `array`, got `str`"),
    ],
)
async def test_a_bad_run_changes_nothing(stage: Stage, drops: Any, status: int, code: str, said: str) -> None:
    """Whatever is wrong with it, the order that was there stays."""
    drop = await stage.drop(1, opened=False)
    await arrange(stage, drop)
    named = [each.format(drop=drop) for each in drops] if isinstance(drops, list) else drops
    answer = await stage.host("PUT", f"/v1/shows/{stage.show}/run", json={"drops": named})
    assert_problem(answer, status, code, said)
    assert (await stage.host("GET", f"/v1/shows/{stage.show}")).json()["run"] == [drop]


async def test_a_countdown_can_be_called_off(stage: Stage) -> None:
    """Viewers are told that the drop is planned again, it does not open by itself, and it can be opened later."""
    drop = await stage.drop(1, opened=False)
    async with stage.watching() as viewer:
        counting = await stage.move(drop, "open", countdown_ms=700)
        cancelled = await stage.move(drop, "cancel")
        told = await viewer.event("drop.scheduled")
        assert (told["drop"], "opens_at" in cancelled) == (cancelled, False)
        over = counting["opens_at"] + 1_000
        await wait_for(lambda: now_ms() > over, "the moment at which it would have opened is long over")
    assert await stage.stock(drop) == cancelled
    assert (await stage.move(drop, "open"))["status"] == "open"


async def test_figures_over_time(stage: Stage) -> None:
    """While the show is on its figures are noted now and then; who has some asks only for what came since."""
    drop, buyer = await stage.drop(3), stage.viewer()
    held = (await stage.reserve(buyer, drop)).json()
    await stage.pay(buyer, held["id"])
    path = f"/v1/shows/{stage.show}/metrics"
    points: list[dict[str, Any]] = []

    async def noted() -> bool:
        points[:] = (await stage.host("GET", f"{path}/series")).json()["items"]
        return bool(points) and points[-1]["orders"] >= 1

    await wait_for(noted, "the sale is in the figures over time", 25)
    figures = (await stage.host("GET", path)).json()
    newest = points[-1]
    assert newest.keys() == POINT
    assert (newest["gmv"], newest["taken"]) == (figures["gmv"], figures["taken"])
    since = f"{path}/series?since_at="
    assert (await stage.host("GET", f"{since}{newest['at']}")).json()["items"] == []
    assert (await stage.host("GET", f"{since}{newest['at'] - 1}")).json()["items"] == [newest]
    assert_problem(await stage.host("GET", f"{since}soon"), 422, "invalid-message", "since_at: Unix")
