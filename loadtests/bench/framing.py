"""Websocket frames as a load generator needs them: small, unfragmented, and a handshake that costs nothing.

Client frames are masked with a mask of zeros: allowed on the wire, and the same work for the server.
"""

from __future__ import annotations

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA  # opcodes, RFC 6455 section 5.2
FINAL, MASKED, NO_MASK = 0x80, 0x80, b"\0\0\0\0"
SHORT, MEDIUM = 125, 126
SHORTEST = 2  # bytes of the smallest frame's head
KEY = b"bGl2ZWRyb3AgYmVuY2htYQ=="  # sixteen bytes; whether the server hashed them well is the tests' matter

Frame = tuple[int, bytes]


def upgrade(host: str, path: str, subprotocol: str | None) -> bytes:
    """Return the request that opens a websocket, RFC 6455 section 4.1."""
    lines = [
        b"GET %b HTTP/1.1" % path.encode(),
        b"Host: %b" % host.encode(),
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + KEY,
    ]
    if subprotocol is not None:
        lines.append(b"Sec-WebSocket-Protocol: " + subprotocol.encode())
    return b"\r\n".join([*lines, b"", b""])


def answered(data: bytes) -> tuple[int, bytes] | None:
    """Return the status of the server's answer and what came after it, or None while it is not all there."""
    head, end, rest = data.partition(b"\r\n\r\n")
    return (int(head.split(b" ", 2)[1]), rest) if end else None


def masked(payload: bytes, opcode: int = BINARY) -> bytes:
    """Return a client's frame of less than 64 KiB."""
    size = len(payload)
    if size <= SHORT:
        return bytes((FINAL | opcode, MASKED | size)) + NO_MASK + payload
    return bytes((FINAL | opcode, MASKED | MEDIUM)) + size.to_bytes(2, "big") + NO_MASK + payload


def plain(payload: bytes, opcode: int = BINARY) -> bytes:
    """Return a server's frame of less than 64 KiB."""
    size = len(payload)
    if size <= SHORT:
        return bytes((FINAL | opcode, size)) + payload
    return bytes((FINAL | opcode, MEDIUM)) + size.to_bytes(2, "big") + payload


def frames(data: bytes) -> tuple[list[Frame], bytes]:
    """Return a server's whole frames as (opcode, payload), and the bytes of the one that is not all there."""
    found: list[Frame] = []
    at, end = 0, len(data)
    while end - at >= SHORTEST:
        size, start = data[at + 1], at + SHORTEST
        if size > SHORT:
            width = 2 if size == MEDIUM else 8
            size = int.from_bytes(data[start : start + width], "big")
            start += width
        if start + size > end:
            break
        found.append((data[at] & 0x0F, data[start : start + size]))
        at = start + size
    return found, data[at:]
