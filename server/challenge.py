"""A challenge: work to be done before an anonymous viewer is let into a show, which costs next to nothing to check.

The server remembers nothing. A nonce names its end and how much work is asked for, and is bound to one viewer and one
show by a keyed hash, so that a proof is worth nothing to anybody else; until its end its owner may use it again.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b, sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BITS = 26  # a minute of a fast machine's work
VALID_MS = 3_600_000  # for so long a proof lets its viewer in again
TAG_BYTES = 16
END_BYTES = 6
NONCE_BYTES = END_BYTES + 1 + TAG_BYTES
PURPOSE = b"livedrop join"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What is asked for: `bits` leading zeros of SHA-256(`nonce:answer`), good until `expires_at` (Unix ms)."""

    nonce: str
    bits: int
    expires_at: int


class Challenges:
    """Asks for work and checks it; `now_ms` is the one clock of all processes."""

    def __init__(self, secret: str, bits: int, now_ms: Callable[[], int]) -> None:
        self._key = sha256(PURPOSE + secret.encode()).digest()
        self._bits = bits
        self._now_ms = now_ms

    def ask(self, show: str, subject: str) -> Challenge:
        """Return a fresh challenge for a viewer who wants to join a show."""
        end = self._now_ms() + VALID_MS
        named = end.to_bytes(END_BYTES, "big") + bytes((self._bits,))
        nonce = urlsafe_b64encode(named + self._tag(named, show, subject)).rstrip(b"=").decode()
        return Challenge(nonce, self._bits, end)

    def holds(self, show: str, subject: str, nonce: str, answer: str) -> bool:
        """Whether this is enough work, for a challenge of ours to this very viewer and show that has not ended."""
        try:
            raw = urlsafe_b64decode(nonce + "=" * (-len(nonce) % 4))
        except ValueError:
            return False
        if len(raw) != NONCE_BYTES:
            return False
        named, tag = raw[: END_BYTES + 1], raw[END_BYTES + 1 :]
        end, bits = int.from_bytes(named[:END_BYTES], "big"), named[END_BYTES]
        known = compare_digest(tag, self._tag(named, show, subject))
        return known and self._now_ms() < end and bits >= self._bits and is_work(nonce, answer, bits)

    def _tag(self, named: bytes, show: str, subject: str) -> bytes:
        told = named + b"\0".join((show.encode(), subject.encode()))
        return blake2b(told, key=self._key, digest_size=TAG_BYTES).digest()


def is_work(nonce: str, answer: str, bits: int) -> bool:
    """Whether SHA-256 of `nonce:answer` begins with so many zero bits."""
    digest = sha256(f"{nonce}:{answer}".encode()).digest()
    return int.from_bytes(digest, "big") >> (256 - bits) == 0
