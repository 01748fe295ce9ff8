"""A real server tells a real collector: a tap, an order and its webhook arrive there as spans that belong together."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from server import ids
from server.auth import Role
from server.tracing.telemetry import trace_of
from tests.server import own_server
from tests.stage import Stage
from tests.waiting import wait_for
from tests.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

CALLER = "0af7651916cd43dd8448eb211c80319c"


@dataclass(slots=True)
class Collector:
    """What it was sent, and where it listens."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)

    def named(self, name: str) -> list[Span]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector of OTLP over HTTP (protobuf), as the standard has it."""
    collector = Collector()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/traces"
            for resource in sent.resource_spans:
                about = {each.key: each.value.string_value for each in resource.resource.attributes}
                collector.services.add(about["service.name"])
                for scope in resource.scope_spans:
                    collector.spans.extend(scope.spans)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    collector.url = f"http://127.0.0.1:{listening.server_address[1]}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


async def sell(stage: Stage, receiver: Receiver) -> str:
    """Let a viewer tap by websocket and pay by HTTP, and wait until the shop heard of it; return the order."""
    service = stage.server.token(Role.SERVICE, "shop")
    made = await stage.call(
        "POST", "/v1/webhooks", service, json={"url": receiver.url, "events": ["order.paid"]}
    )
    assert made.status_code == 201, made.text
    drop, token = await stage.drop(3), stage.viewer()
    async with stage.watching(token) as viewer:
        held = await viewer.reserve(drop, 1)
    paid = await stage.http.post(
        "/v1/checkout",
        headers={
            "Authorization": f"Bearer {token}",
            "Idempotency-Key": ids.secret(8),
            "traceparent": f"00-{CALLER}-b7ad6b7169203331-01",
        },
        json={"reservations": [held["reservation"]["id"]], "payment": {"method": "card", "token": "tok_ok"}},
    )
    assert paid.status_code == 201, paid.text
    await wait_for(lambda: bool(receiver.got), "the shop hears of the order")
    order: str = paid.json()["order"]["id"]
    return order


async def test_a_sale_arrives_at_the_collector(tmp_path: Path) -> None:
    """The tap with step and script; the request in its caller's trace; order and webhook in the order's."""
    with collecting() as collector:
        settings = {"LIVEDROP_OTLP_ENDPOINT": collector.url, "LIVEDROP_OTLP_SHARE": "1"}
        with own_server(tmp_path, settings) as process:
            async with httpx.AsyncClient(base_url=process.url, timeout=30) as http, Receiver() as receiver:
                stage = Stage(process, http)
                await stage.open()
                order = await sell(stage, receiver)
                # The delivery is written down after the answer: its span ends then.
                await wait_for(lambda: settled(stage), "the delivery is recorded")
        assert collector.services == {"livedrop"}
        (tap,) = collector.named("command reserve")
        assert tap.span_id in {span.parent_span_id for span in collector.named("step")}
        steps = {span.span_id for span in collector.named("step")}
        assert steps & {span.parent_span_id for span in collector.named("script hold_batch")}
        (called,) = collector.named("http checkout")
        assert called.trace_id.hex() == CALLER
        assert called.parent_span_id.hex() == "b7ad6b7169203331"
        checkouts, webhooks = collector.named("checkout"), collector.named("webhook order.paid")
        assert {span.trace_id for span in [*checkouts, *webhooks]} == {trace_of(order).to_bytes(16, "big")}
        assert [called.span_id] in [[link.span_id for link in span.links] for span in checkouts]
        assert "delivered" in {noted(span, "livedrop.outcome") for span in webhooks}


def noted(span: Span, name: str) -> str:
    """Return what is noted on a span, empty where nothing is."""
    return next((each.value.string_value for each in span.attributes if each.key == name), "")


async def settled(stage: Stage) -> bool:
    """Whether no delivery waits any more."""
    shown = await stage.call("GET", "/v1/webhooks", stage.server.token(Role.SERVICE, "shop"))
    (endpoint,) = shown.json()["items"]
    return all(each["status"] == "delivered" for each in endpoint["deliveries"])
