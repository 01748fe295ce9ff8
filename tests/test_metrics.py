"""Our own quick collectors tell Prometheus what the library's would."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from server import metrics

BUCKETS = (0.001, 0.5, 2.0)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> CollectorRegistry:
    """Give a registry that ours register with."""
    made = CollectorRegistry()
    monkeypatch.setattr(metrics, "REGISTRY", made)
    return made


def told(registry: CollectorRegistry) -> str:
    """Return the registry as Prometheus reads it."""
    return generate_latest(registry).decode()


@given(values=some.lists(some.sampled_from(BUCKETS) | some.floats(0, 5), max_size=20))
def test_a_spread_is_the_librarys_histogram(values: list[float]) -> None:
    """Buckets, sum and count, whatever was observed; a value on a bound belongs below it."""
    with pytest.MonkeyPatch.context() as patched:
        theirs, ours = CollectorRegistry(), CollectorRegistry()
        patched.setattr(metrics, "REGISTRY", ours)
        collectors: list[Any] = [
            Histogram("wait_seconds", "How long", buckets=BUCKETS, registry=theirs),
            metrics.Spread("wait_seconds", "How long", BUCKETS),
        ]
        for value in values:
            for each in collectors:
                each.observe(value)
        assert told(ours) == told(theirs)


def test_a_tally_is_the_librarys_counter(registry: CollectorRegistry) -> None:
    """One series per pair of labels."""
    theirs = CollectorRegistry()
    counter = Counter("asked_total", "How often", ["what", "how"], registry=theirs)
    tally = metrics.Tally("asked_total", "How often", ["what", "how"])
    for labels in (("a", "ok"), ("a", "ok"), ("b", "not-found")):
        counter.labels(*labels).inc()
        tally.count(*labels)
    assert told(registry) == told(theirs)
