"""What came back from an attack, in the words of the tables: a status with its code, or a close code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.wire import wire

if TYPE_CHECKING:
    import httpx

    from tests.stage import Stage
    from tests.wire import Wire

SECONDS = 30.0  # after which a server has not answered
READ_BYTES = 65_536

Answers = dict[
    str, str
]  # what was tried → what came back; in a table of what is expected `|` parts alternatives


def told(answer: httpx.Response) -> str:
    """Return an answer's status, with its code where it is a problem."""
    problem = answer.headers.get("content-type") == "application/problem+json"
    return f"{answer.status_code} {answer.json()['code']}" if problem else str(answer.status_code)


async def handshake(stage: Stage, **how: Any) -> str:
    """Try to open a viewer's socket; return 101, or with what it was refused."""
    try:
        async with wire(stage, **how):
            return "101"
    except InvalidStatus as refused:
        kind = refused.response.headers.get("content-type", "")
        body = refused.response.body or b""
        code = body.decode().partition('"code":"')[2].partition('"')[0] if "problem" in kind else ""
        return f"{refused.response.status_code} {code}".strip()


async def answered(viewer: Wire, frame: bytes | str) -> str:
    """Send one websocket message; return the code of the error, the type of another answer, or the close code."""
    try:
        await viewer.raw(frame)
        answer = await viewer.answer()
    except ConnectionClosed:
        return str(viewer.socket.close_code)
    return str(answer.get("code", answer["type"]))


async def said(stage: Stage, sent: bytes) -> str:
    """Send bytes to the server's port and read until it ends the connection; return the first answer's status."""
    place = urlsplit(stage.server.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        async with asyncio.timeout(SECONDS):
            writer.write(sent)
            heard = b""
            while read := await reader.read(READ_BYTES):
                heard += read
    except ConnectionError:
        pass  # what was heard before counts
    finally:
        writer.transport.abort()
    return heard[9:12].decode() if heard.startswith(b"HTTP/1.1 ") else "closed"


def differences(expected: Answers, seen: Answers) -> Answers:
    """Return what came to another end than was expected, and what was not tried at all."""
    return {
        name: seen.get(name, "not tried")
        for name in expected.keys() | seen.keys()
        if seen.get(name) not in expected.get(name, "").split("|")
    }
