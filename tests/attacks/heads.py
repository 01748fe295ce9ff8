"""Heads of requests that two servers would read differently, or that never end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.attacks.answers import said

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = ""  # no request has come about that could be counted
GET, HOST, END = b"GET /healthz HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n"
HEADS = {
    "no Host": (GET + END, "400"),
    "two Hosts": (GET + HOST + HOST + END, "400"),
    "a header of 20,000 bytes": (GET + HOST + b"X: " + b"x" * 20_000 + b"\r\n" + END, "431"),
    "4,000 headers": (GET + HOST + b"X: x\r\n" * 4_000 + END, "431"),
    "a length and chunks": (
        b"POST /healthz HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "400",
    ),
    "two lengths": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "400",
    ),
    "a blank before the colon": (GET + b"Host : a\r\n" + END, "400"),
    "a folded line": (GET + HOST + b"X: a\r\n b\r\n" + END, "400"),
    "a NUL": (GET + HOST + b"X: a\0b\r\n" + END, "400"),
    "HTTP/3.0": (b"GET / HTTP/3.0\r\n" + HOST + END, "400|505"),
    "no HTTP": (b"\x16\x03\x01\x02\x00" + b"\0" * 200, "400|closed"),
}
EXPECTED: Answers = {name: expected for name, (_, expected) in HEADS.items()}


async def attack(stage: Stage) -> Answers:
    """Send each head on a connection of its own."""
    return {name: await said(stage, sent) for name, (sent, _) in HEADS.items()}
