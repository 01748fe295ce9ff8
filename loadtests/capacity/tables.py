"""A capacity search for who reads a terminal: the steps, the knee in a sentence, the model, what larger crowds need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from loadtests.capacity.model import GATEWAY_CPU
from loadtests.capacity.search import UNKNOWN
from loadtests.capacity.shares import GATEWAY, GENERATOR, LEDGER, NETWORK, REDIS

if TYPE_CHECKING:
    from loadtests.capacity.fitting import Fit
    from loadtests.capacity.goals import Goals
    from loadtests.capacity.model import Model
    from loadtests.capacity.prediction import Limits, Prediction, Prices
    from loadtests.capacity.rates import Rates
    from loadtests.capacity.result import Capacity
    from loadtests.capacity.search import Knee, Step

SHOWN = (GATEWAY, REDIS, LEDGER, NETWORK, GENERATOR)
MICRO, MIB, MEGABIT = 1e6, 2**20, 1e6 / 8
DOUBTFUL = 0.3  # usual error, or the largest run's, from which on a model says too little
ADVICE = {
    GATEWAY: "More server processes carry more.",
    REDIS: "A show is on one Redis node: a faster core carries more, a cluster carries more shows.",
    LEDGER: "The database's disk and its commits decide.",
    NETWORK: "More gateways on links of their own carry more.",
    UNKNOWN: "Nothing that was watched was full: waits, locks, or bursts too short to be seen.",
}


def steps(measured: list[Step], goals: Goals) -> Table:
    """Return what each load did; what missed its goal is red."""
    table = Table(title="Steps")
    parts = [part for part in SHOWN if any(part in step.shares for step in measured)]
    for name in ("viewers", "reply p99", "checkout p99", "skew", *parts, "others", "verdict"):
        table.add_column(name, justify="left" if name == "verdict" else "right")
    for step in measured:
        seen = step.figures
        missed = {each.goal for each in step.broken}
        table.add_row(
            f"{step.viewers:,}",
            _red(f"{seen.reply_ms:,.0f} ms", "reply" in missed),
            _red(f"{seen.checkout_ms:,.0f} ms", "checkout" in missed),
            _red(f"{seen.skew_ms:,.0f} ms", "skew" in missed),
            *(_share(step, part) for part in parts),
            f"{step.foreign:.0%}",
            _verdict(step, missed),
        )
    table.caption = (
        f"goals: replies {goals.reply_ms:,.0f} ms, checkouts {goals.checkout_ms:,.0f} ms, skew "
        f"{goals.skew_ms:,.0f} ms, a gateway {goals.cpu:.0%} of a core, and the gate. Shares are of the fullest "
        "tenth of a second while there were sales, of the generator half a second; others: programs that have "
        "nothing to do with it, of the machine."
    )
    return table


def knee(found: Knee) -> str:
    """Return the result in a sentence or two."""
    if found.at_least:
        carried = f"{found.carried:,} viewers at least" if found.carried else "not known"
        return f"Carried: {carried}. The server's own limit was not reached: {found.because}."
    least = f"{found.carried:,} viewers were carried" if found.carried else "No load was carried"
    because = f" The gap was left wide: {found.because}." if found.because else ""
    part, share = found.nearest
    if found.bottleneck == UNKNOWN and part:
        because = f" Nearest to its end was {part}, with {share:.0%} of what it had.{because}"
    return (
        f"{least}, {found.failed:,} were too many. Bottleneck: {found.bottleneck}. "
        f"{ADVICE[found.bottleneck]}{because}"
    )


def model(made: Model) -> Table:
    """Return what each kind of work costs, and how well the model predicts runs that it was not made from."""
    table = Table(title=f"The model, of {made.runs} runs with up to {made.largest:,} viewers")
    for name in ("quantity", "each", "costs", "with any one run left out"):
        table.add_column(name, justify="left" if name in {"quantity", "each"} else "right")
    for name, fit in made.fits.items():
        for term, cost in fit.costs.items():
            least, most = fit.spread[term]
            table.add_row(
                name, term, _cost(cost, fit.unit), f"{_cost(least, fit.unit)} to {_cost(most, fit.unit)}"
            )
        table.add_section()
    table.caption = "Error of a run's figure predicted from all others: " + "; ".join(
        f"{name} {fit.typical:.0%}, at worst {fit.worst:.0%}{_forward(fit)}"
        for name, fit in made.fits.items()
    )
    return table


def predictions(found: list[Prediction]) -> Table:
    """Return what larger crowds need, with the error that each figure was seen to have."""
    table = Table(title="By the model")
    table.add_column("viewers")
    for one in found:
        table.add_column(f"{one.viewers:,}", justify="right")
    rows = {
        "gateways": [f"{one.gateways:,} ({one.because})" for one in found],
        "Redis nodes": [f"{one.redis_nodes:,}" for one in found],
        "Redis, busiest second": [f"{one.redis_cores:.2f} cores" for one in found],
        "  behind after it": [f"{one.wait:.1f} s" if one.wait else "-" for one in found],
        "bandwidth, busiest second": [f"{one.bandwidth / MEGABIT:,.0f} Mbit/s" for one in found],
        "cost of 1,000 viewers for an hour": [f"{one.cost:,.4f}" for one in found],
        "beyond the largest measured run": [f"{one.stretch:,.1f} times" for one in found],
    }
    for name, values in rows.items():
        table.add_row(name, *values)
    table.add_section()
    for name in found[0].errors if found else ():
        table.add_row(f"error of {name}", *(_error(*one.errors[name]) for one in found))
    return table


def doubts(found: Model) -> list[str]:
    """Return in sentences why nobody should plan by the model; none where it may be believed."""
    alone = (
        f"Only a server of {found.gateways[0]} gateway process{'es' if found.gateways[0] > 1 else ''} was measured: "
        "what every further one costs Redis is not in these figures."
    )
    return [alone] * (len(found.gateways) == 1) + [
        f"Do not plan by the {name}: runs predicted from others were off by {fit.typical:.0%}, at worst by "
        f"{fit.worst:.0%}{_forward(fit)}. More runs, larger ones and a machine with nothing else on it help."
        for name, fit in found.fits.items()
        if max(fit.typical, abs(fit.forward or 0.0)) > DOUBTFUL
    ]


def nothing_foretold(result: Capacity) -> str:
    """Return why there is no prediction."""
    if any(one.measured.get(GATEWAY_CPU) for one in result.samples):
        few = f"{len(result.samples)} run{'s are' if len(result.samples) > 1 else ' is'} too few"
        return f"{few} for a model: give it more time (--seconds, --runs)."
    return "What the server used was not seen, so there is no model: run this on the server's machine."


def assumptions(rates: Rates, limits: Limits, prices: Prices, defaults: Prices) -> list[str]:
    """Return in sentences what the predictions take for granted."""
    example = "an example, not a quotation: replace them" if prices == defaults else "as you gave them"
    busiest = (
        f"Busiest second: everything at once. {rates.joins:.2%} of the viewers arrive, {rates.commands:.1%} tap, "
        f"{rates.orders:.2%} pay, and each viewer is sent {rates.publishes:.0f} messages."
    )
    given = (
        f"A gateway process may take {limits.cpu:.0%} of a core, {limits.sockets:,} sockets, "
        f"{limits.memory / MIB:,.0f} MiB and {limits.network / MEGABIT:,.0f} Mbit/s; the viewers are spread over "
        f"{limits.shows:,} show{'s' if limits.shows != 1 else ''}, each on one Redis node."
    )
    priced = (
        f"Prices per hour and process: gateway {prices.gateway:g}, Redis {prices.redis:g}, "
        f"ledger {prices.ledger:g}; per GB {prices.gigabyte:g} ({example})."
    )
    return [busiest, given, priced]


def summary(result: Capacity) -> list[Table]:
    """Return the tables of a search."""
    tables = [steps(result.steps, result.goals)] if result.steps else []
    if result.model is not None:
        tables.append(model(result.model))
    if result.predictions:
        tables.append(predictions(result.predictions))
    return tables


def _verdict(step: Step, missed: set[str]) -> str:
    if step.passed:
        return "[green]carried[/]"
    said = ", ".join(each for each in ("reply", "checkout", "skew", "cpu", "gate") if each in missed)
    return f"[yellow]{said}; {step.limited}[/]" if step.limited else f"[red]{said}[/]"


def _share(step: Step, part: str) -> str:
    return f"{step.shares[part]:.0%}" if part in step.shares else "-"


def _red(text: str, missed: bool) -> str:  # noqa: FBT001  the cell is red or not
    return f"[red]{text}[/]" if missed else text


def _cost(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * MICRO:,.1f} µs"
    return f"{value / 2**10:,.1f} KiB" if value >= 10 * 2**10 else f"{value:,.0f} B"


def _forward(fit: Fit) -> str:
    return "" if fit.forward is None else f", the largest from the smaller {fit.forward:+.0%}"


def _error(typical: float, worst: float, forward: float | None) -> str:
    largest = "" if forward is None else f"; largest {forward:+.0%}"
    return f"{typical:.0%}, at worst {worst:.0%}{largest}"
