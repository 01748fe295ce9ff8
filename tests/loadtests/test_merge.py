"""Merging: sums over processes and viewers, on one clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtests.merge import IncompleteError, accounts_in, began_in, live_in, merge_into, seen_in
from loadtests.progress import look_at
from loadtests.sampler import Stock
from loadtests.seen import Account
from tests.loadtests.left import BEGAN, blank, leave, seen, take

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.run import Run

ACCOUNTS = [
    Account(
        viewer="a", kind="buyer", takes=[take(1, 4.2, quantity=2, order="or_1"), take(2, 4.9, order="or_1")]
    ),
    Account(viewer="b", kind="buyer", takes=[take(3, 6.5, order="or_2"), take(4, 0.0)]),
    Account(viewer="c", kind="hoarder", takes=[take(5, 6.1)]),
]


def merged(folder: Path) -> Run:
    run = blank()
    merge_into(run, began_in(folder), seen_in(folder), accounts_in(folder))
    return run


def test_processes_add_up(tmp_path: Path) -> None:
    """Durations, refusals, failures and messages of all processes together; the worst clock counts."""
    leave(tmp_path, [seen(1), seen(2)], ACCOUNTS)
    run = merged(tmp_path)
    assert run.messages == 200
    assert {name: each.count for name, each in run.latencies.items()} == {"reserve": 4, "hello": 2}
    assert run.latencies["reserve"].most == 0.030
    assert run.refusals == {"reserve": {"out-of-stock": 3, "limit-reached": 2}}
    assert [(each.name, each.occurrences) for each in run.failures] == [
        ("only 1", 5),
        ("only 2", 5),
        ("reserve", 2),
    ]
    assert run.clock_error_ms == pytest.approx(0.2)


def test_an_opening_is_one_for_all_processes(tmp_path: Path) -> None:
    """Skew is from the first viewer of any process to the last of any."""
    leave(tmp_path, [seen(1), seen(5)], ())
    (opening,) = merged(tmp_path).openings
    assert opening.viewers == 4
    assert opening.at == pytest.approx(4.0)
    assert opening.skew == pytest.approx(0.009)


def test_what_was_taken_is_what_the_viewers_remember(tmp_path: Path) -> None:
    """Reservations, orders (each once) and units sold come from the accounts, and so does what was taken per second."""
    leave(tmp_path, [seen(1)], ACCOUNTS)
    run = merged(tmp_path)
    assert (run.reservations, run.orders, run.units_sold) == (4, 2, 4)
    taken = next(curve for curve in run.curves if curve.name == "taken/s")
    assert dict(zip(taken.at, taken.values, strict=True)) == {
        0.5: 0,
        1.5: 0,
        2.5: 0,
        3.5: 0,
        4.5: 3,
        5.5: 0,
        6.5: 2,
        7.5: 0,
    }


@pytest.mark.parametrize("ahead_ms", [-3000.0, 3000.0])
def test_moments_of_the_server_are_brought_to_the_run(tmp_path: Path, ahead_ms: float) -> None:
    """A machine whose clock goes 3 s ahead, or behind, sees the opening when it was."""
    leave(tmp_path, [seen(1, ahead_ms)], ())
    assert merged(tmp_path).openings[0].at == pytest.approx(4.0)


def test_who_plays_no_viewer_knows_no_time(tmp_path: Path) -> None:
    """A process that only plays the host has never asked for the time: what it guesses does not count."""
    host = seen(2, 9000.0)
    host.viewers, host.openings, host.clock_error_ms = 0, [], 500.0
    leave(tmp_path, [seen(1), host], ())
    run = merged(tmp_path)
    assert run.openings[0].at == pytest.approx(4.0)
    assert run.clock_error_ms == pytest.approx(0.1)


def test_percentiles_over_time(tmp_path: Path) -> None:
    """A point for every second in which something was measured, the processes together; in ms."""
    leave(tmp_path, [seen(1), seen(2)], ())
    curves = {curve.name: curve for curve in merged(tmp_path).curves}
    assert curves["reserve p99"].unit == "ms"
    assert curves["reserve p99"].at == [4.5, 6.5]
    assert curves["reserve p99"].values == [pytest.approx(10, rel=0.01), pytest.approx(30, rel=0.01)]


def test_how_it_goes_is_the_same_sums(tmp_path: Path) -> None:
    """The live files give the line that people read while it runs; where there are none nobody can tell."""
    plan = blank().plan
    assert look_at(tmp_path, plan, 1, None) is None
    leave(tmp_path, [seen(1), seen(2)], ())
    first, now = look_at(tmp_path, plan, 1, None), look_at(tmp_path, plan, 7, Stock(BEGAN, 5, 3, 2))
    assert first is not None
    assert "no drop yet" in first.line
    assert now is not None
    assert (now.viewers, now.refusals, now.failures, now.reserve.count) == (40, 5, 12, 4)
    assert now.line.startswith("   7 of 20 s: 40 viewers; 2 sold, 3 held, 5 available; reserve p50 10.")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A file that was cut off is an error that names it, never a smaller sum."""
    assert began_in(tmp_path) == 0.0
    leave(tmp_path, [seen(1)], ACCOUNTS)
    (tmp_path / "accounts-2.ndjson").write_bytes(b'{"viewer":"b","ki')
    with pytest.raises(IncompleteError, match=r"accounts-2\.ndjson, line 1"):
        list(accounts_in(tmp_path))
    (tmp_path / "seen-1.json").write_bytes(b"{}")
    with pytest.raises(IncompleteError, match=r"seen-1\.json"):
        seen_in(tmp_path)
    (tmp_path / "live-1.json").write_bytes(b"")
    with pytest.raises(IncompleteError, match=r"live-1\.json"):
        live_in(tmp_path)
    (tmp_path / "began").write_text("soon")
    with pytest.raises(IncompleteError, match="began is no moment"):
        began_in(tmp_path)
