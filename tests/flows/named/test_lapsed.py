"""Reservations whose time is over while nobody has swept them yet: they are over all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flows.named.broken import TALKATIVE, UNSWEPT, broken_stage
from tests.houses import house_at
from tests.problems import assert_problem
from tests.server import ServerProcess, own_server
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server.client import LiveClient
    from tests.stage import Fields, Stage

HOLD_SECONDS = 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server without a sweeper."""
    with own_server(tmp_path_factory.mktemp("lapsed"), TALKATIVE, options=("--no-work",)) as process:
        yield process


async def sweep(stage: Stage) -> int:
    """Do the sweeper's work once; return how many reservations lapsed."""
    url = stage.server.store_url
    async with house_at(url, stage.server.data) as house:
        return (await house.holds.sweep(stage.show)).lapsed


async def overdue(client: LiveClient, reservation: Fields) -> None:
    """Wait until a reservation's time is over, by the server's clock."""

    async def over() -> bool:
        pong = await client.request({"type": "ping"})
        return bool(pong["server_time_at"] > reservation["expires_at"])

    await wait_for(over, "its time is over")


async def paid_too_late(stage: Stage) -> None:
    """Look at a hold, let its time go by, and pay; then look at what became of it."""
    drop, token = await stage.drop(1, hold_seconds=HOLD_SECONDS), stage.viewer()
    async with stage.watching(token) as viewer:
        held = (await viewer.reserve(drop))["reservation"]
        looked = await stage.call("GET", f"/v1/reservations/{held['id']}", token)
        assert looked.json() == held
        await overdue(viewer, held)
        assert_problem(await stage.pay(token, held["id"]), 410, "reservation-expired")
        orders = await stage.host("GET", f"/v1/shows/{stage.show}/orders")
        assert [
            each for order in orders.json()["items"] for each in order["lines"] if each["drop"] == drop
        ] == []
        assert stage.numbers(await stage.stock(drop)) == (0, 1, 0)
        assert await sweep(stage) == 1
        await viewer.until(lambda seen: seen.reservations[held["id"]]["state"] == "expired")
        assert_problem(await stage.pay(token, held["id"]), 410, "reservation-expired")
    other = stage.viewer()
    taken = (await stage.reserve(other, drop)).json()["id"]
    assert (await stage.pay(other, taken)).status_code == 201
    assert stage.numbers(await stage.stock(drop)) == (0, 0, 1)


async def test_hold_lapses_between_check_and_claim(stage: Stage) -> None:
    """Held when it was looked at, over when it is claimed: 410, no order, nothing sold; the next one gets the unit."""
    await paid_too_late(stage)


async def test_a_claim_that_trusts_the_look_is_found(faulty: ServerProcess) -> None:
    """Negative control: where the claim asks for the state and not for the time, it sells what is over."""
    async with broken_stage(faulty, "a hold is trusted after its time", UNSWEPT) as stage:
        with pytest.raises(AssertionError, match='"order"'):
            await paid_too_late(stage)


async def touched(stage: Stage) -> None:
    """Touch a lapsed hold in every way there is; it must stay as it is and go with the next sweep."""
    drop, token = await stage.drop(1, hold_seconds=HOLD_SECONDS), stage.viewer()
    async with stage.watching(token) as viewer:
        held = (await viewer.reserve(drop, operation="once"))["reservation"]
        await overdue(viewer, held)
        for _ in range(3):
            repeated = await viewer.reserve(drop, operation="once")
            assert repeated["replayed"]
            assert repeated["reservation"]["expires_at"] == held["expires_at"]
            assert_problem(await stage.pay(token, held["id"]), 410, "reservation-expired")
            looked = await stage.call("GET", f"/v1/reservations/{held['id']}", token)
            assert looked.json()["expires_at"] == held["expires_at"]
            async with stage.watching(token) as again:
                assert [each["expires_at"] for each in again.reservations.values()] == [held["expires_at"]]
            assert (await viewer.request({"type": "waitlist.join", "drop": drop}))["code"] == "limit-reached"
        assert await sweep(stage) == 1
        assert (await viewer.reserve(drop, operation="once"))["reservation"]["state"] == "expired"
        assert (await viewer.release(held["id"]))["reservation"]["state"] == "expired"
    assert stage.numbers(await stage.stock(drop)) == (1, 0, 0)


async def test_touching_a_lapsed_hold_never_revives_it(stage: Stage) -> None:
    """Repeated, looked at, paid, joined with: a hold whose time is over gets no new one, and the unit goes back."""
    await touched(stage)


async def test_a_touch_that_extends_is_found(faulty: ServerProcess) -> None:
    """Negative control: where a repeat moves the deadline, the same touches find it."""
    async with broken_stage(faulty, "a touch extends a hold", UNSWEPT) as stage:
        with pytest.raises(AssertionError, match=r"assert \d+ == \d+"):
            await touched(stage)


async def test_giving_back_a_lapsed_hold_gives_it_back_once(stage: Stage) -> None:
    """Released by its viewer after its time and before the sweep: the unit comes back, and the sweep finds nothing."""
    drop, token = await stage.drop(1, hold_seconds=HOLD_SECONDS), stage.viewer()
    async with stage.watching(token) as viewer:
        held = (await viewer.reserve(drop))["reservation"]
        await overdue(viewer, held)
        assert (await viewer.release(held["id"]))["reservation"]["state"] in {"released", "expired"}
        assert await sweep(stage) == 0
    assert stage.numbers(await stage.stock(drop)) == (1, 0, 0)
