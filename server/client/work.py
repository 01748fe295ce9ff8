"""Work that a server asks of viewers whom it does not know: done beside the event loop, and kept while it counts."""

from __future__ import annotations

import asyncio
import itertools
from hashlib import sha256
from typing import TYPE_CHECKING

from server.challenge import MOST_BITS
from server.client.failures import ClosedError
from server.errors import CLOSE_NOT_ALLOWED

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.protocol.events import Message

AT_ONCE = 50_000  # numbers that a thread tries before it looks whether anybody still wants to know: 0.03 s


class Work:
    """The proof of one client; `now` is the server's time, Unix ms."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._done: Message = {}
        self._until = 0

    @property
    def proof(self) -> Message | None:
        """What to send with a hello; None where nothing was asked for yet, or what was done counts no longer."""
        return self._done if self._now() < self._until else None

    async def do(self, challenge: Message) -> Message:
        """Return the proof of what a `challenge` asks for, and keep it. Raises ClosedError."""
        self._done = await proof_of(challenge)
        self._until = challenge["expires_at"]
        return self._done


async def proof_of(challenge: Message) -> Message:
    """Do what a `challenge` asks for, in a thread, and return the proof: a cancelled one is given up soon.

    Raises ClosedError, a final one, where it is more than `MOST_BITS`: nobody would live to see the end of it.
    """
    nonce, bits = challenge["nonce"], require_doable(challenge["bits"])
    for first in itertools.count(0, AT_ONCE):
        answer = await asyncio.to_thread(search, nonce, bits, range(first, first + AT_ONCE))
        if answer is not None:
            return {"nonce": nonce, "answer": answer}
    raise AssertionError


def require_doable(bits: int) -> int:
    """Return how many zero bits are asked for. Raises ClosedError where that is too much."""
    if not 0 <= bits <= MOST_BITS:
        text = f"The server asks for work of {bits} bits; this client does {MOST_BITS} at most."
        raise ClosedError(CLOSE_NOT_ALLOWED, text)
    return bits


def search(nonce: str, bits: int, numbers: range) -> str | None:
    """Return the first of the numbers for which SHA-256 of `nonce:number` begins with so many zero bits, if any."""
    begun = sha256(f"{nonce}:".encode())
    most = ((1 << (256 - bits)) - 1).to_bytes(32, "big")
    for number in numbers:
        tried = begun.copy()
        tried.update(b"%d" % number)
        if tried.digest() <= most:
            return str(number)
    return None
