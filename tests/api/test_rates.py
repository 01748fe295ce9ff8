"""Rates for estimates: as the operator said them, for anybody, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from server.api.rates import configured
from server.settings import Settings, SettingsError

if TYPE_CHECKING:
    from tests.stage import Stage


def test_the_setting_is_what_is_answered() -> None:
    """One base, and what one unit of it is in each other currency."""
    settings = Settings.load({"LIVEDROP_RATES": "EUR:USD=1.08, GBP=0.85,JPY=163"})
    found = configured(settings.rates)
    assert (found.base, found.rates) == ("EUR", {"USD": 1.08, "GBP": 0.85, "JPY": 163.0})


@pytest.mark.parametrize(
    "text",
    ["USD=1.08", "EUR:USD", "EUR:USD=0", "EUR:USD=-1", "EUR:USD=1e9", "EUR:USD=1.0,GBP:EUR=1", "eur:usd=1"],
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    """Without a base, or with two, with a rate of nothing or none at all the server does not start."""
    with pytest.raises(SettingsError, match=r"LIVEDROP_RATES.*EUR:USD=1.08,GBP=0.85"):
        Settings.load({"LIVEDROP_RATES": text})


async def test_nobody_needs_a_token_for_them(stage: Stage) -> None:
    """Where none are configured there is no base; the answer may be kept for five minutes."""
    async with httpx.AsyncClient(base_url=stage.server.url) as stranger:
        answer = await stranger.get("/v1/rates")
    assert (answer.status_code, answer.json()) == (200, {"rates": {}})
    assert answer.headers["cache-control"] == "public, max-age=300"
