"""What a unit of each kind of work costs, from measured sums: least squares in which no cost is below zero.

Errors are weighed by the measured value (5 % of a small run count as much as 5 % of a large one). How far a fit can
be trusted is found by leaving runs out: each one is predicted from all others, and the largest ones from the smaller.
"""

from __future__ import annotations

from itertools import combinations
from statistics import mean, median
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Row = Sequence[float]

SINGULAR = 1e-9  # a pivot below this share of a column of length 1: the columns cannot be told apart
TERMS_MOST = 8  # every subset of the terms is tried, so their number is bounded


class Fit(Struct, kw_only=True):
    """A quantity as a sum of costs per unit by term; `spread`: least and most of each cost with one run left out.

    `errors`: what each run is predicted to need from all others, over what it did, less 1; in the order of the runs.
    `forward`: the same of the largest runs, from those that are smaller; None where there are too few.
    """

    name: str
    unit: str
    costs: dict[str, float]
    spread: dict[str, tuple[float, float]]
    errors: list[float]
    forward: float | None

    @property
    def typical(self) -> float:
        """The median error of a prediction, without its sign."""
        return median(map(abs, self.errors))

    @property
    def worst(self) -> float:
        """The largest error of a prediction, without its sign."""
        return max(map(abs, self.errors))

    def at(self, amounts: dict[str, float]) -> float:
        """Return what these amounts of work cost."""
        return sum(cost * amounts.get(term, 0.0) for term, cost in self.costs.items())


class Measured(Struct, frozen=True):
    """One run as a fit sees it: the amounts of each term, what they came to (0.0: not seen), how large the run was."""

    amounts: tuple[float, ...]
    value: float
    size: float


def fitted(name: str, unit: str, terms: Sequence[str], runs: Sequence[Measured]) -> Fit | None:
    """Fit costs to runs that saw something. None where these are not more than there are terms.

    So many costs fit so many runs whatever they are, and no run could be left out to see how wrong they are.
    """
    known = [run for run in runs if run.value > 0]
    if len(known) <= len(terms):
        return None
    rows, measured = [run.amounts for run in known], [run.value for run in known]
    costs = nonnegative(rows, measured)
    without = [nonnegative(rest, values) for rest, values in _leaving_out(rows, measured)]
    errors = [_sum(row, one) / value - 1 for row, one, value in zip(rows, without, measured, strict=True)]
    around = zip(*without, strict=True)
    return Fit(
        name=name,
        unit=unit,
        costs=dict(zip(terms, costs, strict=True)),
        spread={term: (min(seen), max(seen)) for term, seen in zip(terms, around, strict=True)},
        errors=errors,
        forward=_forward(known),
    )


def nonnegative(rows: Sequence[Row], measured: Sequence[float]) -> list[float]:
    """Return the costs, none below zero, that make the squares of the relative errors least.

    The best solution is the plain one over those terms that it gives more than nothing; all choices of terms are
    tried, and of equally good ones that with the fewest terms is taken. Raises ValueError for too many terms.
    """
    width = len(rows[0])
    if width > TERMS_MOST:
        raise ValueError(f"{width} terms; at most {TERMS_MOST} can be fitted")
    weighed = [[amount / value for amount in row] for row, value in zip(rows, measured, strict=True)]
    scale = [sum(row[column] ** 2 for row in weighed) ** 0.5 or 1.0 for column in range(width)]
    weighed = [[amount / by for amount, by in zip(row, scale, strict=True)] for row in weighed]
    best, least = [0.0] * width, float(len(weighed))
    for chosen in _choices(width):
        solved = _solved([[row[column] for column in chosen] for row in weighed])
        if solved is None or min(solved) < 0:
            continue
        residue = sum((_sum([row[column] for column in chosen], solved) - 1) ** 2 for row in weighed)
        if residue < least * (1 - SINGULAR):
            best, least = [0.0] * width, residue
            for column, cost in zip(chosen, solved, strict=True):
                best[column] = cost / scale[column]
    return best


def _solved(rows: list[list[float]]) -> list[float] | None:
    """Return the costs for which every row comes nearest to 1, or None where the columns cannot be told apart."""
    width = len(rows[0])
    table = [
        [sum(row[i] * row[j] for row in rows) for j in range(width)] + [sum(row[i] for row in rows)]
        for i in range(width)
    ]
    for column in range(width):
        pivot = max(range(column, width), key=lambda line: abs(table[line][column]))
        if abs(table[pivot][column]) < SINGULAR:
            return None
        table[column], table[pivot] = table[pivot], table[column]
        for line in range(width):
            if line != column:
                by = table[line][column] / table[column][column]
                table[line] = [mine - by * its for mine, its in zip(table[line], table[column], strict=True)]
    return [table[line][width] / table[line][line] for line in range(width)]


def _choices(width: int) -> Iterator[tuple[int, ...]]:
    for number in range(1, width + 1):
        yield from combinations(range(width), number)


def _leaving_out(
    rows: Sequence[Row], measured: Sequence[float]
) -> Iterator[tuple[Sequence[Row], Sequence[float]]]:
    for gone in range(len(rows)):
        yield (*rows[:gone], *rows[gone + 1 :]), (*measured[:gone], *measured[gone + 1 :])


def _forward(runs: Sequence[Measured]) -> float | None:
    """Return the mean error of the largest runs, predicted from the smaller ones."""
    largest = max(run.size for run in runs)
    smaller = [run for run in runs if run.size < largest]
    if len(smaller) < len(runs[0].amounts):
        return None
    costs = nonnegative([run.amounts for run in smaller], [run.value for run in smaller])
    return mean(_sum(run.amounts, costs) / run.value - 1 for run in runs if run.size == largest)


def _sum(row: Row, costs: Row) -> float:
    return sum(amount * cost for amount, cost in zip(row, costs, strict=True))
