"""Callers who are not who they say, not allowed what they ask, too many or too fast: refused, unnoticed by others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import jwt
import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from server import ids
from server.auth import Role
from server.protocol.codec import Codec
from tests.server import SECRET
from tests.wire import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.stage import Stage

BURST = 60
SOCKETS = 8
CLAIMS = {"sub": "eve", "role": "viewer", "shows": ["*"], "exp": 2**40, "aud": "livedrop", "iss": "livedrop"}


@pytest.fixture
async def other_show(stage: Stage) -> str:
    """Give another live show of the same server."""
    made = await stage.host("POST", "/v1/shows", json={"title": "Another", "currency": "EUR"})
    show: str = made.json()["id"]
    await stage.host("POST", f"/v1/shows/{show}/start")
    return show


async def assert_turned_away(stage: Stage, token: str, close: int, status: int, sentence: str) -> None:
    """Assert that both doors refuse a token with the same sentence, and none repeats the token."""
    async with wire(stage) as stranger:
        await stranger.send({"type": "hello", "token": token})
        code, reason = await stranger.closed()
    assert (code, reason["code"]) == (close, close)
    assert reason["message"].startswith(sentence), reason
    assert "retry_after_ms" not in reason
    answer = await stage.call("GET", f"/v1/shows/{stage.show}", token)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.json()["detail"].startswith(sentence), answer.text
    assert token not in answer.text
    assert token not in str(reason)
    assert ("www-authenticate" in answer.headers) is (status == 401)


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
@pytest.mark.parametrize("first", [{"type": "ping"}, {"type": "hello"}, {"type": "hello", "token": 7}, [1]])
async def test_the_first_message_must_be_hello(stage: Stage, first: object, codec: Codec) -> None:
    """Anything else closes with 3500, which a client does not come back from by itself."""
    async with wire(stage, codec=codec) as stranger:
        await stranger.send(first)
        code, reason = await stranger.closed()
        assert (code, reason["code"]) == (3500, 3500)
        assert reason["message"].startswith("The first message must be hello.")
        assert stranger.seen == []


async def test_garbage_before_hello_closes_with_3500(stage: Stage) -> None:
    """Bytes that are no message, and a frame of the wrong kind, are no hello either."""
    for codec, data in ((Codec.MSGPACK, b"\xc1"), (Codec.JSON, "{"), (Codec.MSGPACK, '{"type":"hello"}')):
        async with wire(stage, codec=codec) as stranger:
            await stranger.raw(data)
            assert (await stranger.closed())[0] == 3500


async def test_a_second_hello_is_an_invalid_message(stage: Stage) -> None:
    """Hello is the first message and only the first: another one changes nobody's identity."""
    async with wire(stage, stage.viewer()) as viewer:
        await viewer.send({"type": "hello", "token": stage.viewer()})
        assert (await viewer.answer())["code"] == "invalid-message"
        await viewer.lives()


@pytest.mark.parametrize(
    "token",
    [
        "not-a-token",
        "a.b.c",
        jwt.encode(CLAIMS, "another-secret-that-is-also-long-enough", algorithm="HS256"),
        jwt.encode(CLAIMS, "", algorithm="none"),
        jwt.encode({**CLAIMS, "aud": "others"}, SECRET, algorithm="HS256"),
    ],
    ids=["no-jwt", "looks-like-one", "other-secret", "unsigned", "other-audience"],
)
async def test_a_wrong_token_is_3500_and_401(stage: Stage, token: str) -> None:
    """A token that this server did not sign for itself opens neither door."""
    await assert_turned_away(stage, token, 3500, 401, "The token is not valid:")


async def test_an_expired_token_is_3500_and_401(stage: Stage) -> None:
    """A token whose time is over says so."""
    expired = stage.server.token(Role.VIEWER, "late", stage.show, ttl=-1)
    await assert_turned_away(stage, expired, 3500, 401, "The token has expired.")


async def test_another_shows_token_is_3507_and_403(stage: Stage, other_show: str) -> None:
    """A token for one show is none for another."""
    token = stage.server.token(Role.VIEWER, "guest", other_show)
    await assert_turned_away(stage, token, 3507, 403, f"The token is not for show {stage.show}.")


async def test_a_service_does_not_watch(stage: Stage) -> None:
    """The socket is for people: a service's token is refused with 3507."""
    async with wire(stage) as stranger:
        await stranger.send({"type": "hello", "token": stage.server.token(Role.SERVICE, "shop")})
        assert (await stranger.closed())[0] == 3507


async def test_a_token_counts_nowhere_but_in_its_header(stage: Stage) -> None:
    """No Authorization, or a token in the query: 401 with the scheme that is expected."""
    token = stage.viewer()
    for path in ("/v1/shows", f"/v1/shows?token={token}", f"/v1/shows?access_token={token}"):
        answer = await stage.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    answer = await stage.http.get("/v1/shows", headers={"Authorization": f"Basic {token}"})
    assert answer.status_code == 401


async def refused(stage: Stage, **how: object) -> tuple[int, dict[str, object]]:
    """Return the status and the problem with which a handshake is refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with wire(stage, **how):  # type: ignore[arg-type]  # each test names what it tries
            pass
    response = caught.value.response
    assert response.headers["content-type"].startswith("application/problem+json")
    problem: dict[str, object] = msgspec.json.decode(response.body or b"{}")
    return response.status_code, problem


@pytest.mark.parametrize("offered", [["chat"], ["livedrop.v2.msgpack", "livedrop.v1.xml"]])
async def test_unknown_subprotocols_are_refused_with_400(stage: Stage, offered: Sequence[str]) -> None:
    """Only unknown ones offered: the handshake fails and names those that are known."""
    status, problem = await refused(stage, offered=offered)
    assert status == 400
    detail = str(problem["detail"])
    assert f"None of the {len(offered)} offered subprotocols" in detail
    assert all(codec.value in detail for codec in Codec)


async def test_a_known_subprotocol_is_chosen_among_others(stage: Stage) -> None:
    """The first known one wins; without any it is JSON."""
    async with wire(stage, offered=["chat", "livedrop.v1.msgpack", "livedrop.v1.json"]) as viewer:
        assert viewer.socket.subprotocol == "livedrop.v1.msgpack"
    async with wire(stage, stage.viewer(), codec=Codec.JSON, offered=[]) as viewer:
        assert viewer.socket.subprotocol is None
        await viewer.lives()


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1"])
async def test_a_foreign_origin_is_refused(stage: Stage, origin: str) -> None:
    """A page of another origin does not connect; our own, and programs that have none, do."""
    status, problem = await refused(stage, origin=origin)
    assert (status, problem["code"]) == (403, "not-allowed")
    async with wire(stage, stage.viewer(), origin=stage.server.url) as viewer:
        await viewer.lives()


async def test_there_is_no_socket_of_a_show_that_is_not(stage: Stage) -> None:
    """Both doors say 404 and the id that they were asked for."""
    status, problem = await refused(stage, show="sh_nothing")
    answer = await stage.host("GET", "/v1/shows/sh_nothing")
    assert (status, answer.status_code) == (404, 404)
    assert problem["detail"] == answer.json()["detail"] == "There is no show 'sh_nothing'."


async def test_nobody_touches_somebody_elses_reservation(stage: Stage) -> None:
    """Looking, releasing and paying by another viewer are 403; the reservation stays as it is."""
    drop, owner, thief = await stage.drop(5), stage.viewer(), stage.viewer()
    taken = (await stage.reserve(owner, drop)).json()["id"]
    for method in ("GET", "DELETE"):
        answer = await stage.call(method, f"/v1/reservations/{taken}", thief)
        assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
        assert answer.json()["detail"] == "This reservation is somebody else's."
    paid = await stage.pay(thief, taken)
    assert (paid.status_code, paid.json()["code"]) == (403, "not-allowed")
    assert paid.json()["detail"] == f"Reservation {taken} is somebody else's."
    async with wire(stage, thief) as viewer:
        await viewer.send({"type": "release", "id": "op", "reservation": taken})
        assert (await viewer.answer())["code"] == "not-allowed"
    assert (await stage.call("GET", f"/v1/reservations/{taken}", owner)).json()["state"] == "held"


async def test_a_namesake_of_another_show_is_somebody_else(stage: Stage, other_show: str) -> None:
    """Whoever may mint tokens for one show cannot use the same subject's things in another."""
    drop = await stage.drop(5, limit_per_viewer=2)
    name = ids.secret(8)
    owner, namesake = stage.viewer(name), stage.server.token(Role.VIEWER, name, other_show)
    taken = (await stage.reserve(owner, drop)).json()["id"]
    order = (await stage.pay(owner, (await stage.reserve(owner, drop)).json()["id"])).json()["order"]["id"]
    answers = [
        await stage.call("GET", f"/v1/reservations/{taken}", namesake),
        await stage.call("DELETE", f"/v1/reservations/{taken}", namesake),
        await stage.pay(namesake, taken),
        await stage.call("GET", f"/v1/orders/{order}", namesake),
    ]
    assert [answer.status_code for answer in answers] == [403] * 4, [answer.text for answer in answers]
    async with wire(stage, namesake, show=other_show) as viewer:
        await viewer.send({"type": "release", "id": "op", "reservation": taken})
        assert (await viewer.answer())["code"] in {"not-allowed", "not-found"}
    assert stage.numbers(await stage.stock(drop)) == (3, 1, 1)


async def test_a_drop_of_another_show_is_unknown(stage: Stage, other_show: str) -> None:
    """A drop is found in its own show only, on both doors."""
    drop, token = await stage.drop(5), stage.server.token(Role.VIEWER, "both", stage.show, other_show)
    async with wire(stage, token, show=other_show) as viewer:
        await viewer.send({"type": "reserve", "id": "op", "drop": drop, "quantity": 1})
        assert (await viewer.answer())["code"] == "not-found"
    path = f"/v1/shows/{other_show}/drops/{drop}/reservations"
    answer = await stage.call("POST", path, token, key="op", json={"quantity": 1})
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert drop in answer.json()["detail"]


async def test_a_flood_is_limited_and_then_closed_with_3013(stage: Stage) -> None:
    """Beyond the burst a message is `rate-limited` with the time to wait; who goes on is sent away for a while."""
    token = stage.viewer()
    async with wire(stage, token) as viewer:
        ping = viewer.frame({"type": "ping", "id": "flood"})
        flood = asyncio.create_task(send_often(viewer.socket.send, ping, 1000))
        code, reason = await viewer.closed()
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)
        answers = [message for message in viewer.seen if message.get("id") == "flood"]
        assert [message["type"] for message in answers[: BURST - 1]] == ["pong"] * (BURST - 1)
        limited = [message for message in answers if message["type"] == "error"]
        assert {message["code"] for message in limited} == {"rate-limited"}
        assert all(0 < message["retry_after_ms"] <= 51 for message in limited)
        assert (code, reason["code"]) == (3013, 3013)
        assert reason["retry_after_ms"] >= 1000
    async with wire(stage, token) as viewer:
        await viewer.lives()


async def send_often(send: object, data: bytes | str, times: int) -> None:
    """Send the same message over and over, as fast as it goes."""
    for _ in range(times):
        await send(data)  # type: ignore[operator]  # the client's own method


async def test_the_ninth_socket_is_refused_with_3504(stage: Stage) -> None:
    """A viewer has eight sockets; the ninth is told how many there are, and a place that gets free is free."""
    token = stage.viewer()
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(wire(stage, token)) for _ in range(SOCKETS)]
        async with wire(stage) as ninth:
            await ninth.send({"type": "hello", "token": token})
            code, reason = await ninth.closed()
            assert (code, reason["code"]) == (3504, 3504)
            assert reason["message"].startswith(f"{SOCKETS} connections are open")
            assert ninth.seen == []
        for socket in sockets:
            await socket.lives()
        async with wire(stage, stage.viewer()) as somebody_else:
            await somebody_else.lives()
        await sockets[0].socket.close()
        async with wire(stage, token) as again:
            await again.lives()
