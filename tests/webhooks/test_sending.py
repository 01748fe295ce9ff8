"""One try: connected to what was checked, with the name's certificate, bounded in time and bytes."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.clock import now_ms
from server.webhooks import sending
from server.webhooks.sending import Letter, Outcome, Sender
from server.webhooks.signing import new_secret
from server.webhooks.target import Reach, Target
from tests.server import free_port
from tests.waiting import wait_for
from tests.webhooks.certificates import served_as
from tests.webhooks.receiver import Receiver, Say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.webhooks.sending import Result
    from server.webhooks.target import Address

LETTER = Letter("or_1 paid", b"{}", [new_secret()])


class Names:
    """A resolver of a test's own: answers with one list after the other, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.asked = 0
        self._answers = answers

    async def __call__(self, _host: str, _port: int) -> list[Address]:
        found = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return [ip_address(each) for each in found]


@asynccontextmanager
async def sender(reach: Reach = Reach.LOOPBACK, **more: Any) -> AsyncIterator[Sender]:
    """Give a sender."""
    one = Sender(reach, **more)
    try:
        yield one
    finally:
        await one.aclose()


async def send(url: str, reach: Reach = Reach.LOOPBACK, **more: Any) -> Result:
    """Make one try."""
    async with sender(reach, **more) as one:
        return await one.send(url, LETTER, now_ms())


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:{port}/",
        "https://[::ffff:7f00:1]:{port}/",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433:{port}/",
        "https://0x7f000001:{port}/",
        "https://0177.0.0.1:{port}/",
        "https://127.1:{port}/",
        "https://localhost:{port}/",
        "http://localhost:{port}/",
    ],
)
async def test_nothing_is_sent_inside(url: str, receiver: Receiver) -> None:
    """In production no spelling of an inner address is connected to, though a receiver listens there."""
    result = await send(url.format(port=receiver.port), Reach.PUBLIC)
    assert result.outcome is Outcome.FORBIDDEN
    assert result.problem is not None
    assert result.problem.startswith("Not sent:")
    assert receiver.got == []


@pytest.mark.parametrize("found", [["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["::ffff:10.0.0.1"]])
async def test_a_name_that_also_leads_inside_is_refused(found: list[str]) -> None:
    """One bad address among a name's is enough."""
    result = await send("https://shop.example/", Reach.PUBLIC, resolve=Names(found))
    assert result.outcome is Outcome.FORBIDDEN
    assert result.problem is not None
    assert "10.0.0.1" not in result.problem


async def test_a_name_that_leads_elsewhere_a_moment_later_cannot_switch(
    receiver: Receiver, tmp_path: Path
) -> None:
    """What was checked is connected to: the name is resolved once a try, and refused once it leads inside."""
    server, client = served_as("shop.example", tmp_path)
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    async with Receiver(tls=server) as shop, sender(resolve=names, tls=client) as one:
        url = f"https://shop.example:{shop.port}/hook"
        first = await one.send(url, LETTER, now_ms())
        assert (first.outcome, names.asked, len(shop.got)) == (Outcome.DELIVERED, 1, 1)
        second = await one.send(url, LETTER, now_ms())
        assert (second.outcome, names.asked, len(shop.got)) == (Outcome.FORBIDDEN, 2, 1)
    assert receiver.got == []


@pytest.mark.parametrize("broken", [False, True], ids=["as it is", "control"])
async def test_the_name_is_not_resolved_a_second_time(
    monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    """The checked address is connected to, whatever the system says now. Control: the name stays in the URL."""
    if broken:
        monkeypatch.setattr(Target, "at", lambda target, _address: target.url)
    async with Receiver(host="127.0.0.2") as checked, Receiver(port=checked.port) as another:
        result = await send(f"http://localhost:{checked.port}/", resolve=Names(["127.0.0.2"]))
        assert result.outcome is Outcome.DELIVERED
        assert (len(checked.got), len(another.got)) == ((0, 1) if broken else (1, 0))


async def test_the_pinned_address_answers_in_the_names_name(tmp_path: Path) -> None:
    """Host header, SNI and certificate are the name's, though an address was connected to."""
    server, client = served_as("shop.example", tmp_path)
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with Receiver(tls=server) as shop:
        url = f"https://shop.example:{shop.port}/hook?x=1"
        result = await send(url, resolve=Names(["127.0.0.1"]), tls=client)
        assert result.outcome is Outcome.DELIVERED, result
        assert asked == ["shop.example"]
        assert shop.got[0].headers["host"] == f"shop.example:{shop.port}"
        assert shop.got[0].path == "/hook?x=1"


async def test_another_names_certificate_is_refused(tmp_path: Path) -> None:
    """A server that can only prove to be another one gets nothing; nor does one that nobody vouches for."""
    server, client = served_as("other.example", tmp_path)
    async with Receiver(tls=server) as shop:
        url = f"https://shop.example:{shop.port}/hook"
        for tls in (client, None):
            result = await send(url, resolve=Names(["127.0.0.1"]), tls=tls)
            assert result.outcome is Outcome.UNREACHABLE
            assert result.problem == "No answer: the certificate is not valid for the name."
        assert shop.got == []


async def test_a_names_next_address_is_tried_where_the_first_takes_no_connection(receiver: Receiver) -> None:
    """Nothing was sent yet, so the message comes once."""
    result = await send(
        receiver.url.replace("127.0.0.1", "shop.example"), resolve=Names(["::1", "127.0.0.1"])
    )
    assert result.outcome is Outcome.DELIVERED
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (299, Outcome.DELIVERED),
        (301, Outcome.REDIRECTED),
        (304, Outcome.REDIRECTED),
        (308, Outcome.REDIRECTED),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (410, Outcome.GONE),
        (500, Outcome.REFUSED),
    ],
)
async def test_the_status_decides(receiver: Receiver, status: int, outcome: Outcome) -> None:
    """2xx is success, 3xx is failure and not followed, 410 is the end, the rest is failure."""
    receiver.answer = lambda _got: Say(status, {"location": receiver.url})
    result = await send(receiver.url)
    assert (result.outcome, result.answer) == (outcome, status)
    assert len(receiver.got) == 1


async def test_who_does_not_answer_is_waited_for_so_long(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """15 s in all by default; here shorter."""
    assert (sending.CONNECT_SECONDS, sending.WHOLE_SECONDS) == (3.0, 15.0)
    monkeypatch.setattr(sending, "WHOLE_SECONDS", 0.2)
    receiver.answer = lambda _got: Say(hold=asyncio.Event())
    result = await send(receiver.url)
    assert (result.outcome, result.problem) == (Outcome.TIMEOUT, "No answer in time.")
    assert 200 <= result.took_ms < 2000


async def test_a_long_answer_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long an answer is, at most 64 KiB and the chunk that crosses them are read: its status was told."""
    monkeypatch.setattr(sending, "DRAIN_SECONDS", 600.0)  # so that it is not time that ends it
    read = []

    async def long() -> AsyncIterator[bytes]:
        for _ in range(1000):
            read.append(10_000)
            yield b"x" * 10_000

    await sending._drain(httpx.Response(200, content=long()))
    assert sum(read) == 70_000


async def test_a_slow_answer_is_not_waited_for(receiver: Receiver) -> None:
    """Of an answer that never ends a second is waited for: its status was told."""
    receiver.answer = lambda _got: Say(200, {"content-length": "10"}, b"x")
    assert (await send(receiver.url)).outcome is Outcome.DELIVERED


async def test_nobody_is_there(receiver: Receiver) -> None:
    """No listener, no such name, no HTTP: unreachable, in a sentence without an address."""
    assert (await send(f"http://127.0.0.1:{free_port()}/")).outcome is Outcome.UNREACHABLE
    assert (await send("http://shop.example/", resolve=Names([]))).outcome is Outcome.UNREACHABLE
    receiver.answer = lambda _got: Say(headers={"content-length": "no number"})
    result = await send(receiver.url)
    assert result.outcome is Outcome.UNREACHABLE
    assert result.problem is not None
    assert "127.0.0.1" not in result.problem


async def test_no_proxy_and_no_cookie(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment would lead past the check; a cookie would tell receivers of each other."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    receiver.answer = lambda _got: Say(200, {"set-cookie": "a=b"})
    async with sender() as one:
        for _ in range(2):
            assert (await one.send(receiver.url, LETTER, now_ms())).delivered
    assert all("cookie" not in got.headers for got in receiver.got)


async def test_a_name_that_hangs_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many messages wait for it, and gave up on it: it is looked up once, and others are found meanwhile."""
    looked, over = [], threading.Event()

    def slow(host: str, _port: int, **_more: Any) -> list[Any]:
        looked.append(host)
        if host == "hangs.example":
            over.wait()
        return [(0, 0, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(sending, "getaddrinfo", slow)
    names = sending.Resolver()
    waiting = [asyncio.create_task(names("hangs.example", 443)) for _ in range(2 * sending.RESOLVERS)]
    try:
        await wait_for(lambda: "hangs.example" in looked, "it hangs")
        waiting.pop().cancel()
        async with asyncio.timeout(10):
            assert await names("shop.example", 443) == [ip_address("127.0.0.1")]
    finally:
        over.set()
        names.close()
    assert await asyncio.gather(*waiting) == [[ip_address("127.0.0.1")]] * len(waiting)
    assert looked == ["hangs.example", "shop.example"]
