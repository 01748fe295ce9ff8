"""Nobody is served earlier because they came earlier. The long run, 100 drops, is part of `make stories`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.flows.fairness import judged, measured, spearman
from tests.flows.named.broken import OLDEST

if TYPE_CHECKING:
    from pathlib import Path

VIEWERS = 1000
DROPS = 10


def chance() -> random.Random:
    """Return a source of the same numbers each time."""
    return random.Random(1)  # noqa: S311  the measure's own proof needs no secret


async def test_the_place_does_not_depend_on_the_age_of_a_connection(tmp_path: Path) -> None:
    """1,000 viewers at two servers press at one instant, ten times: age and place correlate no more than by chance."""
    seed = random.getrandbits(32)
    found = await measured(tmp_path, VIEWERS, DROPS, seed)
    print(f"seed {seed}: {found}")  # noqa: T201  the figures are what one wants to see
    assert found.fair, str(found)


async def test_a_server_that_prefers_old_connections_is_found(tmp_path: Path) -> None:
    """Negative control: where the oldest of those who wait go first, the same measure shows it by far."""
    found = await measured(tmp_path, VIEWERS // 4, DROPS // 2, 1, OLDEST)
    print(found)  # noqa: T201  likewise
    assert not found.fair, str(found)
    assert found.correlation > 0


def test_the_correlation_is_spearmans() -> None:
    """Known values, ties among them."""
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]) == 1
    assert spearman([1, 2, 3, 4], [8, 6, 4, 2]) == -1
    assert abs(spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) - 0.8) < 1e-9
    assert abs(spearman([1, 2, 3, 4], [1, 1, 2, 2]) - 0.894427191) < 1e-9
    assert spearman([1, 2, 3], [5, 5, 5]) == 0


def test_pure_chance_is_fair_and_a_slight_lead_is_not() -> None:
    """Random places pass; over ten drops a lead of a tenth of the field for the oldest is found."""
    source, field = chance(), list(range(VIEWERS))
    drops = [source.sample(field, VIEWERS) for _ in range(DROPS)]
    assert judged(drops, source).fair
    assert not judged([[place + age / 10 for age, place in enumerate(drop)] for drop in drops], source).fair
