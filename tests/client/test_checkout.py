"""A checkout whose answers are lost: one key until the answer is known, one order, one payment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from server import ids
from server.client import LiveDrop, LiveDropError, door
from tests.browser.cable import Cable
from tests.client.test_show import client

if TYPE_CHECKING:
    from tests.stage import Stage


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ANSWER_SECONDS", 0.5)


async def a_body(live: LiveDrop, drop: str, card: str = "tok_ok") -> dict[str, Any]:
    """Take a unit and return what pays it."""
    taken = await live.reserve(drop)
    return {"reservations": [taken["id"]], "payment": {"method": "card", "token": card}}


async def test_answers_are_lost_and_the_order_is_one(stage: Stage) -> None:
    """The server hears the checkout and nobody hears the server: asked again with the same key, there is one order."""
    drop = await stage.drop(2, limit_per_viewer=2)
    async with Cable(stage.server.port) as cable, client(stage) as live:
        body = await a_body(live, drop)
        live._door._url = cable.url
        cable.lose_answers()
        paying = asyncio.create_task(live.checkout(body, within=30))
        await stage.until_stock(drop, (1, 0, 1))
        assert not paying.done()
        cable.cut()
        cable.mend()
        order = await paying
        assert order["status"] == "paid"
        assert stage.numbers(await stage.stock(drop)) == (1, 0, 1)
        assert live._door._unanswered == {}


@pytest.mark.parametrize("end", ["deadline", "cancel"])
async def test_what_is_unknown_keeps_its_key(stage: Stage, end: str) -> None:
    """Given up without an answer, or cancelled: the same body later asks about the same payment."""
    drop = await stage.drop(2, limit_per_viewer=2)
    async with Cable(stage.server.port) as cable, client(stage) as live:
        body = await a_body(live, drop)
        live._door._url = cable.url
        cable.lose_answers()
        paying = asyncio.create_task(live.checkout(body, within=1 if end == "deadline" else 30))
        await stage.until_stock(drop, (1, 0, 1))
        if end == "cancel":
            paying.cancel()
        (given_up,) = await asyncio.gather(paying, return_exceptions=True)
        if end == "deadline":
            assert isinstance(given_up, LiveDropError)
            assert given_up.unknown
        else:
            assert isinstance(given_up, asyncio.CancelledError)
        cable.cut()
        cable.mend()
        assert (await live.checkout(dict(reversed(body.items()))))["status"] == "paid"
    assert stage.numbers(await stage.stock(drop)) == (1, 0, 1)


async def test_a_key_of_its_own_makes_one_order_of_two_programs(stage: Stage) -> None:
    """Two programs of one viewer with one key get the same order: a key that is kept outlives a process."""
    drop, token, key = await stage.drop(1), stage.viewer(), ids.secret(16)
    async with client(stage, token) as first, client(stage, token) as second:
        body = await a_body(first, drop)
        orders = await asyncio.gather(*(each.checkout(body, key=key) for each in (first, second)))
    assert orders[0]["id"] == orders[1]["id"]


async def test_checkouts_without_an_answer_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a new checkout is refused before it is sent; one of those kept may still be asked for."""
    monkeypatch.setattr(door, "MOST_UNANSWERED", 1)
    drop = await stage.drop(2, limit_per_viewer=2)
    async with Cable(stage.server.port) as cable, client(stage) as live:
        first, second = await a_body(live, drop), await a_body(live, drop)
        live._door._url = cable.url
        cable.cut()
        with pytest.raises(LiveDropError, match="could not be reached"):
            await live.checkout(first, within=0.2)
        with pytest.raises(LiveDropError, match="no answer yet"):
            await live.checkout(second)
        cable.mend()
        assert (await live.checkout(first))["status"] == "paid"
        await live.release(second["reservations"][0])


async def test_what_something_between_answers_is_unknown(stage: Stage) -> None:
    """A gateway's page in place of an answer says nothing about the outcome, whatever its status."""

    async def gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {next(statuses)} Hm\r\nContent-Length: 6\r\n\r\n<html>".encode())
        writer.close()

    statuses = iter([502, 200, 403])
    async with await asyncio.start_server(gateway, "127.0.0.1", 0) as between, client(stage) as live:
        live._door._url = f"http://127.0.0.1:{between.sockets[0].getsockname()[1]}"
        for _ in range(3):
            with pytest.raises(LiveDropError) as unclear:
                await live.request("GET", "/v1/shows")
            assert unclear.value.unknown
        assert next(statuses, None) is None
