"""The spans, as OpenTelemetry has them: what is sampled, what is whose part, and where they go.

What is not sampled costs an addition. Whoever calls with a `traceparent` has decided already; an order is sampled by
its own id, so all of its trace is there or nothing is. What waits for the collector is bounded: what is more is lost.
"""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import blake2b
from threading import Thread
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server import __version__
from server.errors import Problem
from server.tracing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace import SpanProcessor

    from server.tracing import Asked

SEND_SECONDS = 5  # for one batch; the collector is near, or it is none
PAUSE_MS = 2000  # between batches
MOST_WAITING = 4096  # spans that wait for the collector; of more the newest are lost
MOST_AT_ONCE = 512
MOST_LINKS = 32  # of a step; it has up to 256 operations
TRACE_BYTES = 16
LOW_HALF = (1 << 64) - 1  # of a trace's id: what OpenTelemetry samples by
NO_PARENT = Context()
W3C = TraceContextTextMapPropagator()


def exporting(endpoint: str) -> SpanProcessor:
    """Return what brings spans to the collector at `endpoint`, from a thread of its own."""
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=SEND_SECONDS)
    return BatchSpanProcessor(
        exporter,
        max_queue_size=MOST_WAITING,
        schedule_delay_millis=PAUSE_MS,
        max_export_batch_size=MOST_AT_ONCE,
        export_timeout_millis=SEND_SECONDS * 1000,
    )


def trace_of(order_id: str) -> int:
    """Return the id of an order's trace: anybody who knows the order can find it."""
    return int.from_bytes(blake2b(b"livedrop " + order_id.encode(), digest_size=TRACE_BYTES).digest(), "big")


class Share:
    """A share of what comes: of 0.01 every hundredth."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = 0.0

    def take(self) -> bool:
        """Whether this one is in."""
        self._saved += self._share
        if self._saved < 1 - 1e-9:
            return False
        self._saved -= 1
        return True


class Ids(RandomIdGenerator):
    """Random ids, but for the next trace where its id is given."""

    given: int | None = None

    def generate_trace_id(self) -> int:
        """Return the given id, or a random one."""
        return super().generate_trace_id() if self.given is None else self.given


class Spans:
    """Makes the spans. For the loop's own thread only; `close` sends what waits."""

    def __init__(self, processor: SpanProcessor, share: float) -> None:
        self._ids = Ids()
        about = Resource.create({"service.name": "livedrop", "service.version": __version__})
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=about, id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("livedrop", __version__)
        self._requests, self._commands = Share(share), Share(share)
        self._orders_below = round(share * (LOW_HALF + 1))

    def close(self) -> None:
        """Send what waits, and stop; after `SEND_SECONDS` the rest is lost."""
        ending = Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(SEND_SECONDS)

    def here(self) -> Span | None:
        """Return the span that the running code is in."""
        span = trace.get_current_span()
        return span if span.is_recording() else None

    def note(self, attributes: Mapping[str, str | int | bool]) -> None:
        """Write attributes down on it."""
        span = self.here()
        if span is not None:
            span.set_attributes({f"livedrop.{name}": value for name, value in attributes.items()})

    def request(self, name: str, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """Follow a request. The word of its caller counts, whether it is sampled or not."""
        parent = NO_PARENT
        if "traceparent" in headers:
            parent = W3C.extract(headers, context=NO_PARENT)
        calling = trace.get_current_span(parent).get_span_context()
        sampled = calling.trace_flags.sampled if calling.is_valid else self._requests.take()
        return self._follow(f"http {name}", parent, kind=SpanKind.SERVER) if sampled else self._in(NO_PARENT)

    def command(self, name: str, asked: Asked, done: Callable[[Any], None]) -> Callable[[Any], None]:
        """Follow a command from here to its outcome."""
        if not self._commands.take():
            return done
        span = self._tracer.start_span(f"command {name}", NO_PARENT, kind=SpanKind.SERVER)
        span.set_attribute("livedrop.show", asked.show)
        asked.span = span

        def told(outcome: Any) -> None:
            with _ending(span):
                done(outcome)
                code = outcome.code.value if isinstance(outcome, Problem) else type(outcome).__name__.lower()
                span.set_attribute("livedrop.outcome", code)

        return told

    def step(self, show: str, asked: Sequence[Asked]) -> AbstractContextManager[None]:
        """Follow a step that carries these operations out. One that carries none that is followed is in no span."""
        followed = [each.span for each in asked if each.span is not None and each.span.is_recording()]
        if not followed:
            return self._in(NO_PARENT)
        first, *others = dict.fromkeys(followed)
        return self._follow(
            "step",
            trace.set_span_in_context(first, NO_PARENT),
            links=[Link(span.get_span_context()) for span in others[:MOST_LINKS]],
            attributes={"livedrop.show": show, "livedrop.operations": len(asked)},
        )

    def part(self, kind: str, name: str) -> AbstractContextManager[None]:
        """Follow a part of the span that the running code is in."""
        if self.here() is None:
            return NOTHING
        return self._follow(f"{kind} {name}" if name else kind, None, kind=SpanKind.INTERNAL)

    def order(self, name: str, order_id: str) -> AbstractContextManager[None]:
        """Follow something in an order's trace; where that is not sampled, as a part of what the code is in."""
        known = trace_of(order_id)
        if known & LOW_HALF >= self._orders_below:
            return self.part(name, "")
        caller = self.here()
        links = [] if caller is None else [Link(caller.get_span_context())]
        return self._follow(
            name, NO_PARENT, links=links, attributes={"livedrop.order": order_id}, known=known
        )

    @contextmanager
    def _in(self, context: Context) -> Iterator[None]:
        """Run in this context, and in no span that somebody left behind."""
        token = contexts.attach(context)
        try:
            yield
        finally:
            contexts.detach(token)

    @contextmanager
    def _follow(  # noqa: PLR0913  a span is its fields
        self,
        name: str,
        parent: Context | None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
        attributes: Mapping[str, str | int] | None = None,
        known: int | None = None,
    ) -> Iterator[None]:
        """Run inside a span; `parent` None: of the one that the code is in. `known`: the id of its trace."""
        caller = self.here()
        self._ids.given = known
        try:
            span = self._tracer.start_span(name, parent, kind=kind, links=links, attributes=attributes)
        finally:
            self._ids.given = None
        if known is not None and caller is not None:
            caller.add_link(span.get_span_context())
        with _ending(span), self._in(trace.set_span_in_context(span, parent)):
            yield


@contextmanager
def _ending(span: Span) -> Iterator[None]:
    """End a span, with what went wrong by its code or its kind alone: the text of an error may hold anything."""
    try:
        yield
    except Exception as error:
        known = isinstance(error, Problem)
        span.set_attribute("livedrop.outcome", error.code.value if known else type(error).__name__)  # type: ignore[attr-defined]  # a Problem's
        if not known:
            span.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        span.end()
