"""Tokens that expire in mid-show: renewed in time, or else the connection comes back with another."""

from __future__ import annotations

import asyncio
from functools import partial
from operator import truediv
from typing import TYPE_CHECKING

import pytest

from server import ids
from server.auth import Role, Tokens
from server.client import ClosedError, LiveDrop, LiveDropError, credential
from server.client.credential import Credential, expiry_of
from tests.client.test_show import client
from tests.client.told import Told
from tests.client.wires import URL, Exchange, FakeWire, friendly
from tests.server import SECRET
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.stage import Stage

NOW = 1_700_000_000_000


class Desk:
    """Where a viewer's tokens come from: one after the other lives for the seconds that the test says."""

    def __init__(self, stage: Stage, *seconds: int | Exception) -> None:
        self._server, self._show = stage.server, stage.show
        self._seconds = list(seconds)
        self._viewer = ids.secret(8)
        self.asked = 0

    def fails(self, error: Exception | None) -> None:
        """Fail from now on, or give tokens again."""
        self._seconds = [error or 3600]

    async def __call__(self) -> str:
        """Return the next token; the last kind again and again."""
        self.asked += 1
        lives = self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]
        if isinstance(lives, Exception):
            raise lives
        return self._server.token(Role.VIEWER, self._viewer, self._show, ttl=lives)


async def test_a_token_is_renewed_before_it_expires(stage: Stage) -> None:
    """A fresh token is brought in time: the connection outlives the first one without a break."""
    desk = Desk(stage, 2, 3600)
    live = client(stage, desk)
    told = Told(live)
    async with live:
        await wait_for(lambda: desk.asked == 2, "the second token")
        first_is_over = asyncio.get_running_loop().time() + 2
        await wait_for(lambda: asyncio.get_running_loop().time() > first_is_over, "the first one's end")
        await told.catches_up(stage)
        assert (await live.reserve(await stage.drop(1)))["state"] == "held"
    assert told.states == ["connecting", "live", "ended"]


async def test_after_3005_it_comes_back_with_another_token(stage: Stage) -> None:
    """No token to be had in time: the server closes with 3005, and the viewer goes on where it was with the next."""
    desk = Desk(stage, 1, OSError("the shop is away"), OSError("still away"), 3600)
    live = client(stage, desk)
    told = Told(live)
    async with live:
        await told.live_again(1)
        await told.catches_up(stage)
    assert 3005 in [connection.code for connection in told.connections]
    assert [welcome["recovered"] for welcome in told.welcomes] == [False, True]


async def test_a_token_that_was_handed_over_ends_with_it(stage: Stage) -> None:
    """A text cannot be fetched anew: it ends with 3500 after its time, unless another is handed over before."""
    name = ids.secret(8)
    brief = stage.server.token(Role.VIEWER, name, stage.show, ttl=2)
    renewed = client(stage, brief)
    told = Told(renewed)
    async with client(stage, brief) as ends, renewed:
        renewed.renew(stage.viewer(name))
        with pytest.raises(ClosedError) as closed:
            async for _message in ends:
                pass
        assert closed.value.code == 3500
        await told.catches_up(stage)
        assert told.states == ["connecting", "live"]


async def test_a_refused_token_is_fetched_anew_once() -> None:
    """3500 for a token that has grown old leads to a fresh one; 3500 for that one too is final."""
    given: list[str] = []

    async def source() -> str:
        given.append(f"token-{len(given)}")
        return given[-1]

    def play(wire: FakeWire, message: dict[str, str]) -> None:
        if message["token"] == "token-0" and len(exchange.hellos) == 1:
            friendly(wire, message)
            wire.close(1006)
        else:
            wire.close(3500, "The token is not valid.")

    exchange = Exchange(play)
    async with LiveDrop(URL, "sh_a", source, chance=lambda: 0.0, dial=exchange.dial) as live:
        await anext(aiter(live))
        with pytest.raises(ClosedError):
            await anext(aiter(live))
    assert [hello["token"] for hello in exchange.hellos] == ["token-0", "token-0", "token-1"]


async def test_a_token_that_is_handed_over_between_connections_is_brought() -> None:
    """Handed over before the welcome, when a `token` message would be a mistake: it follows the welcome."""
    said: list[dict[str, str]] = []

    def play(wire: FakeWire, message: dict[str, str]) -> None:
        said.append(message)
        if message["type"] == "hello":
            live.renew("fresh")
            friendly(wire, message)

    live = LiveDrop(URL, "sh_a", "old", dial=Exchange(play).dial)
    async with live:
        await wait_for(lambda: len(said) == 2, "the fresh token")
    assert said == [{"type": "hello", "token": "old"}, {"type": "token", "token": "fresh"}]


async def test_a_token_function_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function without an answer costs an attempt, and the next one may succeed."""
    monkeypatch.setattr(credential, "FETCH_SECONDS", 0.05)
    calls = 0

    async def source() -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(3600 if calls == 1 else 0)
        return "token"

    live = LiveDrop(URL, "sh_a", source, chance=lambda: 0.0, dial=Exchange(friendly).dial)
    told = Told(live)
    async with live:
        assert told.states == ["connecting", "waiting", "connecting", "live"]


async def test_no_token_for_a_checkout_is_no_answer(stage: Stage) -> None:
    """Where the function fails in the middle of a payment, the payment is unknown, and its key is kept."""
    desk = Desk(stage, 3600)
    async with client(stage, desk) as live:
        taken = await live.reserve(await stage.drop(1))
        body = {"reservations": [taken["id"]], "payment": {"method": "card", "token": "tok_ok"}}
        live._credential.spoilt()
        desk.fails(OSError("the shop is away"))
        with pytest.raises(LiveDropError, match="the shop is away") as unclear:
            await live.checkout(body, within=0.1)
        assert unclear.value.unknown
        assert list(live._door._unanswered.values()) == [unclear.value.operation]
        desk.fails(None)
        assert (await live.checkout(body))["status"] == "paid"


async def test_a_request_with_an_old_token_is_sent_again_with_a_fresh_one(stage: Stage) -> None:
    """401 means that nothing has happened; with a token of this moment the request is made, and without one refused."""
    desk = Desk(stage, 3600)
    async with client(stage, desk) as live:
        live._credential._token = "old"
        assert (await live.request("GET", f"/v1/shows/{stage.show}"))["id"] == stage.show
        assert desk.asked == 2
    async with client(stage) as fixed:
        fixed._credential._token = "old"
        with pytest.raises(LiveDropError) as refused:
            await fixed.request("GET", f"/v1/shows/{stage.show}")
        assert refused.value.code == "unauthenticated"


def test_a_token_tells_its_end() -> None:
    """The end of our own tokens is read to the second; what is no JWT, or has no end, tells none."""
    token, expires_at = Tokens(SECRET).mint("somebody", Role.VIEWER, ["*"], 60)
    assert expiry_of(token) == expires_at
    for other in ("", "a.b", "a.b.c", "a..c", "a.e30.c", "a.W10.c", "a.eyJleHAiOiJ4In0.c", "ä.ö.ü"):
        assert expiry_of(other) is None


async def test_one_token_is_fetched_for_all_who_ask_at_once() -> None:
    """Ten who need a token at the same moment cost one call; its end is kept in mind."""
    calls = 0

    async def source() -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return "token"

    one = Credential(source)
    assert await asyncio.gather(*(one.token(NOW) for _ in range(10))) == ["token"] * 10
    assert calls == 1


async def test_tokens_of_a_crowd_are_renewed_at_different_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minted together for an hour: renewed over half a minute, all before the last half minute."""
    monkeypatch.setattr(credential, "expiry_of", lambda _token: NOW + 3_600_000)
    moments = []
    for number in range(100):
        one = Credential(lambda: "token", partial(truediv, number, 100))
        await one.token(NOW)
        moments.append(one.renew_in(NOW) or 0)
    assert 3539 < min(moments) < max(moments) <= 3570
    assert len(set(moments)) == 100
