"""Noise as earlier values tell it: chance alone is rarely called a change, and a change is."""

from __future__ import annotations

import random

import pytest

from loadtests.report.noise import Noise

TRIALS = 3000


def chance_of(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311  chance is what is tested


def draws(runs: int, chance: random.Random) -> list[float]:
    return [chance.gauss(100, 10) for _ in range(runs)]


@pytest.mark.parametrize("runs", [2, 3, 5, 10, 20])
def test_chance_is_called_a_change_once_in_a_hundred(runs: int) -> None:
    """Of values that come from where the earlier ones came, about one in a hundred is beyond their noise."""
    chance = chance_of(f"noise {runs}")
    beyond = sum(not Noise.of(draws(runs, chance)).explains(chance.gauss(100, 10)) for _ in range(TRIALS))
    assert beyond / TRIALS < 0.02


def test_the_spread_alone_would_call_half_of_them_changes() -> None:
    """Negative control: held against the least and the most of three runs, chance is called a change half the time."""
    chance = chance_of("spread")
    noises = [Noise.of(draws(3, chance)) for _ in range(TRIALS)]
    beyond = sum(not each.least <= chance.gauss(100, 10) <= each.most for each in noises)
    assert beyond / TRIALS > 0.4


def test_a_real_change_is_seen() -> None:
    """Five runs that differ by 10 % are enough to see most doublings."""
    chance = chance_of("change")
    seen = sum(not Noise.of(draws(5, chance)).explains(chance.gauss(200, 20)) for _ in range(TRIALS))
    assert seen / TRIALS > 0.95


def test_one_run_tells_no_noise() -> None:
    """Of one value nobody can say what chance does."""
    noise = Noise.of([5.0])
    assert (noise.band, noise.explains(5.1)) == (None, None)


def test_no_figure_is_truer_than_it_can_be_read() -> None:
    """Where all earlier values fell into the same bucket, the next bucket is still within noise."""
    assert Noise.of([100.0] * 5, resolution=0.02).explains(101.9)
    assert not Noise.of([100.0] * 5).explains(101.9)
