"""Whatever is done to a show in whatever order, the promises hold; where a script is broken it is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from server.store.lua import lua_folder
from tests.flows.machine import LiveShow
from tests.flows.world import world

EXAMPLES = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    derandomize=False,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
UNTIL_THE_FIRST = settings(EXAMPLES, max_examples=1000, phases=[Phase.generate], report_multiple_bugs=False)

# file, a line of it, what stands there instead
BROKEN = {
    "units that are let go are forgotten": (
        "includes/hold_let_go.lua",
        "stock.available = stock.available + hold.quantity",
        "",
    ),
    "a repeat is not recognized": (
        "hold_reserve.lua",
        "local known = hold_read(holds_key, reservation)",
        "local known = nil",
    ),
    "stock is not looked at": (
        "hold_reserve.lua",
        "if stock.available < quantity then",
        "if false then",
    ),
    "a hold has no deadline": (
        "hold_reserve.lua",
        "redis.call('ZADD', expiry_key, hold.expires_at, reservation)",
        "",
    ),
    "an event skips an offset": ("includes/log_append.lua", "'offset', 1)", "'offset', 2)"),
    "what is lost is sold": (
        "hold_finalize.lua",
        "if not hold or hold.state ~= 'paying' or hold.order ~= order then",
        "if not hold then",
    ),
    "a restock is applied twice": (
        "drop_restock.lua",
        "redis.call('HSET', restocks_key, applied, quantity)",
        "",
    ),
    "a declined payment keeps the units": ("hold_unclaim.lua", "hold.state = 'held'", ""),
    "a settled order is captured again": (
        "order_settle.lua",
        "if redis.call('HDEL', orders_key, order) == 1 then",
        "if true then",
    ),
}


def machine(test_world: object) -> type[LiveShow]:
    """Return the machine on a world."""
    return type("LiveShowHere", (LiveShow,), {"world": test_world})


def test_the_promises_hold(tmp_path: Path) -> None:
    """Stock adds up, acknowledged orders are in the ledger, no order is captured twice, the log has no gap."""
    with world(tmp_path) as here:
        run_state_machine_as_test(machine(here), settings=EXAMPLES)


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_script_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """The same machine fails where one line of one script is taken out or changed."""
    file, line, instead = BROKEN[broken]
    folder = Path(shutil.copytree(lua_folder(), tmp_path / "lua"))
    text = (folder / file).read_text()
    assert text.count(line) == 1
    (folder / file).write_text(text.replace(line, instead))
    monkeypatch.setattr("server.store.scripts.lua_folder", lambda: folder)
    with world(tmp_path / "data") as here, pytest.raises(AssertionError):
        run_state_machine_as_test(machine(here), settings=UNTIL_THE_FIRST)
