"""Costs from measured runs: found again where they are known, and honest where they cannot be."""

from __future__ import annotations

import pytest

from loadtests.capacity.fitting import TERMS_MOST, Measured, fitted, nonnegative
from loadtests.capacity.model import GATEWAY_CPU, QUANTITIES, calibrated
from tests.loadtests.capacity import made_up


def test_exact_costs_are_found_exactly() -> None:
    """Where every run is exactly the sum of its costs, these are the costs, and every run left out is foretold."""
    model = calibrated(made_up.samples(seed=1, noise=0.0))
    assert model is not None
    assert set(model.fits) == set(QUANTITIES)
    for name, fit in model.fits.items():
        assert fit.costs == pytest.approx(made_up.COSTS[name], rel=1e-6), name
        assert fit.worst < 1e-6
        assert fit.forward == pytest.approx(0.0, abs=1e-6)
    assert model.largest == 2000


@pytest.mark.parametrize("seed", range(5))
def test_noisy_runs_give_costs_within_the_stated_error(seed: int) -> None:
    """With figures off by up to 3 %, each cost is within 30 %, and a larger crowd is within the error."""
    model = calibrated(made_up.samples(seed, noise=0.03))
    assert model is not None
    fit = model.fits[GATEWAY_CPU]
    for term in ("join", "delivery", "command", "order"):
        assert fit.costs[term] == pytest.approx(made_up.COSTS[GATEWAY_CPU][term], rel=0.3), term
    larger = made_up.samples(seed, noise=0.0, viewers=(20_000,))[0].work
    told, true = model.cost(GATEWAY_CPU, larger), made_up.exact(GATEWAY_CPU, larger)
    assert told == pytest.approx(true, rel=max(0.06, 2 * fit.worst))


def test_no_cost_is_below_zero() -> None:
    """A term that would have to be negative costs nothing: more work never gives CPU back."""
    rows = [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]
    costs = nonnegative(rows, [0.9, 2.0, 3.1])  # a line with a start below zero
    assert costs[1] == 0.0
    assert costs[0] == pytest.approx(1.0, rel=0.1)


def test_terms_that_always_grow_together_are_told_apart_by_nobody() -> None:
    """Of two terms in the same proportion everywhere one gets all of the cost; the sum is right."""
    rows = [(1.0, 2.0), (2.0, 4.0), (5.0, 10.0)]
    costs = nonnegative(rows, [3.0, 6.0, 15.0])
    assert 0.0 in costs
    assert sum(amount * cost for amount, cost in zip((4.0, 8.0), costs, strict=True)) == pytest.approx(12.0)


def test_a_run_that_does_not_fit_shows_in_the_error() -> None:
    """Negative control: a run that cost twice what its work costs elsewhere is foretold at half, and that is told."""
    sound = made_up.samples(seed=2, noise=0.01)
    strange = sound[2].measured | {GATEWAY_CPU: 2 * sound[2].measured[GATEWAY_CPU]}
    sound[2] = type(sound[2])(work=sound[2].work, measured=strange)
    model = calibrated(sound)
    assert model is not None
    assert model.fits[GATEWAY_CPU].errors[2] < -0.3
    assert model.fits[GATEWAY_CPU].worst > 0.3


def test_too_few_runs_have_no_costs() -> None:
    """Without figures, as from a server elsewhere, there is no fit; nor of as many runs as terms."""
    two = [Measured((1.0, 3.0), 1.0, 1), Measured((2.0, 1.0), 2.0, 2)]
    assert fitted("CPU", "s", ("join", "delivery"), two) is None
    assert fitted("CPU", "s", ("join", "delivery"), [*two, Measured((1.0, 1.0), 1.5, 3)]) is not None
    assert fitted("CPU", "s", ("join",), [Measured((1.0,), 0.0, 1), Measured((2.0,), 0.0, 2)]) is None


def test_the_number_of_terms_is_bounded() -> None:
    """Every choice of terms is tried, so there may not be many."""
    with pytest.raises(ValueError, match=f"at most {TERMS_MOST}"):
        nonnegative([tuple(range(TERMS_MOST + 1))], [1.0])
