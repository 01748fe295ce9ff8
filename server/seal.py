"""Sealing of what must not be read where it is kept: AES-256-GCM under a key derived from the server's secret.

Every purpose has a key of its own (HKDF, RFC 5869), so nothing sealed for one opens for another; what is sealed is
bound to its `place` (an order's id, an endpoint's), so it cannot be moved to somebody else's.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server import ids

KEY_BYTES = 32
NONCE_BYTES = 12


class SealError(Exception):
    """This was sealed with another secret, for another purpose or place, or is not whole. The sentence repeats none."""


class Seal:
    """Seals and opens for one purpose, `livedrop contact 1` for example."""

    def __init__(self, secret: str, purpose: str) -> None:
        key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(
            secret.encode()
        )
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, place: str) -> str:
        """Return `plain` sealed, as text. Sealing the same twice gives two texts."""
        nonce = ids.nonce(NONCE_BYTES)
        return urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, plain, place.encode())).decode()

    def open(self, sealed: str, place: str) -> bytes:
        """Return what was sealed for this place. Raises SealError."""
        try:
            raw = urlsafe_b64decode(sealed.encode())
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise SealError("This cannot be opened: it was sealed elsewhere, or is not whole.") from error
