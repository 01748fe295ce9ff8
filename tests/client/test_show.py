"""A viewer's program on a real server: watching, taking, waiting, paying."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from server import ids
from server.auth import Role
from server.client import ClosedError, LiveDrop, LiveDropError
from server.protocol.codec import Codec
from tests.client.told import Told, holes
from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.client.credential import Source
    from tests.stage import Stage

CODECS = pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)


def client(
    stage: Stage, token: Source | None = None, *, url: str | None = None, codec: Codec = Codec.MSGPACK
) -> LiveDrop:
    """Return a client of the stage's show."""
    return LiveDrop(url or stage.server.url, stage.show, token or stage.viewer(), codec=codec)


@CODECS
async def test_a_program_watches_and_buys(stage: Stage, codec: Codec) -> None:
    """Take, give back, wait, leave, take several at once, take a part, pay: each has its answer, in both codecs."""
    mugs = await stage.drop(3, limit_per_viewer=3)
    lamps = await stage.drop(1, sku="LAMP", limit_per_viewer=3)
    async with client(stage, codec=codec) as live, client(stage, codec=codec) as other:
        taken = await live.reserve(mugs, 2)
        assert (taken["state"], taken["quantity"], taken["drop"]) == ("held", 2, mugs)
        given = await live.release(taken["id"])
        assert given["state"] == "released"
        both = await live.bundle({lamps: 1, mugs: 1})
        assert [each["drop"] for each in both] == [lamps, mugs]
        place = await other.join(lamps)
        assert (place["drop"], place["position"]) == (lamps, 1)
        assert (await other.leave(lamps))["position"] == 0
        part = await other.reserve(mugs, 3, part=True, receipt=True)
        assert (part["quantity"], part["waiting"]["quantity"]) == (2, 1)
        assert part["receipt"].count(".") == 2
        nothing = await live.reserve(mugs, 1, part=True)
        assert (nothing["drop"], nothing["position"], "state" in nothing) == (mugs, 2, False)
        body = {
            "reservations": [each["id"] for each in both],
            "payment": {"method": "card", "token": "tok_ok"},
            "expected_total": sum(each["unit_price"] for each in both),
        }
        order = await live.checkout(body)
        assert (order["status"], len(order["lines"])) == ("paid", 2)
        assert (await live.request("GET", f"/v1/orders/{order['id']}"))["id"] == order["id"]


async def test_a_refusal_is_an_error_with_its_numbers(stage: Stage) -> None:
    """Out of stock names what is left; a declined card leaves the hold; a request says what was wrong with it."""
    drop = await stage.drop(2, limit_per_viewer=5)
    async with client(stage) as live:
        with pytest.raises(LiveDropError) as refused:
            await live.reserve(drop, 3)
        assert (refused.value.code, refused.value.extras["available"]) == ("out-of-stock", 2)
        assert not refused.value.unknown
        taken = await live.reserve(drop)
        body = {"reservations": [taken["id"]], "payment": {"method": "card", "token": "tok_declined"}}
        keys = []
        for _ in range(2):
            with pytest.raises(LiveDropError) as declined:
                await live.checkout(body)
            keys.append(declined.value.operation)
            assert declined.value.code == "payment-declined"
        assert len(set(keys)) == 2, "an answer is known: the next try is another payment"
        assert (await live.checkout({**body, "payment": {"method": "card", "token": "tok_ok"}}))[
            "status"
        ] == "paid"
        with pytest.raises(LiveDropError) as missing:
            await live.request("GET", "/v1/orders/or_a_b")
        assert missing.value.code == "not-found"


@CODECS
async def test_callbacks_and_iteration_see_the_same(stage: Stage, codec: Codec) -> None:
    """Both see every event from the first welcome on, in order; a callback that fails costs the others nothing."""
    failures: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["message"]))
    live = client(stage, codec=codec)
    told = Told(live)
    opened: list[str] = []
    live.on("drop.opened", lambda _: 1 / 0)
    end = live.on("drop.opened", lambda message: opened.append(message["drop"]["id"]))
    async with live:
        first = await stage.drop(1)
        await wait_for(lambda: opened == [first], "the callback")
        end()
        await stage.drop(1)
        await stage.move(first, "close")
        read = []
        async for message in live:
            read.append(message)
            if message["type"] == "drop.closed":
                break
    assert opened == [first]
    assert failures == ["A callback of drop.opened failed."] * 2
    assert holes(read) == []
    unconflated = [message for message in told.messages if message["type"] != "stock.updated"]
    assert [message for message in read if message["type"] != "stock.updated"] == unconflated[
        : len([message for message in read if message["type"] != "stock.updated"])
    ]
    assert {"welcome", "drop.opened", "drop.closed"} <= {message["type"] for message in read}
    assert told.states == ["connecting", "live", "ended"]


async def test_reactions_arrive(stage: Stage) -> None:
    """Applause of a viewer reaches the others."""
    async with client(stage) as live, client(stage) as other:
        told = Told(other)
        kind = f"k{ids.secret(4).lower().replace('_', '-')}"
        assert await live.react(kind, 3)
        await wait_for(lambda: f"'{kind}': 3" in str(told.of("reactions")), "three of them")


async def test_the_servers_clock_is_known(stage: Stage) -> None:
    """After the first round trips the client knows the server's time to a few milliseconds."""
    async with client(stage) as live:
        await wait_for(lambda: len(live.clock._samples) >= 4, "several round trips")
        assert live.clock.uncertainty_ms < 100
        watcher_says = live.now()
        async with stage.watching() as watcher:
            pong = await watcher.request({"type": "ping"})
        assert abs(pong["server_time_at"] - watcher_says) < 500 + live.clock.uncertainty_ms


@pytest.mark.parametrize(
    ("token", "named", "code"),
    [("nonsense", None, 3500), (None, "sh_nosuchshow00", 3507), ("other", None, 3507)],
    ids=["a bad token", "no such show", "another show's token"],
)
async def test_what_is_final_is_raised(stage: Stage, token: str | None, named: str | None, code: int) -> None:
    """Where no try can succeed, entering raises at once what the server says, and nothing is tried again."""
    if token == "other":
        token = stage.server.token(Role.VIEWER, "viewer", "sh_other")
    live = LiveDrop(stage.server.url, named or stage.show, token or stage.viewer())
    told = Told(live)
    with pytest.raises(ClosedError) as closed:
        async with live:
            pass
    assert closed.value.code == code
    assert closed.value.final
    assert told.states == ["connecting", "ended"]
    with pytest.raises(LiveDropError) as ended:
        await live.reserve("dr_a_b")
    assert ended.value.code == "unavailable"
    with pytest.raises(ClosedError):
        await anext(aiter(live))


async def test_it_is_entered_once_and_knows_what_a_url_is(stage: Stage) -> None:
    """A second entering and an address that is none are mistakes of the program, and told as such."""
    async with client(stage) as live:
        with pytest.raises(RuntimeError):
            await live.__aenter__()
    for url in ("ws://here", "here:8000", "http://"):
        with pytest.raises(ValueError, match="URL"):
            client(stage, url=url)
