"""What Prometheus reads: one registry per process, each figure named once with its unit.

Several worker processes each answer `/metrics` for themselves; a scraper that wants one of them asks its own port.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
REGISTRY = CollectorRegistry()
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped

CONNECTIONS = Gauge("livedrop_connections", "Websocket connections open now", registry=REGISTRY)
COMMANDS = Counter(
    "livedrop_commands_total",
    "Commands by name and outcome (an error code, or ok)",
    ["command", "outcome"],
    registry=REGISTRY,
)
RESERVATION_SECONDS = Histogram(
    "livedrop_reservation_seconds",
    "From the command's arrival to its outcome",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=REGISTRY,
)
CHECKOUT_SECONDS = Histogram(
    "livedrop_checkout_seconds",
    "From the request to the answer",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
SWEEP_LAG_SECONDS = Histogram(
    "livedrop_sweep_lag_seconds",
    "How long after its deadline the oldest lapsed reservation of a sweep was let go",
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 30),
    registry=REGISTRY,
)
LAPSED = Counter("livedrop_reservations_lapsed_total", "Reservations let go unpaid", registry=REGISTRY)
EVENTS = Counter("livedrop_events_total", "Events of the log received, by type", ["type"], registry=REGISTRY)
DELIVERIES = Counter(
    "livedrop_deliveries_total", "Messages handed to viewers' connections", registry=REGISTRY
)
JOBS_DIED = Counter(
    "livedrop_jobs_died_total",
    "Background jobs ended by an error and started again",
    ["job"],
    registry=REGISTRY,
)
CLOSED = Counter(
    "livedrop_closed_total", "Connections closed by us, by close code", ["code"], registry=REGISTRY
)


def exposition() -> bytes:
    """Return the registry in Prometheus' text format."""
    return generate_latest(REGISTRY)
