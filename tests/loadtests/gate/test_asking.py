"""What the server is asked: until it has settled, page by page, and its log as the judges read it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from loadtests.gate import asking
from loadtests.gate.books import Event, Line, Order
from loadtests.stagehand import Stage, StageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DROP = {
    "id": "dr_a",
    "status": "open",
    "mode": "fifo",
    "waitlist": False,
    "quantity": 3,
    "available": 1,
    "held": 1,
    "sold": 1,
    "limit_per_viewer": 1,
    "hold_seconds": 1,
    "revision": 7,
}


def host(answer: Callable[[httpx.Request], Any]) -> httpx.Client:
    """Return a host's client whose server answers with these fields, or with a problem where there are none."""

    def handle(request: httpx.Request) -> httpx.Response:
        fields = answer(request)
        return httpx.Response(200, json=fields) if fields is not None else httpx.Response(503, text="not now")

    return httpx.Client(base_url="http://server", transport=httpx.MockTransport(handle))


def order(name: str, status: str = "paid") -> dict[str, Any]:
    """Return an order as the host's list has it."""
    line = {"sku": "MUG", "drop": "dr_a", "reservation": f"rs_{name}", "quantity": 1, "unit_price": 100}
    return {"id": name, "status": status, "lines": [line], "total": 100}


def test_it_waits_until_nothing_is_held_and_no_order_is_open() -> None:
    """Held units are waited for, then orders that are being confirmed; then the show has settled."""
    looks = iter([1, 0, 0])
    statuses = iter(["confirming", "paid"])

    def answer(request: httpx.Request) -> Any:
        if request.url.path.endswith("/drops"):
            return {"items": [{**DROP, "held": next(looks)}]}
        return {"items": [order("or_1", next(statuses))], "next_cursor": None}

    with host(answer) as client:
        assert asking._settle(client, "sh_a", None)
    assert not list(looks)
    assert not list(statuses)


def test_what_does_not_settle_is_waited_for_so_long() -> None:
    """Where units stay held the wait has an end, and it is said that they do."""
    with host(lambda _: {"items": [DROP]}) as client:
        assert not asking._settle(client, "sh_a", 0.0)


def test_all_pages_of_orders_are_read() -> None:
    """Page after page, by the cursor that each names."""

    def answer(request: httpx.Request) -> Any:
        if "cursor" in request.url.params:
            return {"items": [order("or_1")], "next_cursor": None}
        return {"items": [order("or_2")], "next_cursor": "older"}

    with host(answer) as client:
        found = asking._orders(client, "sh_a")
    assert found == [Order(name, "paid", [Line("dr_a", f"rs_{name}", 1)]) for name in ("or_2", "or_1")]


def test_a_server_that_does_not_answer_is_no_finding() -> None:
    """What cannot be read is an error of the inspection, with what the server said."""
    with (
        host(lambda _: None) as client,
        pytest.raises(StageError, match="/v1/shows/sh_a/drops answered 503: not now"),
    ):
        asking._settle(client, "sh_a", 0.0)


def test_an_audit_that_cannot_look_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the audit has said instead of its books stands in the error, and what it needs."""
    said = subprocess.CompletedProcess((), 1, b"", b"LIVEDROP_PROT is no setting.\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: said)
    stage = Stage("http://server", "", {}, tmp_path)
    with pytest.raises(
        StageError, match=r"at sh_a: LIVEDROP_PROT is no setting\. It needs the server's LIVEDROP_DATA"
    ):
        asking.audit(stage, "sh_a")


def test_events_of_the_log_tell_of_drops() -> None:
    """Offset, time in seconds and kind; whose offer it changes to what; what is no event of the log is left out."""
    messages: list[dict[str, Any]] = [
        {"type": "welcome", "offset": 4, "epoch": "ep_1"},
        {"type": "show.started", "offset": 1, "at": 1500},
        {"type": "drop.opened", "offset": 2, "at": 2000, "drop": DROP},
        {"type": "drop.restocked", "offset": 3, "at": 3000, "drop_id": "dr_a", "stock": {"quantity": 5}},
        {"type": "drop.sold_out", "offset": 4, "at": 4000, "drop_id": "dr_a"},
        {"type": "stock.updated", "drop_id": "dr_a", "quantity": 5},
    ]
    assert asking.events_in(messages) == [
        Event(1, 1.5, "show.started"),
        Event(2, 2.0, "drop.opened", "dr_a", 3),
        Event(3, 3.0, "drop.restocked", "dr_a", 5),
        Event(4, 4.0, "drop.sold_out", "dr_a"),
    ]
