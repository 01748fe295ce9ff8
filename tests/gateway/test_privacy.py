"""What is for one viewer reaches that viewer, on all their sockets, and nobody else; and how long a token carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server import ids
from server.auth import Role
from server.protocol.codec import Codec
from tests.waiting import wait_for
from tests.wire import wire

if TYPE_CHECKING:
    from server.client import LiveClient
    from tests.stage import Stage

PRIVATE = {"reservation", "order.updated", "waitlist.promoted"}


def private(viewer: LiveClient) -> list[str]:
    """Return the states and statuses that a viewer was told unasked."""
    told = []
    for message in viewer.messages:
        if message["type"] == "reservation" and "id" not in message:
            told.append(message["reservation"]["state"])
        elif message["type"] == "order.updated":
            told.append(message["order"]["status"])
    return told


async def test_private_messages_reach_all_sockets_of_their_viewer_only(stage: Stage) -> None:
    """A sale and a lapse are told to every socket of the buyer, in either codec, and to nobody else."""
    token = stage.viewer()
    brief, drop = await stage.drop(2, hold_seconds=1), await stage.drop(2)
    async with (
        stage.watching(token) as first,
        stage.watching(token, codec=Codec.JSON) as second,
        stage.watching() as stranger,
        stage.watching(stage.server.token(Role.HOST, "host")) as host,
    ):
        lapsing = await first.reserve(brief, operation="first")
        kept = await second.reserve(drop, operation="second")
        assert (await stage.pay(token, kept["reservation"]["id"])).status_code == 201
        for viewer in (first, second):
            await viewer.until(lambda each: set(private(each)) == {"paying", "sold", "paid", "expired"})
            assert viewer.reservations[lapsing["reservation"]["id"]]["state"] == "expired"
            assert viewer.reservations[kept["reservation"]["id"]]["state"] == "sold"
        for viewer in (stranger, host):
            await viewer.until(lambda each: stage.numbers(each.stock[drop]) == (1, 0, 1))
            await viewer.request({"type": "ping"})
            assert {message["type"] for message in viewer.messages} & PRIVATE == set()


async def test_no_message_to_everybody_names_a_viewer(stage: Stage) -> None:
    """Nobody learns from the show who else is here or what they took."""
    name = f"somebody-{ids.secret(6)}"
    token, drop = stage.viewer(name), await stage.drop(1, hold_seconds=1)
    async with stage.watching() as stranger, stage.watching(token) as viewer:
        taken = await viewer.reserve(drop)
        await viewer.until(lambda each: "expired" in private(each))
        await stranger.until(lambda each: stage.numbers(each.stock[drop]) == (1, 0, 0))
        heard = str(stranger.messages)
        assert name not in heard
        assert taken["reservation"]["id"] not in heard


async def test_a_fresh_token_keeps_the_connection(stage: Stage) -> None:
    """`token` with a fresh one is answered `ok`, and the old one's end passes unnoticed."""
    name = ids.secret(8)
    async with wire(stage, stage.server.token(Role.VIEWER, name, stage.show, ttl=2)) as viewer:
        await viewer.send({"type": "token", "token": stage.viewer(name)})
        assert await viewer.answer() == {"type": "ok"}
        async with wire(stage, stage.server.token(Role.VIEWER, "brief", stage.show, ttl=2)) as brief:
            assert (await brief.closed())[0] == 3005
        await viewer.lives()


@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
async def test_an_expired_token_closes_with_3005(stage: Stage, codec: Codec) -> None:
    """When the token's time is over the server says so; the viewer may come back at once with another."""
    async with wire(
        stage, stage.server.token(Role.VIEWER, "brief", stage.show, ttl=1), codec=codec
    ) as viewer:
        code, reason = await viewer.closed()
        assert (code, reason["code"], reason["message"]) == (3005, 3005, "the token has expired")
        assert reason["retry_after_ms"] == 0


async def test_a_token_of_somebody_else_changes_nothing(stage: Stage) -> None:
    """Another subject, another role, another show, an expired and a broken one: an error, and all stays as it was."""
    name = ids.secret(8)
    mint = stage.server.token
    async with wire(stage, stage.viewer(name)) as viewer:
        for token, code in (
            (stage.viewer(), "not-allowed"),
            (mint(Role.HOST, name, stage.show), "not-allowed"),
            (mint(Role.VIEWER, name, "sh_other"), "not-allowed"),
            (mint(Role.VIEWER, name, stage.show, ttl=-1), "unauthenticated"),
            ("nonsense", "unauthenticated"),
        ):
            await viewer.send({"type": "token", "token": token})
            refused = await viewer.answer()
            assert (refused["type"], refused["code"]) == ("error", code)
            assert token not in refused["message"]
        await viewer.lives()


@pytest.mark.parametrize("role", [Role.HOST, Role.MODERATOR])
async def test_who_runs_a_show_does_not_buy_in_it(stage: Stage, role: Role) -> None:
    """Hosts and moderators watch; reserving and releasing are for viewers."""
    drop = await stage.drop(1)
    async with stage.watching(stage.server.token(role, "staff", stage.show)) as staff:
        for answer in (await staff.reserve(drop), await staff.release("rs_x_y")):
            assert (answer["code"], answer["message"]) == ("not-allowed", f"A {role} may not buy.")
    assert stage.numbers(await stage.stock(drop)) == (1, 0, 0)


async def test_pong_tells_the_servers_time(stage: Stage) -> None:
    """`ping` gives its id back, and the one clock."""
    async with stage.watching() as viewer:
        pong = await viewer.request({"type": "ping"})
        assert abs(pong["server_time_at"] - viewer.welcome["server_time_at"]) < 60_000
    async with wire(stage, stage.viewer()) as nameless:
        await nameless.send({"type": "ping"})
        assert (await nameless.answer()).keys() == {"type", "server_time_at"}


async def test_reactions_are_counted_for_everybody(stage: Stage) -> None:
    """Reactions have no answer; their sum reaches all, and a kind that is none is refused."""
    async with stage.watching() as viewer, wire(stage, stage.viewer()) as other:
        for message in ({"kind": "heart", "count": 5}, {"kind": "heart"}, {"kind": "fire", "count": 100}):
            await other.send({"type": "react", **message})
        for kind, count in (("Heart", 1), ("x" * 17, 1), ("heart\n", 1), ("heart", 101)):
            await other.send({"type": "react", "kind": kind, "count": count})
            assert (await other.answer())["code"] == "invalid-message"

        def counted() -> bool:
            told = [message for message in viewer.messages if message["type"] == "reactions"]
            return bool(told) and told[-1]["counts"] == {"heart": 6, "fire": 100}

        await wait_for(counted, "all reactions are counted")
