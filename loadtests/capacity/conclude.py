"""From what was measured to what larger crowds need; also later, from the file, with other wishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, structs

from loadtests.capacity.model import calibrated, work_of
from loadtests.capacity.prediction import Limits, Prediction, Prices, predicted
from loadtests.capacity.rates import Rates, rates_of

if TYPE_CHECKING:
    from loadtests.capacity.model import Model
    from loadtests.capacity.result import Capacity
    from loadtests.run import Run


class Wishes(Struct, frozen=True, kw_only=True):
    """What to predict: for which crowds, in which time they come, who taps (None: as measured), limits and prices."""

    viewers: tuple[int, ...]
    arrival_seconds: float
    tapping: float | None
    limits: Limits
    prices: Prices


def rates(largest: Run, gateways: int) -> Rates:
    """Return what a viewer causes per second, as the largest run of a search had it."""
    return rates_of(largest.plan, work_of(largest, gateways))


def again(result: Capacity, wishes: Wishes) -> Capacity:
    """Return an earlier search with its model made anew and other wishes predicted."""
    model = calibrated(result.samples)
    wished = wished_for(result.measured, wishes)
    return structs.replace(
        result,
        model=model,
        rates=wished,
        limits=wishes.limits,
        prices=wishes.prices,
        predictions=for_each(model, wished, wishes),
    )


def wished_for(measured: Rates | None, wishes: Wishes) -> Rates | None:
    """Return the rates with what was wished in place of what was measured; None where nothing was."""
    if measured is None:
        return None
    commands = measured.commands if wishes.tapping is None else wishes.tapping
    return structs.replace(measured, joins=1 / wishes.arrival_seconds, commands=commands)


def for_each(model: Model | None, rates: Rates | None, wishes: Wishes) -> list[Prediction]:
    """Return a prediction for each crowd; none where nobody saw what the server used."""
    if model is None or rates is None:
        return []
    found = (predicted(model, size, rates, wishes.limits, wishes.prices) for size in wishes.viewers)
    return [one for one in found if one is not None]
