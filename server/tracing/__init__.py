"""Spans of what happens, told to an OpenTelemetry collector where a setting names one; nothing at all where none does.

The other rooms say where something begins and ends, with the functions of this page. As long as `begin` was not called
each of them is one test for None, and no package of OpenTelemetry is imported.

A command, or a request, is followed from its arrival through the step that it shared with others to the script. An
order has a trace of its own whose id follows from the order's: its checkout, whoever resumes that, its refunds and
the webhooks that tell of it are one trace, in whatever process and however much later, and nothing is stored for it.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from server.tracing.telemetry import Spans

NOTHING: AbstractContextManager[None] = nullcontext()

spans: Spans | None = None  # while somebody is told


class TracingError(Exception):
    """What tells of spans is not installed; the sentence says how to install it."""


class Asked(Protocol):
    """An operation that waits for a step of its show, with the span that it belongs to, if any."""

    show: str
    span: Any


@contextmanager
def telling(endpoint: str, share: float) -> Iterator[None]:
    """Tell the collector at `endpoint` of this share (0 to 1) of commands, requests and orders; empty: tell nobody.

    At the end what was not sent yet is sent, within a few seconds or never. Raises TracingError.
    """
    if not endpoint:
        yield
        return
    begin(endpoint, share)
    try:
        yield
    finally:
        end()


def begin(endpoint: str, share: float) -> None:
    """Begin to tell. Raises TracingError."""
    global spans  # noqa: PLW0603  one process tells one collector, and asking must cost nothing
    try:
        from server.tracing.telemetry import Spans, exporting  # noqa: PLC0415  half a second, for those who want it
    except ModuleNotFoundError as missing:
        raise TracingError(
            f'LIVEDROP_OTLP_ENDPOINT needs {missing.name}, which is not installed: pip install "livedrop[otel]"'
        ) from None
    spans = Spans(exporting(endpoint), share)


def end() -> None:
    """Stop telling; what waits is sent first, within a few seconds."""
    global spans
    told, spans = spans, None
    if told is not None:
        told.close()


def request(name: str, headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """Follow an HTTP request, as a part of its caller's trace where it names one (W3C traceparent)."""
    return NOTHING if spans is None else spans.request(name, headers)


def command(name: str, asked: Asked, done: Callable[[Any], None]) -> Callable[[Any], None]:
    """Follow a viewer's command until its outcome; return what is to be told of that instead of `done`."""
    return done if spans is None else spans.command(name, asked, done)


def here() -> Any:
    """Return the span that this code runs in; None where it is in none."""
    return None if spans is None else spans.here()


def step(show: str, asked: Sequence[Asked]) -> AbstractContextManager[None]:
    """Follow a step of a show's inventory: a part of the first operation's span, linked with all others'."""
    return NOTHING if spans is None else spans.step(show, asked)


def part(kind: str, name: str = "") -> AbstractContextManager[None]:
    """Follow a part of what is being followed; nothing where nothing is."""
    return NOTHING if spans is None else spans.part(kind, name)


def order(name: str, order_id: str) -> AbstractContextManager[None]:
    """Follow something that happens to an order, in the order's own trace."""
    return NOTHING if spans is None else spans.order(name, order_id)


def note(**attributes: str | int | bool) -> None:
    """Write something down on the span that this code runs in."""
    if spans is not None:
        spans.note(attributes)
