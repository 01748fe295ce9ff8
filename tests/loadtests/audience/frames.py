"""A server's frames, written down by hand."""

from __future__ import annotations


def server_frame(opcode: int, payload: bytes) -> bytes:
    """Return a server's frame, written down as RFC 6455 section 5.2 has it."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload
