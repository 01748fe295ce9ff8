"""Spans: who is whose part, what is sampled, and that nothing happens where nobody is told."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as some
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from server import tracing
from server.cli.running import traced
from server.errors import Code, Problem
from server.inventory import asks
from server.settings import Settings
from server.tracing.telemetry import LOW_HALF, Share, Spans, trace_of
from tests.checkout.buying import request
from tests.houses import live_show, open_drop
from tests.till import Till, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from server.house import House

CALLER = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{CALLER}-b7ad6b7169203331-01"


class Told:
    """What was told."""

    def __init__(self, share_of_all: float) -> None:
        self.exporter = InMemorySpanExporter()
        tracing.spans = Spans(SimpleSpanProcessor(self.exporter), share_of_all)

    def spans(self) -> list[ReadableSpan]:
        """Return all spans that have ended, in that order."""
        return list(self.exporter.get_finished_spans())

    def names(self) -> list[str]:
        """Return their names."""
        return [span.name for span in self.spans()]

    def one(self, name: str) -> ReadableSpan:
        """Return the one of this name."""
        (found,) = [span for span in self.spans() if span.name == name]
        return found


@pytest.fixture
def told() -> Iterator[Told]:
    """Give what is told of everything."""
    yield Told(1.0)
    tracing.spans = None


def is_part(span: ReadableSpan, of: ReadableSpan) -> bool:
    """Whether a span is a part of another one, in its trace."""
    assert span.context is not None
    assert of.context is not None
    return (
        span.parent is not None
        and span.parent.span_id == of.context.span_id
        and span.context.trace_id == of.context.trace_id
    )


def links(span: ReadableSpan) -> list[int]:
    """Return the ids of the spans that a span is linked with."""
    return [link.context.span_id for link in span.links]


def own(span: ReadableSpan) -> int:
    """Return a span's id."""
    assert span.context is not None
    return int(span.context.span_id)


def trace_id(span: ReadableSpan) -> int:
    """Return the id of a span's trace."""
    assert span.context is not None
    return int(span.context.trace_id)


def noted(span: ReadableSpan, name: str) -> Any:
    """Return what is noted on a span."""
    return (span.attributes or {}).get(f"livedrop.{name}")


def test_a_server_that_tells_nobody_imports_nothing() -> None:
    """Neither the app nor the workers bring what makes and sends spans; redis-py looks for other parts by itself."""
    look = (
        "import server.app, sys; print([name for name in sys.modules"
        " if name.startswith(('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'server.tracing.'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_nothing_happens_where_nobody_is_told() -> None:
    """Every hook returns what it was given, or the one context that does nothing."""
    ask = asks.release("sh_1", "ann", "rs_1_2")

    def done(_outcome: Any) -> None:
        raise AssertionError

    assert tracing.spans is None
    assert tracing.command("reserve", ask, done) is done
    assert tracing.here() is None
    for context in (
        tracing.request("reserve", {"traceparent": PARENT}),
        tracing.step("sh_1", [ask]),
        tracing.part("script", "hold_batch"),
        tracing.order("checkout", "or_1"),
    ):
        assert context is tracing.NOTHING
    tracing.note(outcome="ok")
    with tracing.telling("", 1.0):
        assert tracing.spans is None


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint without the packages is refused, with how to get them."""
    monkeypatch.setitem(sys.modules, "server.tracing.telemetry", None)
    with (
        pytest.raises(tracing.TracingError, match=r'pip install "livedrop\[otel\]"'),
        tracing.telling("http://x", 1.0),
    ):
        pass
    endpoint = Settings(otlp_endpoint="http://x")
    with pytest.raises(typer.Exit), traced(endpoint):
        pass
    assert tracing.spans is None


@given(part=some.floats(0.001, 1), times=some.integers(1, 500))
def test_a_share_is_taken_evenly(part: float, times: int) -> None:
    """Of any number in a row the share is taken, to within one."""
    counted = Share(part)
    assert abs(sum(counted.take() for _ in range(times)) - part * times) <= 1 + 1e-6


async def test_a_command_is_followed_to_its_script(told: Told, house: House) -> None:
    """A command's span has the step as its part, which has the script; its outcome is noted. Others are linked."""
    show = await live_show(house)
    drop = await open_drop(house, show, 1)
    told.exporter.clear()
    over = asyncio.Event()
    for viewer in ("ann", "bob"):
        ask = asks.reserve(show, viewer, "op", drop, 1)
        house.batches.submit(
            ask,
            tracing.command(
                "reserve", ask, (lambda _outcome: None) if viewer == "ann" else lambda _: over.set()
            ),
        )
    await over.wait()
    first, second = [span for span in told.spans() if span.name == "command reserve"]
    step, script = told.one("step"), told.one("script hold_batch")
    assert is_part(step, first)
    assert is_part(script, step)
    assert links(step) == [own(second)]
    assert trace_id(first) != trace_id(second)
    assert (noted(first, "outcome"), noted(second, "outcome")) == ("held", "out-of-stock")
    assert (noted(step, "operations"), noted(step, "show")) == (2, show)


async def test_a_step_of_nobody_who_is_followed_is_in_no_span(told: Told, house: House) -> None:
    """A line that a followed command has begun goes on without it: its later steps are no parts of its span."""
    show = await live_show(house)
    drop = await open_drop(house, show, 5)
    told.exporter.clear()
    with tracing.request("reserve", {}):
        await house.holds.reserve(show, "ann", "op", drop, 1)
        ask = asks.reserve(show, "bob", "op", drop, 1)  # as one by websocket that is not sampled
        over = asyncio.Event()
        house.batches.submit(ask, lambda _outcome: over.set())
        await over.wait()
    assert told.names().count("step") == 1
    assert is_part(told.one("step"), told.one("http reserve"))
    assert told.names().count("script hold_batch") == 1


async def test_an_order_has_a_trace_of_its_own(told: Told, house: House) -> None:
    """Each step of its checkout is a part of it, with script, provider or ledger below; its request is linked."""
    share(Till(), house)
    asked = await request(house)
    told.exporter.clear()
    with tracing.request("checkout", {"traceparent": PARENT}):
        await house.checkout.pay(asked)
    called, checkout = told.one("http checkout"), told.one("checkout")
    assert trace_id(called) == int(CALLER, 16)
    assert trace_id(checkout) == trace_of(asked.order)
    assert checkout.parent is None
    assert (links(checkout), links(called)) == ([own(called)], [own(checkout)])
    assert noted(checkout, "order") == asked.order
    claim = told.one("script hold_checkout")
    assert is_part(claim, called)
    for act, below in (
        ("authorize", "provider"),
        ("finalize", "script hold_finalize"),
        ("commit", "ledger write"),
        ("capture", "provider"),
        ("book", "ledger write"),
        ("settle", "script order_settle"),
    ):
        step = told.one(f"checkout {act}")
        assert is_part(step, checkout), act
        assert any(is_part(span, step) for span in told.spans() if span.name == below), act


async def test_who_goes_on_with_an_order_goes_on_with_its_trace(told: Told, house: House) -> None:
    """Another process that takes the order up, and a webhook about it, need nothing but its id."""
    share(Till(), house)
    asked = await request(house, card="tok_requires_action")
    await house.checkout.pay(asked)
    told.exporter.clear()
    await house.checkout.look(asked.order)
    with tracing.order("webhook order.paid", asked.order):
        tracing.note(outcome="delivered", tries=1)
    assert {trace_id(span) for span in told.spans() if span.name.startswith(("checkout", "webhook"))} == {
        trace_of(asked.order)
    }
    assert noted(told.one("webhook order.paid"), "outcome") == "delivered"


def test_the_callers_word_on_sampling_counts(told: Told) -> None:
    """A traceparent that is not sampled is not followed, whatever the share; one that is, even where the share is 0."""
    with tracing.request("shows", {"traceparent": PARENT[:-1] + "0"}):
        assert tracing.here() is None
    assert told.names() == []
    none = Told(0.0)
    with tracing.request("shows", {"traceparent": PARENT}), tracing.part("script", "show_create"):
        pass
    with tracing.request("shows", {"traceparent": "nonsense"}), tracing.order("checkout", "or_1"):
        assert tracing.here() is None
    assert none.names() == ["script show_create", "http shows"]


def test_an_order_is_sampled_by_its_id() -> None:
    """Of many orders the share is followed, each in every process or in none; the rest is its request's."""
    half = Told(0.5)
    orders = [f"or_{number}" for number in range(400)]
    try:
        for _ in range(2):
            for each in orders:
                with tracing.order("checkout", each):
                    pass
        followed = [noted(span, "order") for span in half.spans()]
        assert followed[: len(followed) // 2] == followed[len(followed) // 2 :]
        assert set(followed) == {each for each in orders if trace_of(each) & LOW_HALF < (LOW_HALF + 1) // 2}
        assert 120 < len(set(followed)) < 280
        left_out = next(each for each in orders if each not in followed)
        with tracing.request("checkout", {"traceparent": PARENT}), tracing.order("checkout", left_out):
            pass
        assert is_part(half.spans()[-2], half.one("http checkout"))
    finally:
        tracing.spans = None


def test_an_error_is_noted_by_its_code_alone(told: Told) -> None:
    """A problem's code, or an error's kind; its text, which may hold anything, is on no span."""
    for error, kind in (
        (Problem(Code.OUT_OF_STOCK, "secret"), "out-of-stock"),
        (KeyError("secret"), "KeyError"),
    ):
        with pytest.raises(type(error)), tracing.request(kind, {}):
            raise error
        span = told.one(f"http {kind}")
        assert noted(span, "outcome") == kind
        assert not span.events
        assert span.status.is_ok or span.status.description is None
        assert span.status.is_unset is (kind == "out-of-stock")
