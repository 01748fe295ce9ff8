"""What a client's caller has to expect: a refusal by its code, or a connection that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from server.errors import CLOSE_FINAL_FROM, Code

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_CONNECTION = 1006  # RFC 6455: ended without a close, or never began
FINAL_UNTIL = 4000
# These say nothing about the outcome: the same id or key may and should be repeated.
UNKNOWN_OUTCOME = frozenset({Code.UNAVAILABLE, Code.IN_PROGRESS, Code.RATE_LIMITED})


class ClosedError(Exception):
    """The connection has ended; `code` and `reason` are the server's."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason

    @property
    def final(self) -> bool:
        """Whether coming back is forbidden."""
        return CLOSE_FINAL_FROM <= self.code < FINAL_UNTIL

    @property
    def retry_after_ms(self) -> int | None:
        """When the server wants to see its viewer again; None where it did not say."""
        return _wait_in(self._told())

    @property
    def message(self) -> str:
        """The sentence in the reason, or the reason itself."""
        return str(self._told().get("message", self.reason))

    def _told(self) -> dict[str, Any]:
        try:
            told = msgspec.json.decode(self.reason)
        except msgspec.DecodeError:
            return {}
        return told if isinstance(told, dict) else {}


def not_connected(message: str, retry_after_ms: int | None = None) -> ClosedError:
    """Return the end of a connection that nobody closed, as the server would have told it."""
    told = {"message": message} | ({} if retry_after_ms is None else {"retry_after_ms": retry_after_ms})
    return ClosedError(NO_CONNECTION, msgspec.json.encode(told).decode())


class LiveDropError(Exception):
    """An operation that was refused, or whose outcome could not be learned.

    `code` is the contract's, `extras` are its numbers (`available`, `current_total`, `retry_after_ms`, …). Of one
    without an answer `operation` is the id under which the same caller may ask again, at any time.
    """

    def __init__(
        self, code: str, message: str, extras: Mapping[str, Any] | None = None, operation: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.extras = dict(extras or {})
        self.operation = operation

    @property
    def retry_after_ms(self) -> int | None:
        """When the server wants to be asked again; None where it did not say."""
        return _wait_in(self.extras)

    @property
    def unknown(self) -> bool:
        """Whether it may or may not have happened."""
        return self.code in UNKNOWN_OUTCOME

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def _wait_in(told: Mapping[str, Any]) -> int | None:
    wait = told.get("retry_after_ms")
    return wait if isinstance(wait, int) and wait >= 0 else None
