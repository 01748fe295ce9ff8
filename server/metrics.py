"""What Prometheus reads: one registry per process, each figure named once with its unit.

Several worker processes each answer `/metrics` for themselves; a scraper that wants one of them asks its own port.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client import Metric

CONTENT_TYPE = CONTENT_TYPE_LATEST
REGISTRY = CollectorRegistry()
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped


class Tally(Collector):
    """A counter for the hot path: a tenth of the library's cost, for the loop's own thread only."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str]) -> None:
        self._family = name, documentation
        self._labelnames = tuple(labels)  # under the name that it has in the library's own metrics
        self._counts: dict[tuple[str, ...], int] = {}
        REGISTRY.register(self)

    def count(self, *labels: str) -> None:
        """Count one."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Give the counts to the registry."""
        family = CounterMetricFamily(*self._family, labels=self._labelnames)
        for values, count in self._counts.items():
            family.add_metric(values, count)
        yield family

    def describe(self) -> Iterator[Metric]:
        """Tell the registry what will be collected."""
        yield CounterMetricFamily(*self._family, labels=self._labelnames)


class Spread(Collector):
    """A histogram for the hot path: a quarter of the library's cost, for the loop's own thread only."""

    def __init__(self, name: str, documentation: str, buckets: Sequence[float]) -> None:
        self._family = name, documentation
        self._labelnames: tuple[str, ...] = ()  # under the name that it has in the library's own metrics
        self._buckets = tuple(buckets)
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0
        REGISTRY.register(self)

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._buckets, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[Metric]:
        """Give the counts to the registry."""
        bounds = [*map(floatToGoString, self._buckets), "+Inf"]
        counts = accumulate(self._counts)
        yield HistogramMetricFamily(
            *self._family, buckets=list(zip(bounds, counts, strict=True)), sum_value=self._sum
        )

    def describe(self) -> Iterator[Metric]:
        """Tell the registry what will be collected."""
        yield HistogramMetricFamily(*self._family)


CONNECTIONS = Gauge("livedrop_connections", "Websocket connections open now", registry=REGISTRY)
CHALLENGES = Counter(
    "livedrop_challenges_total",
    "Anonymous viewers who were asked for work before they may join",
    registry=REGISTRY,
)
WAITING_ROOM = Gauge(
    "livedrop_waiting_room", "Websocket connections that wait for a seat in a full show", registry=REGISTRY
)
FOLLOWED_SHOWS = Gauge(
    "livedrop_followed_shows", "Shows with viewers here, whose events are listened to", registry=REGISTRY
)
HANDSHAKES = Counter(
    "livedrop_handshakes_total",
    "Websocket handshakes by outcome (accepted, or the error code of the refusal)",
    ["outcome"],
    registry=REGISTRY,
)
COMMANDS = Tally(
    "livedrop_commands_total",
    "Commands by name and outcome (an error code, or ok)",
    ["command", "outcome"],
)
LIMITED = Tally(
    "livedrop_limited_total",
    "Refusals of who does something too often, by limit (requests, addresses, sign-ins, joins)",
    ["limit"],
)
LIMITS_UNTOLD = Counter(
    "livedrop_limits_untold_total",
    "Takes of limits that the store was not told, for it gave no answer: each process limits by itself then",
    registry=REGISTRY,
)
RESERVATION_SECONDS = Spread(
    "livedrop_reservation_seconds",
    "From the command's arrival to its outcome",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
STEP_OPERATIONS = Histogram(
    "livedrop_step_operations",
    "Operations on a show's inventory that were carried out in one step",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=REGISTRY,
)
STEP_SECONDS = Histogram(
    "livedrop_step_seconds",
    "Time from sending a step of the inventory to its answer",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0),
    registry=REGISTRY,
)
GATED = Counter(
    "livedrop_gated_total",
    "Reservations that this process refused itself because the drop was known to be sold out",
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
WEBHOOK_TRIES = Counter(
    "livedrop_webhook_tries_total",
    "Messages sent to webhook endpoints, by what came of it",
    ["outcome"],
    registry=REGISTRY,
)
WEBHOOKS_WAITING = Gauge(
    "livedrop_webhooks_waiting", "Messages that webhook endpoints are yet to get", registry=REGISTRY
)
WEBHOOKS_PARKED = Gauge(
    "livedrop_webhooks_parked",
    "Messages that no endpoint took in all their tries, or whose endpoint is disabled",
    registry=REGISTRY,
)
WEBHOOK_LAG_SECONDS = Histogram(
    "livedrop_webhook_lag_seconds",
    "From what happened to its delivery at a webhook endpoint",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 86_400),
    registry=REGISTRY,
)
ACTIONS_LOST = Counter(
    "livedrop_actions_lost_total",
    "Actions of hosts, moderators and services that the trail has no row of: the ledger could not take it",
    registry=REGISTRY,
)
SHOWS_FROZEN = Counter(
    "livedrop_shows_frozen_total",
    "Shows halted because the store had lost what the ledger has seen of them",
    registry=REGISTRY,
)
SHOWS_LOST = Gauge(
    "livedrop_shows_lost", "Shows that the ledger knows as running and the store has not", registry=REGISTRY
)
STORE_TROUBLE = Gauge(
    "livedrop_store_trouble",
    "1 while the store may evict (policy), cannot write (disk), is full (memory), or has lost all shows (empty)",
    ["trouble"],
    registry=REGISTRY,
)
EVENTS = Counter("livedrop_events_total", "Events of the log received, by type", ["type"], registry=REGISTRY)
LOG_LAG_SECONDS = Histogram(
    "livedrop_log_lag_seconds",
    "From an event's time in the log to its receipt here, by the clock of the store",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
BROADCAST_SECONDS = Histogram(
    "livedrop_broadcast_seconds",
    "One delivery round of one show, from the first to the last viewer's write",
    buckets=(0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    registry=REGISTRY,
)
DELIVERIES = Counter(
    "livedrop_deliveries_total", "Events and live numbers handed to viewers' connections", registry=REGISTRY
)
DELIVERED_BYTES = Counter(
    "livedrop_delivered_bytes_total",
    "Bytes of events and live numbers handed to viewers' connections, frame headers included",
    registry=REGISTRY,
)
FLUSH_MESSAGES = Histogram(
    "livedrop_flush_messages",
    "Messages that left together in one write of a flush",
    buckets=(1, 2, 3, 5, 10, 20, 50, 100),
    registry=REGISTRY,
)
SLOW_SKIPS = Counter(
    "livedrop_slow_skips_total",
    "Live numbers not written to viewers who are behind",
    registry=REGISTRY,
)
PING_SECONDS = Histogram(
    "livedrop_ping_seconds",
    "From our ping to the viewer's pong",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
    registry=REGISTRY,
)
RECOVERIES = Counter(
    "livedrop_recoveries_total",
    "Viewers who returned with a place in the log, by outcome (recovered, snapshot or failed)",
    ["outcome"],
    registry=REGISTRY,
)
EARS_LOST = Counter(
    "livedrop_ears_lost_total",
    "Subscriptions to the shows' events that ended or were found deaf",
    registry=REGISTRY,
)
JOBS_DIED = Counter(
    "livedrop_jobs_died_total",
    "Background jobs ended by an error and started again",
    ["task"],  # not "job": Prometheus gives that name to what it scrapes
    registry=REGISTRY,
)
CLOSED = Counter(
    "livedrop_closed_total", "Connections closed by us, by close code", ["code"], registry=REGISTRY
)
PEER_CLOSED = Counter(
    "livedrop_peer_closed_total",
    "Connections closed by the peer, by close code (those of RFC 6455, the rest as other)",
    ["code"],
    registry=REGISTRY,
)

# RFC 6455 §7.4.1 and the IANA registry: what a peer may choose freely would grow the registry without bound.
_REGISTERED_CODES = range(1000, 1016)


def closed_by_peer(code: int) -> None:
    """Count a connection that its peer closed with `code` (1006: it went without a word)."""
    PEER_CLOSED.labels(code if code in _REGISTERED_CODES else "other").inc()


def exposition() -> bytes:
    """Return the registry in Prometheus' text format."""
    return generate_latest(REGISTRY)
