"""What a currency is in others, as the operator said it: for estimates beside prices, never for what is paid."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from server.api.http import Answer, Call, Operation

KEPT = {"Cache-Control": "public, max-age=300"}


class Rates(msgspec.Struct, kw_only=True):
    """How much of each other currency one unit of `base` is; without a base none were configured."""

    rates: dict[str, float]
    base: str | UnsetType = UNSET


def configured(settings: tuple[str, ...]) -> Rates:
    """Return the rates of a setting such as `EUR:USD=1.08`, `GBP=0.85`."""
    base, _, _ = settings[0].partition(":") if settings else ("", "", "")
    named = (rate.rpartition(":")[2].partition("=") for rate in settings)
    return Rates(rates={currency: float(rate) for currency, _, rate in named}, base=base or UNSET)


async def rates(call: Call) -> Answer:
    """Return the configured rates."""
    return Answer(configured(call.rooms.settings.rates), headers=KEPT)


OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/v1/rates", "rates", "What a currency is in others, for estimates", rates, None, Rates),
)
