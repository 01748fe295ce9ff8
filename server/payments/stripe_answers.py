"""What is no answer of Stripe's becomes an unknown outcome, within a bounded time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import stripe
import structlog

from server.payments.provider import CALL_SECONDS, RefusedError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

log = structlog.get_logger(__name__)


@asynccontextmanager
async def answering(what: str, name: str, *, refusals: bool = False) -> AsyncIterator[None]:
    """Bound a call, and turn whatever is no answer to it into an unknown outcome.

    With `refusals`, that Stripe knows no such payment is an answer: nothing can move.
    """
    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except TimeoutError:
        raise UnknownOutcomeError(f"Stripe did not answer to {what} {name} in {CALL_SECONDS:g} s.") from None
    except stripe.StripeError as error:
        if refusals and error.code == "resource_missing":
            raise RefusedError(f"Stripe knows no such payment: {error.user_message}") from None
        log.warning(
            "stripe.failed", call=what, about=name, status=error.http_status, reason=error.user_message
        )
        raise UnknownOutcomeError(f"Stripe to {what} {name}: {error.user_message}") from error


def replayed(headers: Mapping[str, str] | None) -> bool:
    """Whether an answer is the one that Stripe kept for an idempotency key, and not one of now."""
    return headers is not None and headers.get("Idempotent-Replayed") == "true"
