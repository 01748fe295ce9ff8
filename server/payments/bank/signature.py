"""Signatures of the sandbox's webhooks, as Standard Webhooks 1.0 has them: HMAC-SHA256 over `id.timestamp.body`."""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import TYPE_CHECKING

from server.clock import now_ms
from server.payments.provider import ForgedError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "v1"
TOLERANCE_SECONDS = (
    300  # how far a webhook's time may be from ours, either way: longer, and it may be a replay
)
MAX_SIGNATURES = 8  # in one header: a sender has several while its key changes


def key_of(secret: str) -> bytes:
    """Return the key that the sandbox and its provider share, derived from the server's secret for this alone."""
    return hmac.digest(secret.encode(), b"livedrop sandbox 1", "sha256")


def signed(key: bytes, identifier: str, body: bytes, seconds: int | None = None) -> dict[str, str]:
    """Return the three headers of a webhook that is sent now, or at `seconds` (Unix)."""
    at = str(now_ms() // 1000 if seconds is None else seconds)
    return {
        "webhook-id": identifier,
        "webhook-timestamp": at,
        "webhook-signature": _signature(key, identifier, at, body),
    }


def require_signed(key: bytes, headers: Mapping[str, str], body: bytes) -> None:
    """Raise ForgedError unless one of the signatures is right and the time is within the tolerance."""
    told = {name.lower(): value for name, value in headers.items()}
    identifier, at = told.get("webhook-id", ""), told.get("webhook-timestamp", "")
    if not (identifier and at.isascii() and at.isdecimal() and len(at) < 16):  # noqa: PLR2004  no time is longer
        raise ForgedError(
            "A webhook has a webhook-id, a webhook-timestamp in seconds and a webhook-signature."
        )
    expected = _signature(key, identifier, at, body).encode()
    given = told.get("webhook-signature", "").split(" ")[:MAX_SIGNATURES]
    # The signature first: what is not signed is told nothing about our clock.
    if not any(hmac.compare_digest(expected, each.encode()) for each in given):
        raise ForgedError("The webhook's signature is not right.")
    away = abs(int(at) - now_ms() // 1000)
    if away > TOLERANCE_SECONDS:
        raise ForgedError(f"The webhook was signed {away} s from now; {TOLERANCE_SECONDS} s are taken.")


def _signature(key: bytes, identifier: str, at: str, body: bytes) -> str:
    mac = hmac.digest(key, f"{identifier}.{at}.".encode() + body, "sha256")
    return f"{VERSION},{b64encode(mac).decode()}"
