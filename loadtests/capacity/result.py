"""What a capacity search leaves behind: `capacity.json`, which predictions can be made from again."""

from __future__ import annotations

from msgspec import Struct

from loadtests.capacity.goals import Goals
from loadtests.capacity.measuring import Asked
from loadtests.capacity.model import Model, Sample
from loadtests.capacity.prediction import Limits, Prediction, Prices
from loadtests.capacity.rates import Rates
from loadtests.capacity.search import Knee, Step
from loadtests.run import Machine

FILE = "capacity.json"


class Capacity(Struct, kw_only=True):
    """A whole search. `model` and rates are None where nobody saw what the server used.

    `measured` are the largest run's rates, `rates` those that the predictions were made with.
    """

    version: int = 1
    began_at: str  # ISO 8601, UTC
    machine: Machine
    server: str
    asked: Asked
    goals: Goals
    steps: list[Step]
    knee: Knee
    samples: list[Sample]
    model: Model | None
    measured: Rates | None
    rates: Rates | None
    limits: Limits
    prices: Prices
    predictions: list[Prediction]
