"""A client in front of a full show, or of a server that asks for work: it does what it takes, and keeps its place."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from server.challenge import MOST_BITS, is_work
from server.client import ClosedError, LiveDrop, talk, work
from server.client.work import Work, proof_of, search
from server.clock import now_ms
from server.protocol.codec import Codec
from tests.api.schemas import complaints
from tests.client.told import Told
from tests.client.wires import URL, Exchange, FakeWire, event, welcome
from tests.server import own_server
from tests.stage import on_stage
from tests.waiting import wait_for
from tests.waiting_room.seats import gone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.server import ServerProcess
    from tests.stage import Stage

Message = dict[str, Any]
HOUR_MS = 3_600_000
BITS = 8


def challenge(bits: int = BITS, nonce: str = "n", expires_at: int = 2**50) -> Message:
    """Return a challenge."""
    return {"type": "challenge", "nonce": nonce, "bits": bits, "answer_by_at": 0, "expires_at": expires_at}


def in_line(place: int) -> Message:
    """Return a place in the waiting room."""
    return {"type": "waiting", "status": "in_line", "place": place, "waiting": 9, "keep_ms": 60_000}


def client(exchange: Exchange, token: Callable[[], str] = lambda: "token") -> LiveDrop:
    """Return a client that comes back at once."""
    return LiveDrop(URL, "sh_a", token, chance=lambda: 0.0, dial=exchange.dial)


# -- The work


@pytest.mark.parametrize("bits", [0, 1, 7, 8, 9, 12])
async def test_the_work_is_what_the_server_asks_for(bits: int) -> None:
    """What is found holds before the server's own check, and is the first that does."""
    proof = await proof_of(challenge(bits, f"nonce-{bits}"))
    assert is_work(proof["nonce"], proof["answer"], bits)
    assert not any(is_work(proof["nonce"], str(number), bits) for number in range(int(proof["answer"])))


async def test_the_loop_turns_while_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads other than the loop's do it, a few numbers at a time; who gives up is not worked for any longer."""
    loop, threads = threading.get_ident(), []

    def fruitless(_nonce: str, _bits: int, numbers: range) -> None:
        threads.append(threading.get_ident())
        assert len(numbers) == work.AT_ONCE

    monkeypatch.setattr(work, "search", fruitless)
    working = asyncio.create_task(proof_of(challenge()))
    await wait_for(lambda: len(threads) > 3, "it goes on and on")
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    assert working.cancelled()
    assert loop not in threads


@pytest.mark.parametrize("bits", [MOST_BITS + 1, 256, -1])
async def test_too_much_work_is_refused(bits: int) -> None:
    """Nothing is begun that would take hours: entering raises what was asked for, and nothing is tried again."""
    exchange = Exchange(lambda wire, _: wire.say(challenge(bits)))
    with pytest.raises(
        ClosedError, match=f"work of {bits} bits; this client does {MOST_BITS} at most"
    ) as refused:
        async with client(exchange):
            pass
    assert refused.value.final
    assert len(exchange.hellos) == 1


async def test_a_proof_counts_until_its_end() -> None:
    """It is sent along for as long as it counts, by the server's clock, and not a moment longer."""
    moments = iter([1_000, 1_999, 2_000])
    mine = Work(lambda: next(moments))
    assert mine.proof is None
    proof = await mine.do(challenge(expires_at=2_000))
    assert [mine.proof, mine.proof] == [proof, None]


def test_a_search_that_finds_nothing_says_so() -> None:
    """Numbers of which none will do are told apart from one that does."""
    found = search("n", BITS, range(100_000))
    assert found is not None
    assert search("n", BITS, range(int(found))) is None


async def test_work_is_done_once_and_shown_again() -> None:
    """Hello is said again with the proof; later connections bring it at once, until it counts no longer."""
    ends = now_ms() + HOUR_MS

    def play(wire: FakeWire, message: Message) -> None:
        proven = message.get("proof", {}).get("nonce") == nonce
        wire.say(welcome(0) if proven else challenge(nonce=nonce, expires_at=ends))

    nonce, exchange = "first", Exchange(play)
    live = client(exchange)
    told = Told(live)
    async with live:
        assert told.states == ["connecting", "checking", "live"]
        exchange.wires[0].close(1006)
        await told.live_again(1)
        assert ["proof" in hello for hello in exchange.hellos] == [False, True, True]
        assert exchange.hellos[2]["proof"] == exchange.hellos[1]["proof"]
        nonce = "second"
        exchange.wires[1].close(1006)
        await told.live_again(2)
    nonces = [hello.get("proof", {}).get("nonce") for hello in exchange.hellos]
    assert nonces == [None, "first", "first", "first", "second"]
    assert {hello["token"] for hello in exchange.hellos} == {"token"}


async def test_a_connection_that_ends_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is sent away while they work begins anew at once, with what the server then asks for."""
    begun = asyncio.Event()

    def fruitless(_nonce: str, bits: int, numbers: range) -> str | None:
        return search("easy", bits, numbers) if bits == BITS else None

    def play(wire: FakeWire, message: Message) -> None:
        if len(exchange.wires) == 1:
            wire.say(challenge(BITS + 1))
            begun.set()
        else:
            wire.say(welcome(0) if "proof" in message else challenge(BITS, "easy"))

    monkeypatch.setattr(work, "search", fruitless)
    exchange = Exchange(play)
    live = client(exchange)
    entering = asyncio.create_task(live.__aenter__())
    await begun.wait()
    exchange.wires[0].close(3001)
    await entering
    await live.__aexit__(None, None, None)
    assert [hello.get("proof", {}).get("nonce") for hello in exchange.hellos] == [None, None, "easy"]


# -- The waiting room


async def test_who_waits_is_told_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `waiting` is told before the welcome; no silence ends it while pings are answered; then all is as ever."""
    monkeypatch.setattr(talk, "PING_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(talk, "FIRST_PINGS_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(talk, "SIGN_OF_LIFE_SECONDS", 30.0)
    pings = 0

    def play(wire: FakeWire, message: Message) -> None:
        if message["type"] == "hello":
            wire.say(in_line(2))
        if message["type"] == "reserve":
            wire.say({"type": "reservation", "id": message["id"], "reservation": {"state": "held"}})

    class Counting(FakeWire):
        async def send(self, message: Message) -> None:
            nonlocal pings
            pings += message["type"] == "ping"
            await super().send(message)

    monkeypatch.setattr("tests.client.wires.FakeWire", Counting)
    exchange = Exchange(play)
    live = client(exchange)
    told = Told(live)
    asking = asyncio.create_task(live.reserve("dr_a_b"))
    entering = asyncio.create_task(live.__aenter__())
    await wait_for(lambda: pings > 20, "it shows signs of life")
    assert not entering.done()
    assert live.connection.state == "queued"
    exchange.wires[0].say(in_line(1), welcome(4), event(5))
    await entering
    assert (await asking)["state"] == "held", "what was asked for meanwhile is asked now, and not before"
    first = [await anext(aiter(live)) for _ in range(3)]
    assert [message["type"] for message in first] == ["waiting", "welcome", "show.resumed"]
    assert first[0]["place"] == 1, "of the places nobody has read only the newest counts"
    await live.__aexit__(None, None, None)
    assert [message["place"] for message in told.of("waiting")] == [2, 1]
    assert told.states == ["connecting", "queued", "live", "ended"]
    assert len(exchange.hellos) == 1


async def test_who_hears_nothing_at_all_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a server that does not even answer pings is left, also by who waits in its room."""
    monkeypatch.setattr(talk, "SIGN_OF_LIFE_SECONDS", 0.01)

    class Dumb(FakeWire):
        async def send(self, message: Message) -> None:
            if message["type"] != "ping":
                await super().send(message)

    monkeypatch.setattr("tests.client.wires.FakeWire", Dumb)
    exchange = Exchange(lambda wire, _: wire.say(in_line(1)))
    entering = asyncio.create_task(client(exchange).__aenter__())
    await wait_for(lambda: len(exchange.wires) > 1, "it comes back")
    assert exchange.wires[0].aborted
    entering.cancel()
    with suppress(asyncio.CancelledError):
        await entering


async def test_who_comes_back_is_the_same() -> None:
    """A break in line is waited out, and the next hello brings the same token: the place is its subject's."""
    fetched: list[str] = []

    def fetch() -> str:
        fetched.append(f"token-{len(fetched)}")
        return fetched[-1]

    def play(wire: FakeWire, _: Message) -> None:
        wire.say(in_line(3) if len(exchange.wires) < 3 else welcome(0))
        if len(exchange.wires) < 3:
            wire.close(1006)

    exchange = Exchange(play)
    live = client(exchange, fetch)
    told = Told(live)
    async with live:
        assert told.states == ["connecting", "queued", "waiting"] * 2 + ["connecting", "live"]
    assert [hello["token"] for hello in exchange.hellos] == ["token-0"] * 3
    assert fetched == ["token-0"]


# -- A real server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server whose shows have two seats, and where unknown viewers have to do work."""
    settings = {
        "LIVEDROP_SHOW_CAPACITY": "2",
        "LIVEDROP_TURN_SECONDS": "600",
        "LIVEDROP_CHALLENGE_BITS": str(BITS),
    }
    with own_server(tmp_path_factory.mktemp("full"), settings) as process:
        yield process


@pytest.fixture
async def full(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show with two seats."""
    async with on_stage(server) as one:
        yield one


async def test_a_full_show(full: Stage) -> None:
    """The unknown work and are in, the others wait: both clients come in at their turn.

    All that they are told on the way is as the AsyncAPI document describes it.
    """
    url, drop = full.server.url, await full.drop(2)
    guest = LiveDrop(url, full.show, await full.anonymous("guest"))
    bob = LiveDrop(url, full.show, full.viewer("bob"), codec=Codec.JSON)
    of_guest, of_bob = Told(guest), Told(bob)
    async with guest, full.watching(await full.anonymous("other")) as other:
        assert of_guest.states == ["connecting", "checking", "live"]
        entering = asyncio.create_task(bob.__aenter__())
        await wait_for(lambda: bob.connection.state == "queued", "bob waits")
        assert of_bob.of("waiting")[0]["place"] == 1
        coming = asyncio.create_task(come_and_go(full, "cleo"))
        await wait_for(lambda: of_bob.of("waiting")[-1]["waiting"] == 2, "cleo waits behind him")
        assert not entering.done()
        assert not coming.done()
    await gone(full, "guest", "other")
    await entering
    assert (await bob.reserve(drop))["state"] == "held"
    await bob.__aexit__(None, None, None)
    of_cleo = await coming
    document = (await full.http.get("/asyncapi.json")).json()
    described = document["components"]["messages"]
    before = [*of_guest.of("challenge"), *other.messages[:1], *of_bob.of("waiting"), *of_cleo]
    assert [each["type"] for each in other.messages[:2]] == ["challenge", "welcome"]
    assert {each["type"] for each in before} == {"challenge", "waiting"}
    for message in before:
        payload = described[message["type"]]["payload"]
        assert complaints(message, payload, document["components"]) == [], message


async def come_and_go(stage: Stage, name: str) -> list[Message]:
    """Come in, however long that takes; return what was said before the welcome."""
    async with stage.watching(stage.viewer(name)) as one:
        kinds = [message["type"] for message in one.messages]
        return one.messages[: kinds.index("welcome")]
