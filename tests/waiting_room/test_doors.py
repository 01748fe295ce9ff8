"""A show with a capacity, through both doors of a whole server: who waits, who comes in, and who proves work first."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.auth import EVERY_SHOW, Role
from server.challenge import is_work
from tests.problems import assert_problem
from tests.server import ServerProcess, own_server
from tests.stage import Stage, on_stage
from tests.waiting_room.seats import gone
from tests.wire import NO_TLS, Wire, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

KEEP_MS = 600_000  # longer than any test takes: time is moved, not waited for
SETTINGS = {
    "LIVEDROP_SHOW_CAPACITY": "1",
    "LIVEDROP_TURN_SECONDS": str(KEEP_MS // 1000),
    "LIVEDROP_CHALLENGE_BITS": "8",
}
NAMES = count(1)
Message = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server whose shows have one seat, and where anonymous viewers have to do work."""
    with own_server(tmp_path_factory.mktemp("waiting-room"), SETTINGS) as process:
        yield process


@pytest.fixture
async def stage(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show."""
    async with on_stage(server) as one:
        yield one


@asynccontextmanager
async def knocking(stage: Stage, name: str = "", token: str | None = None) -> AsyncIterator[Wire]:
    """Connect and say hello; what the server answers is the test's matter."""
    async with wire(stage) as one:
        await one.send({"type": "hello", "token": token or stage.viewer(name)})
        yield one


async def until(one: Wire, **fields: Any) -> Message:
    """Return the next message that has these fields."""
    while True:
        message = await one.read()
        if fields.items() <= message.items():
            return message


async def test_one_seat(stage: Stage) -> None:
    """The first is in; the others wait in their order, and come in one after the other as soon as the seat is free."""
    async with knocking(stage, "ann") as ann, knocking(stage, "bob") as bob:
        assert (await ann.read())["type"] == "welcome"
        told = await bob.read()
        assert told == {
            "type": "waiting",
            "status": "in_line",
            "place": 1,
            "waiting": 1,
            "estimate_ms": None,
            "opens_at": None,
            "keep_ms": KEEP_MS,
            "title": "A test",
        }
        async with knocking(stage, "cleo") as cleo:
            assert (await until(cleo, type="waiting"))["place"] == 2
            await ann.socket.close()
            await gone(stage, "ann")
            assert (await until(bob, type="welcome"))["viewer"] == "bob"
            assert (await until(cleo, type="waiting", place=1))["waiting"] == 1
            figures = (await stage.host("GET", f"/v1/shows/{stage.show}/metrics")).json()
            assert figures["waiting_room"] == 1


async def test_who_waits_can_wait_and_nothing_else(stage: Stage) -> None:
    """Pings and fresh tokens are taken; whatever else is said does nothing, and is answered with its id."""
    drop = await stage.drop(5)
    async with knocking(stage, "ann") as ann, knocking(stage, "bob") as bob:
        await ann.read()
        assert (await bob.read())["type"] == "waiting"
        await bob.send({"type": "reserve", "id": "r1", "drop": drop, "quantity": 1})
        refused = await until(bob, type="error")
        assert (refused["code"], refused["id"]) == ("rate-limited", "r1")
        await bob.send({"type": "ping", "id": "p1"})
        assert (await until(bob, type="pong"))["id"] == "p1"
        await bob.send({"type": "token", "token": stage.viewer("bob")})
        await until(bob, type="ok")
        await bob.send({"type": "token", "token": stage.viewer("eve")})
        assert (await until(bob, type="error"))["code"] == "not-allowed"
        assert stage.numbers(await stage.stock(drop)) == (5, 0, 0)
        await ann.socket.close()
        await gone(stage, "ann")
        await until(bob, type="welcome")
        await bob.send({"type": "reserve", "id": "r1", "drop": drop, "quantity": 1})
        assert (await until(bob, type="reservation"))["reservation"]["state"] == "held"


async def test_http_is_no_way_round(stage: Stage) -> None:
    """Who has no seat cannot reserve or queue over HTTP; who has one, or has units, can."""
    drop = await stage.drop(5, limit_per_viewer=2)
    async with knocking(stage, "ann") as ann, knocking(stage, "bob") as bob:
        await ann.read()
        await bob.read()
        refused = await stage.reserve(stage.viewer("bob"), drop)
        assert_problem(refused, 429, "rate-limited")
        path = f"/v1/shows/{stage.show}/drops/{drop}/waitlist"
        assert_problem(await stage.call("POST", path, stage.viewer("bob")), 429, "rate-limited")
        taken = await stage.reserve(stage.viewer("ann"), drop)
        assert taken.status_code == 201, taken.text
    await gone(stage, "ann")
    async with knocking(stage, "bob") as bob, knocking(stage, "ann") as ann:
        assert (await until(bob, type="welcome"))["viewer"] == "bob"
        assert (await until(ann, type="welcome"))[
            "viewer"
        ] == "ann"  # over the capacity: units wait to be paid
        assert (await stage.reserve(stage.viewer("ann"), drop)).status_code == 201


async def test_hosts_never_wait(stage: Stage) -> None:
    """A full show is open to those who run it."""
    async with knocking(stage, "ann") as ann:
        await ann.read()
        for role in (Role.HOST, Role.MODERATOR):
            async with knocking(stage, token=stage.server.token(role, "hanna", stage.show)) as one:
                assert (await one.read())["type"] == "welcome"


async def test_before_the_show_begins(server: ServerProcess) -> None:
    """Everybody waits without a place; when the show begins one is in, and the others know theirs."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30, verify=NO_TLS) as http:
        stage = Stage(server, http)
        plan = {"title": "Soon", "currency": "EUR", "starts_at": 4_000_000_000_000}
        stage.show = (await stage.host("POST", "/v1/shows", json=plan)).json()["id"]
        async with knocking(stage, "ann") as ann, knocking(stage, "bob") as bob:
            for one in (ann, bob):
                told = await until(one, type="waiting")
                assert (told["status"], told["place"]) == ("before_opening", None)
                assert told["opens_at"] == plan["starts_at"]
            await stage.host("POST", f"/v1/shows/{stage.show}/start")
            last = [await until_settled(one) for one in (ann, bob)]
            assert sorted(each["type"] for each in last) == ["waiting", "welcome"]
            assert next(each for each in last if each["type"] == "waiting")["place"] == 1
        await stage.close()


async def until_settled(one: Wire) -> Message:
    """Return the first message that says how the opening went for somebody."""
    while True:
        message = await one.read()
        if message["type"] == "welcome" or message.get("status") == "in_line":
            return message


async def test_the_place_is_kept(stage: Stage) -> None:
    """Who loses the connection while waiting stands where they stood; who comes meanwhile stands behind them."""
    async with knocking(stage, "ann") as ann:
        await ann.read()
        async with knocking(stage, "bob") as bob:
            assert (await until(bob, type="waiting"))["place"] == 1
        async with knocking(stage, "cleo") as cleo:
            assert (await until(cleo, type="waiting"))["place"] == 2
            async with knocking(stage, "bob") as bob:
                assert (await until(bob, type="waiting"))["place"] == 1


async def test_a_revoked_token_waits_no_longer(stage: Stage) -> None:
    """Who is shut out while waiting is sent away for good."""
    async with knocking(stage, "ann") as ann, knocking(stage, "thief") as thief:
        await ann.read()
        assert (await thief.read())["type"] == "waiting"
        shop = stage.server.token(Role.SERVICE, "shop")
        body = {"sub": "thief", "shows": [EVERY_SHOW]}
        assert (await stage.call("POST", "/v1/tokens/revoke", shop, json=body)).status_code == 200
        assert (await thief.closed())[0] == 3500


# -- The challenge


def solved(challenge: Message) -> Message:
    """Return the proof of the work that is asked for."""
    nonce, bits = challenge["nonce"], challenge["bits"]
    answer = next(str(number) for number in count() if is_work(nonce, str(number), bits))
    return {"nonce": nonce, "answer": answer}


async def test_the_unknown_do_work_first(stage: Stage) -> None:
    """An anonymous viewer is in after the work, and again with the same proof; a known one is asked for nothing."""
    token = await stage.anonymous("guest")
    async with knocking(stage, token=token) as guest:
        challenge = await guest.read()
        assert (challenge["type"], challenge["bits"]) == ("challenge", 8)
        assert challenge["answer_by_at"] < challenge["expires_at"]
        proof = solved(challenge)
        await guest.send({"type": "hello", "token": token, "proof": proof})
        assert (await guest.read())["type"] == "welcome"
    async with wire(stage) as guest:
        await guest.send({"type": "hello", "token": token, "proof": proof})
        assert (await guest.read())["type"] == "welcome"


async def test_work_of_others_counts_for_nothing(stage: Stage) -> None:
    """A proof of somebody else is asked for anew; the third wrong one ends the connection for good."""
    async with knocking(stage, token=await stage.anonymous("worker")) as worker:
        proof = solved(await worker.read())
    token = await stage.anonymous("idler")
    async with knocking(stage, token=token) as idler:
        for _ in range(3):
            assert (await idler.read())["type"] == "challenge"
            await idler.send({"type": "hello", "token": token, "proof": proof})
        assert (await idler.closed())[0] == 3500


async def test_only_viewers_are_anonymous(stage: Stage) -> None:
    """Nobody who runs a show is unknown."""
    body = {"sub": "mod", "role": "moderator", "shows": [stage.show], "anonymous": True}
    assert_problem(await stage.host("POST", "/v1/tokens", json=body), 422, "invalid-message")
