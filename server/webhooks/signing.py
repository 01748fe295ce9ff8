"""What a receiver gets and how it is signed: Standard Webhooks 1.0, to the letter. Pure: no clock, no network.

The body is the same on every try, byte for byte; the headers' timestamp is that of the try, so that a receiver can
refuse what is old. While a secret is being replaced, both sign.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from server import ids

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32  # the standard asks for 24 to 64


def new_secret() -> str:
    """Return a fresh secret in the standard's form."""
    return PREFIX + b64encode(ids.nonce(SECRET_BYTES)).decode()


def body(kind: str, at: int, data: dict[str, Any]) -> bytes:
    """Return a message's body: its type, when it happened (`at`, Unix ms) as ISO 8601 in UTC, and its data."""
    moment = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    timestamp = moment.replace("+00:00", "Z")
    return msgspec.json.encode({"type": kind, "timestamp": timestamp, "data": data})


def headers(message: str, now: int, content: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return the three headers of a try at `now` (Unix ms), signed with each of the secrets."""
    seconds = now // 1000
    signed = f"{message}.{seconds}.".encode() + content
    return {
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = b64decode(secret.removeprefix(PREFIX))
    return b64encode(hmac.digest(key, signed, "sha256")).decode()
