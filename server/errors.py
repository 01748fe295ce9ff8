"""Every error that a caller can meet, as one table: code, HTTP status, close code, and whether repeating helps.

Source: RFC 9457 for the HTTP form. Expected outcomes of an operation (sold out, limit reached) are values of
the rooms that produce them; a `Problem` is raised where an operation cannot go on at all. Both carry a `Code`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """The error codes of the public contract, equal on both doors."""

    INVALID_MESSAGE = "invalid-message"
    PAYLOAD_TOO_LARGE = "payload-too-large"
    UNAUTHENTICATED = "unauthenticated"
    NOT_ALLOWED = "not-allowed"
    NOT_FOUND = "not-found"
    WRONG_STATE = "wrong-state"
    IDEMPOTENCY_KEY_REQUIRED = "idempotency-key-required"
    OUT_OF_STOCK = "out-of-stock"
    LIMIT_REACHED = "limit-reached"
    DROP_NOT_OPEN = "drop-not-open"
    DROP_CLOSED = "drop-closed"
    SHOW_NOT_LIVE = "show-not-live"
    RESERVATION_EXPIRED = "reservation-expired"
    PAYMENT_DECLINED = "payment-declined"
    TOTAL_CHANGED = "total-changed"
    IN_PROGRESS = "in-progress"
    IDEMPOTENCY_MISMATCH = "idempotency-mismatch"
    RATE_LIMITED = "rate-limited"
    UNAVAILABLE = "unavailable"


class Close(int):
    """A websocket close code: 3000 to 3499 invite a reconnect, 3500 to 3999 forbid it."""

    @property
    def reconnects(self) -> bool:
        """Whether a client may come back with the same token."""
        return self < CLOSE_FINAL_FROM


CLOSE_FINAL_FROM = 3500
CLOSE_LEAVING = Close(3001)
CLOSE_TOKEN_EXPIRED = Close(3005)
CLOSE_TOO_SLOW = Close(3008)
CLOSE_POSITION_LOST = Close(3010)
CLOSE_NO_PONG = Close(3012)
CLOSE_TOO_MANY_MESSAGES = Close(3013)
CLOSE_NO_TOKEN = Close(3500)
CLOSE_MALFORMED = Close(3501)
CLOSE_CONNECTION_LIMIT = Close(3504)
CLOSE_NOT_ALLOWED = Close(3507)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code stands for on each door."""

    status: int
    title: str
    retry: str = ""  # what makes a repeat worthwhile; empty where nothing does


TABLE: dict[Code, Meaning] = {
    Code.INVALID_MESSAGE: Meaning(422, "The message is not valid"),
    Code.PAYLOAD_TOO_LARGE: Meaning(413, "The message is too large"),
    Code.UNAUTHENTICATED: Meaning(401, "A valid token is needed", "with a new token"),
    Code.NOT_ALLOWED: Meaning(403, "Not allowed"),
    Code.NOT_FOUND: Meaning(404, "Not found"),
    Code.WRONG_STATE: Meaning(409, "Not possible in this state"),
    Code.IDEMPOTENCY_KEY_REQUIRED: Meaning(400, "An Idempotency-Key is required", "with a key"),
    Code.OUT_OF_STOCK: Meaning(409, "Out of stock", "when stock comes back"),
    Code.LIMIT_REACHED: Meaning(409, "The limit per viewer is reached"),
    Code.DROP_NOT_OPEN: Meaning(409, "The drop is not open", "when it opens"),
    Code.DROP_CLOSED: Meaning(409, "The drop is closed"),
    Code.SHOW_NOT_LIVE: Meaning(409, "The show is not live", "when it goes live"),
    Code.RESERVATION_EXPIRED: Meaning(410, "The reservation has lapsed", "with a new reservation"),
    Code.PAYMENT_DECLINED: Meaning(402, "The payment was declined", "with another method"),
    Code.TOTAL_CHANGED: Meaning(409, "The total has changed", "after showing it"),
    Code.IN_PROGRESS: Meaning(409, "The same request is still running", "shortly"),
    Code.IDEMPOTENCY_MISMATCH: Meaning(422, "The key was used for something else"),
    Code.RATE_LIMITED: Meaning(429, "Too many requests", "after retry_after_ms"),
    Code.UNAVAILABLE: Meaning(503, "Unavailable: nothing may be assumed", "with the same id"),
}


class Problem(Exception):  # noqa: N818  RFC 9457 calls it a problem
    """An operation that cannot go on: a code, a sentence with its numbers, and what else the caller should see.

    `extras` become members of the problem document and fields of the websocket error
    (`available`, `current_total`, `opens_at`, `retry_after_ms`).
    """

    def __init__(self, code: Code, detail: str, **extras: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.extras: dict[str, Any] = {name: value for name, value in extras.items() if value is not None}

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return TABLE[self.code].status

    def document(self) -> dict[str, Any]:
        """Return the RFC 9457 problem document."""
        return {
            "type": "about:blank",
            "title": TABLE[self.code].title,
            "status": self.status,
            "code": self.code.value,
            "detail": self.detail,
            **self.extras,
        }


def unavailable(detail: str, retry_after_ms: int = 500) -> Problem:
    """Return the problem that means "we do not know or could not"; the same id may be repeated safely."""
    return Problem(Code.UNAVAILABLE, detail, retry_after_ms=retry_after_ms)
