"""What larger crowds need, by a model whose costs are known."""

from __future__ import annotations

import math

import pytest
from msgspec import structs

from loadtests.capacity.model import GATEWAY_CPU, REDIS_CPU, Model, Work, calibrated, sample
from loadtests.capacity.prediction import Limits, Prediction, Prices, predicted
from loadtests.capacity.rates import RUSH_PUBLISHES, Rates, rates_of
from loadtests.plan import Mix, Sale
from tests.loadtests.capacity import made_up

MILLION = 1_000_000
RATES = Rates(joins=1 / 300, commands=0.1, orders=0.002, publishes=12.0, mean_publishes=2.0)
LIMITS = Limits()
FREE = Prices(gateway=0, redis=0, ledger=0, gigabyte=0)


@pytest.fixture(scope="module")
def model() -> Model:
    """Return the model of the made-up system."""
    made = calibrated(made_up.samples(seed=1, noise=0.0))
    assert made is not None
    return made


def foretold(
    model: Model, viewers: int = MILLION, limits: Limits = LIMITS, prices: Prices = FREE
) -> Prediction:
    """Return the prediction; there is one."""
    found = predicted(model, viewers, RATES, limits, prices)
    assert found is not None
    return found


def test_gateways_are_enough_for_the_busiest_second(model: Model) -> None:
    """A million viewers: CPU asks for the most, and the number is what the known costs come to."""
    costs = made_up.COSTS[GATEWAY_CPU]
    each = 12 + 1 / 300 + 0.1
    second = MILLION * (
        costs["join"] / 300 + costs["delivery"] * each + costs["command"] * 0.1 + costs["order"] * 0.002
    )
    found = foretold(model)
    assert found.because == "CPU"
    assert found.gateways == math.ceil(
        second / (0.6 - costs["gateway-second"] - 12 * costs["publish to a gateway"])
    )
    assert found.stretch == MILLION / 2000


@pytest.mark.parametrize(
    ("limits", "because", "gateways"),
    [
        (structs.replace(LIMITS, sockets=1000), "sockets", 1000),
        (structs.replace(LIMITS, memory=90e6 + 3000 * 2000), "memory", 500),
        (structs.replace(LIMITS, network=1e6), "network", None),
    ],
    ids=["sockets", "memory", "network"],
)
def test_the_scarcest_thing_decides(model: Model, limits: Limits, because: str, gateways: int | None) -> None:
    """What a process has least of says how many are needed."""
    found = foretold(model, limits=limits)
    assert found.because == because
    assert found.gateways == (gateways or math.ceil(found.bandwidth / 1e6))


def test_one_show_is_on_one_node(model: Model) -> None:
    """More nodes do not help a single show: how far Redis falls behind is said; spread over shows, nodes help."""
    alone = foretold(model)
    costs = made_up.COSTS[REDIS_CPU]
    cores = (
        costs["second"]
        + MILLION * (0.1 * costs["command"] + 0.002 * costs["order"])
        + 12 * (costs["publish"] + alone.gateways * costs["publish to a gateway"])
    )
    assert alone.redis_nodes == 1
    assert alone.redis_cores == pytest.approx(cores)
    assert alone.wait == pytest.approx(max(0.0, cores - 1))
    spread = foretold(model, limits=structs.replace(LIMITS, shows=50))
    assert spread.redis_nodes == math.ceil(spread.redis_cores / 0.6) > 1
    assert spread.wait == 0.0


def test_money_is_processes_and_traffic(model: Model) -> None:
    """The cost of 1,000 viewers for an hour is their share of all processes, and what they are sent."""
    processes = foretold(model, prices=Prices(gateway=1, redis=2, ledger=3, gigabyte=0))
    assert processes.cost == pytest.approx((processes.gateways + 2 + 3) / 1000)
    traffic = foretold(model, prices=Prices(gateway=0, redis=0, ledger=0, gigabyte=1))
    assert traffic.cost == pytest.approx(1000 * 2.0 * 120 * 3600 / 1e9)


def test_the_errors_of_the_model_come_along(model: Model) -> None:
    """Beside each prediction stands how wrong the model was about runs that were left out."""
    errors = foretold(model).errors
    assert set(errors) == set(model.fits)
    assert max(errors[GATEWAY_CPU][:2]) < 1e-6


def test_without_the_gateways_cpu_nothing_is_foretold(model: Model) -> None:
    """A model that never saw a gateway's CPU makes no number up."""
    blind = Model(runs=3, gateways=[1], largest=10, fits={})
    assert predicted(blind, MILLION, RATES, LIMITS, FREE) is None
    assert model.cost("money", made_up.samples(1, 0.0)[0].work) is None


def test_rates_are_those_of_the_most_crowded_sale() -> None:
    """Half of 800 in 1,000 tap within two seconds: a fifth of all in one; orders are spread over the hold."""
    sales = (Sale(at=1, seconds=5, quantity=9, spread_ms=2000, wanting=0.5, hold_seconds=10),)
    plan = structs.replace(made_up.plan(1000), mix=Mix(buyers=800), sales=sales)
    work = Work(
        viewers=1000,
        gateways=1,
        seconds=20,
        joins=1000,
        deliveries=41_000,
        commands=400,
        orders=50,
        publishes=40,
    )
    rates = rates_of(plan, work)
    assert rates.commands == pytest.approx(0.2)
    assert rates.orders == pytest.approx(0.005)
    assert (rates.publishes, rates.mean_publishes) == (RUSH_PUBLISHES, 2.0)


def test_a_run_is_taken_apart_into_work() -> None:
    """Welcomes and answers are no publishes; what was not seen is nothing."""
    run = made_up.Shop({}).run(50)
    one = sample(run, 2)
    assert (one.work.joins, one.work.commands, one.work.orders) == (50, 100, 100)
    assert one.work.publishes == (50 * 100 - 50 - 100) / 50
    assert one.work.gateways == 2
    run.processes = []
    assert not any(sample(run, 2).measured.values())
