"""What is no answer leaves the outcome unknown: against a server that hangs, lies, cuts, and is not there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from server.payments import sandbox as client
from server.payments.provider import CALL_SECONDS, RefusedError, UnknownOutcomeError
from server.payments.sandbox import Sandbox
from tests.payments.sandboxes import charge
from tests.server import SECRET, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

CALLS: dict[str, Callable[[Sandbox], Awaitable[object]]] = {
    "authorize": lambda sandbox: sandbox.authorize(charge()),
    "find": lambda sandbox: sandbox.find("or_1"),
    "capture": lambda sandbox: sandbox.capture(charge(), "sb_or_1"),
    "void": lambda sandbox: sandbox.void(charge(), "sb_or_1"),
    "refund": lambda sandbox: sandbox.refund("sb_or_1", "rf_1", 1),
    "payments": lambda sandbox: anext(sandbox.payments(0)),
}
BAD = {
    "a 500": b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}",
    "a 429": b"HTTP/1.1 429 Slow Down\r\nContent-Length: 2\r\n\r\n{}",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    "a 404 of somebody else": b"HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n<h1>404</h1>\n",
    "another document": b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}',
    "no JSON": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<ok>",
    "half an answer": b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"order"',
    "no HTTP": b"hello\r\n\r\n",
    "nothing": b"",
}


class Liar:
    """A server that says the same to everybody, and counts who asked."""

    def __init__(self, words: bytes | None) -> None:
        self._words = words
        self.asked = 0
        self._hanging = asyncio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Sandbox]:
        """Serve, and give a provider that asks it."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        sandbox = Sandbox(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", SECRET)
        try:
            yield sandbox
        finally:
            await sandbox.aclose()
            self._hanging.set()
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self._words is None:
            await self._hanging.wait()
        else:
            writer.write(self._words)
            await writer.drain()
        writer.close()


@pytest.mark.parametrize("words", BAD)
@pytest.mark.parametrize("call", CALLS)
async def test_no_answer_is_an_unknown_outcome(call: str, words: str) -> None:
    """Whatever is not the bank's own answer is unknown, never a decline or a refusal; and nothing is asked twice."""
    liar = Liar(BAD[words])
    async with liar.serving() as sandbox:
        with pytest.raises(UnknownOutcomeError):
            await CALLS[call](sandbox)
    assert liar.asked == 1


@pytest.mark.parametrize("call", CALLS)
async def test_silence_is_an_unknown_outcome(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that has no answer ends by itself, before checkout would give it up."""
    assert client.ANSWER_SECONDS < CALL_SECONDS
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.2)
    liar = Liar(None)
    async with liar.serving() as sandbox, asyncio.timeout(5):
        with pytest.raises(UnknownOutcomeError, match=r"within 0\.2 s"):
            await CALLS[call](sandbox)
    assert liar.asked == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", ""])
async def test_nobody_there_is_an_unknown_outcome(call: str, url: str) -> None:
    """A refused connection, and an address that is none, are unknown outcomes too: the order stays recorded."""
    sandbox = Sandbox(url.format(port=free_port()), SECRET)
    with pytest.raises(UnknownOutcomeError):
        await CALLS[call](sandbox)
    await sandbox.aclose()


async def test_another_key_is_an_unknown_outcome() -> None:
    """A bank with another secret says nothing about a payment."""
    liar = Liar(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}")
    async with liar.serving() as sandbox:
        with pytest.raises(UnknownOutcomeError, match="401"):
            await sandbox.authorize(charge())


async def test_the_bank_itself_may_refuse() -> None:
    """The control: a refusal in the bank's own words is one."""
    words = b'{"code": "refused", "sentence": "No."}'
    liar = Liar(b"HTTP/1.1 409 No\r\nContent-Length: %d\r\n\r\n" % len(words) + words)
    async with liar.serving() as sandbox:
        with pytest.raises(RefusedError, match="No"):
            await sandbox.capture(charge(), "sb_or_1")
