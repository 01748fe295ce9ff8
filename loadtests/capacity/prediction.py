"""What a crowd of another size would need: gateways, Redis nodes, bandwidth and money, by the model and stated wishes.

A prediction is arithmetic on measured costs; `stretch` says how far it reaches beyond what was measured.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from loadtests.capacity.model import GATEWAY_CPU, MEMORY, REDIS_CPU, SENT, Work
from loadtests.capacity.rates import Rates

if TYPE_CHECKING:
    from loadtests.capacity.model import Model

HOUR = 3600.0
THOUSAND = 1000.0
GIGA = 1e9
ALONE = ("gateway-second", "publish to a gateway")  # work that every gateway has by itself


class Limits(Struct, frozen=True, kw_only=True):
    """What a gateway process and a Redis node may be given; `cpu` as a share of a core that is not to be exceeded."""

    cpu: float = 0.6
    sockets: int = 20_000
    memory: float = 2.0 * GIGA  # bytes
    network: float = GIGA / 8  # bytes per second
    shows: int = 1  # over which the viewers are spread; one show is on one Redis node


class Prices(Struct, frozen=True, kw_only=True):
    """An example to be replaced with one's own, in any currency: per process or node and hour, and per GB sent."""

    gateway: float = 0.05
    redis: float = 0.20
    ledger: float = 0.20  # all of it
    gigabyte: float = 0.05


class Prediction(Struct, kw_only=True):
    """What so many viewers need; `because` is what the number of gateways comes from.

    `wait` is how many seconds Redis is behind after the busiest second where the show is on one node and asks for more
    than it has. `errors`: by quantity, the usual and the worst of the
    model's own runs when left out, and the largest run's, from the smaller ones.
    """

    viewers: int
    stretch: float  # times the largest measured run
    gateways: int
    because: str
    redis_nodes: int
    redis_cores: float
    wait: float
    bandwidth: float  # bytes per second, in the busiest second
    cost: float  # per 1,000 viewers and hour
    errors: dict[str, tuple[float, float, float | None]]


def predicted(model: Model, viewers: int, rates: Rates, limits: Limits, prices: Prices) -> Prediction | None:
    """Return what a crowd needs; None where the gateways' CPU was never measured."""
    if GATEWAY_CPU not in model.fits:
        return None
    second = busiest_second(viewers, rates, limits.shows)
    sent = model.cost(SENT, second) or 0.0
    gateways, because = _gateways(model, second, sent, limits)
    cores = model.cost(REDIS_CPU, structs.replace(second, gateways=gateways)) or 0.0
    nodes = min(limits.shows, max(1, math.ceil(cores / limits.cpu)))
    hourly = gateways * prices.gateway + nodes * prices.redis + prices.ledger
    mean = structs.replace(busiest_second(viewers, _average(rates), limits.shows), gateways=gateways)
    traffic = (model.cost(SENT, mean) or 0.0) * HOUR / GIGA * prices.gigabyte
    return Prediction(
        viewers=viewers,
        stretch=viewers / model.largest,
        gateways=gateways,
        because=because,
        redis_nodes=nodes,
        redis_cores=cores,
        wait=max(0.0, cores / nodes - 1.0),
        bandwidth=sent,
        cost=(hourly + traffic) / viewers * THOUSAND,
        errors={name: (fit.typical, fit.worst, fit.forward) for name, fit in model.fits.items()},
    )


def busiest_second(viewers: int, rates: Rates, shows: int) -> Work:
    """Return the work of one second in which everything comes at once, for one gateway."""
    return Work(
        viewers=viewers,
        gateways=1,
        seconds=1.0,
        joins=viewers * rates.joins,
        deliveries=viewers * (rates.publishes + rates.joins + rates.commands),
        commands=viewers * rates.commands,
        orders=viewers * rates.orders,
        publishes=shows * rates.publishes,
    )


def _average(rates: Rates) -> Rates:
    """Return an evening's average: who has come stays, and selling is a small part of the time."""
    return Rates(
        joins=0.0,
        commands=0.0,
        orders=0.0,
        publishes=rates.mean_publishes,
        mean_publishes=rates.mean_publishes,
    )


def _gateways(model: Model, second: Work, sent: float, limits: Limits) -> tuple[int, str]:
    """Return the processes that are enough in every respect, and the respect that asks for the most.

    What each of them does whoever is there, being awake and hearing every publish, is not shared.
    """
    fit = model.fits[GATEWAY_CPU]
    shared = dict.fromkeys(ALONE, 0.0) | {
        term: amount for term, amount in second.amounts().items() if term not in ALONE
    }
    work = fit.at(shared)
    idle = fit.at(second.amounts()) - work
    needed = {
        "CPU": work / max(limits.cpu - idle, limits.cpu / 100),
        "sockets": second.viewers / limits.sockets,
        "network": sent / limits.network,
    }
    memory = model.fits.get(MEMORY)
    if memory is not None:
        room = max(limits.memory - memory.costs.get("gateway", 0.0), limits.memory / 100)
        needed["memory"] = second.viewers * memory.costs.get("viewer", 0.0) / room
    most = max(needed, key=lambda name: needed[name])
    return max(1, math.ceil(needed[most])), most
