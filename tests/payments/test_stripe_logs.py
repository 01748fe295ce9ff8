"""Nothing of a buyer or of a key reaches a log line by way of Stripe."""

from __future__ import annotations

import io
import logging
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from server.logs import configure, masked
from server.payments.provider import Declined, UnknownOutcomeError
from tests.payments.charges import LIBRARY_GAP, charge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server.payments.stripe import Stripe

pytestmark = pytest.mark.filterwarnings(LIBRARY_GAP)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Log as a server does at its most talkative, and give what is written."""
    lines = io.StringIO()
    monkeypatch.setattr(sys, "stderr", lines)
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure("debug")
    yield lines
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_log_lines_tell_nothing(
    stripe: Stripe, process: Callable[..., Stripe], written: io.StringIO
) -> None:
    """Neither what the library would write at debug level, nor the reason of a refusal, shows a token or a key."""
    await stripe.authorize(charge("paid"))
    assert isinstance(await stripe.authorize(charge("refused", token="pm_unheard_of")), Declined)
    with pytest.raises(UnknownOutcomeError):
        await process("sk_test_wrong").authorize(charge("unknown"))
    lines = written.getvalue()
    assert "stripe.refused" in lines
    assert "stripe.failed" in lines
    assert "API response body" not in lines  # which has names and addresses
    for secret in ("pm_card_visa", "pm_unheard_of", "sk_test_"):
        assert secret not in lines


def test_what_looks_like_a_key_is_masked() -> None:
    """In whatever field a key or a way to pay turns up."""
    told = masked(None, "", {"reason": "sk_live_a1 rk_test_b2, 'pm_1Nx' for rpm_5"})
    assert told["reason"] == "[masked] [masked] '[masked]' for rpm_5"
