"""What operators see: figures that count, logs that tell no secrets, and problems for whatever is not served."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from server import ids
from server.auth import Role
from tests.problems import assert_problem
from tests.server import SECRET
from tests.waiting import wait_for
from tests.wire import wire

if TYPE_CHECKING:
    from tests.stage import Stage

FIGURES = {
    "livedrop_connections": "gauge",
    "livedrop_commands": "counter",
    "livedrop_reservation_seconds": "histogram",
    "livedrop_checkout_seconds": "histogram",
    "livedrop_sweep_lag_seconds": "histogram",
    "livedrop_reservations_lapsed": "counter",
    "livedrop_events": "counter",
    "livedrop_deliveries": "counter",
    "livedrop_closed": "counter",
}
COUNTED = (
    'livedrop_commands_total{command="reserve",outcome="ok"}',
    'livedrop_commands_total{command="reserve",outcome="out-of-stock"}',
    'livedrop_commands_total{command="refused",outcome="invalid-message"}',
    'livedrop_commands_total{command="http.reserve",outcome="limit-reached"}',
    'livedrop_commands_total{command="http.checkout",outcome="ok"}',
    'livedrop_events_total{type="drop.opened"}',
    'livedrop_closed_total{code="3500"}',
    "livedrop_reservation_seconds_count",
    "livedrop_checkout_seconds_count",
    "livedrop_reservations_lapsed_total",
    "livedrop_sweep_lag_seconds_count",
    "livedrop_deliveries_total",
    "livedrop_delivered_bytes_total",
    "livedrop_broadcast_seconds_count",
    "livedrop_flush_messages_count",
    "livedrop_log_lag_seconds_count",
    'livedrop_handshakes_total{outcome="accepted"}',
    'livedrop_handshakes_total{outcome="invalid-message"}',
    'livedrop_recoveries_total{outcome="recovered"}',
    'livedrop_recoveries_total{outcome="snapshot"}',
    'livedrop_peer_closed_total{code="1000"}',
)


async def figures(stage: Stage) -> dict[str, float]:
    """Return every sample of /metrics."""
    answer = await stage.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def nobody_connected(stage: Stage) -> None:
    """Wait until the gauge of connections is back at 0: between tests nobody has a socket."""

    async def none() -> bool:
        return (await figures(stage))["livedrop_connections"] == 0

    await wait_for(none, "all sockets are counted down")


async def a_bit_of_everything(stage: Stage) -> None:
    """Do once what the figures count."""
    token, drop = stage.viewer(), await stage.drop(1, hold_seconds=1)
    async with wire(stage, token) as viewer, wire(stage, stage.viewer()) as late:
        await viewer.send({"type": "reserve", "id": ids.secret(6), "drop": drop, "quantity": 1})
        assert (await viewer.answer())["type"] == "reservation"
        await late.send({"type": "reserve", "id": "late", "drop": drop, "quantity": 1})
        assert (await late.answer())["code"] == "out-of-stock"
        await late.send({"type": "nonsense"})
        await late.answer()
        kept, buyer = await stage.drop(2), stage.viewer()
        await stage.pay(buyer, (await stage.reserve(buyer, kept)).json()["id"])
        assert (await stage.reserve(buyer, kept)).json()["code"] == "limit-reached"
        while (await viewer.answer()).get("reservation", {}).get("state") != "expired":
            pass
        place = {name: viewer.seen[0][name] for name in ("epoch", "offset")}
    async with (
        wire(stage, token, since=place) as back,
        wire(stage, token, since={**place, "epoch": "another"}) as lost,
    ):
        assert [each.seen[0]["recovered"] for each in (back, lost)] == [True, False]
        with pytest.raises(InvalidStatus):
            async with wire(stage, offered=["unknown.v9"]):
                pass
    async with wire(stage) as stranger:
        await stranger.send({"type": "hello", "token": "nonsense"})
        await stranger.closed()


async def test_figures_count_what_happens(stage: Stage) -> None:
    """Every figure has its type and unit in its name, and grows by what was done."""
    text = (await stage.http.get("/metrics")).text
    for name, kind in FIGURES.items():
        assert re.search(rf"^# TYPE {name}(_total)? {kind}$", text, re.MULTILINE), name
        assert re.search(rf"^# HELP {name}(_total)? \w", text, re.MULTILINE), name
    await nobody_connected(stage)
    before = await figures(stage)
    await a_bit_of_everything(stage)
    after = await figures(stage)
    for name in COUNTED:
        assert after[name] > before.get(name, 0.0), name
    assert after["livedrop_followed_shows"] >= 1
    assert all("viewer-" not in name and stage.show not in name for name in after)


async def test_connections_are_counted_while_they_are_open(stage: Stage) -> None:
    """The gauge goes up with a socket and down with its end."""
    await nobody_connected(stage)
    async with wire(stage, stage.viewer()), wire(stage, stage.viewer()):
        assert (await figures(stage))["livedrop_connections"] == 2
    await nobody_connected(stage)


async def test_logs_are_lines_of_json_without_secrets(stage: Stage) -> None:
    """Tokens in headers, queries, paths, messages and bodies: none of them is in the log."""
    token, host = stage.viewer(), stage.server.token(Role.HOST, "host")
    await a_bit_of_everything(stage)
    for path in (f"/v1/shows?token={token}", f"/nothing/{token}", f"/v1/shows/{token}"):
        assert (await stage.call("GET", path, host)).status_code in {200, 404}
    with pytest.raises(InvalidStatus):
        async with wire(stage, show=f"sh_x/live?token={token}&x="):
            pass
    async with wire(stage, token, show=f"{stage.show}/live?token={token}&x=") as viewer:
        await viewer.send({"type": "token", "token": token + "x"})
        await viewer.answer()
    await asyncio.sleep(0)
    log = stage.server.log.read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert all(isinstance(line, dict) and "event" in line and "timestamp" in line for line in lines)
    for secret in (token, token.split(".")[2], host, SECRET, "tok_ok"):
        assert secret not in log
    assert re.search(r"eyJ[\w-]{10,}\.", log) is None


async def test_what_operators_ask_needs_no_token(stage: Stage) -> None:
    """Health, readiness, figures and documents answer anybody."""
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json"):
        assert (await stage.http.get(path)).status_code == 200, path


async def test_what_is_not_served_is_a_problem(stage: Stage) -> None:
    """Unknown paths are 404, known ones with another method 405, both as problems."""
    assert_problem(await stage.host("GET", "/v1/nothing"), 404, "not-found", "/v1/nothing")
    answer = await stage.host("PATCH", f"/v1/shows/{stage.show}")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


async def test_answers_forbid_pages_to_guess(stage: Stage) -> None:
    """Every answer says that its type is meant, what a page may load, and whether it may be kept."""
    for path in ("/v1/shows", "/healthz", "/v1/nothing"):
        headers = (await stage.host("GET", path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == ("no-store" if path.startswith("/v1") else "no-cache")
