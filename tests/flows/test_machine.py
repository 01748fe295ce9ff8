"""Whatever is done to a show in whatever order, the promises hold; where a script is broken it is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from server.inventory import gate
from server.store.lua import lua_folder
from tests.flows.profiles import BRIEFLY, UNTIL_THE_FIRST, play, world_of

SHRINKING_SECONDS = 600  # what a failure may take to become short
EXAMPLES = {"exact": 100, "absent": 40, "gate": 40, "cluster": 10}
# what -> file, a piece of it, what stands there instead, and the world in which it is found where not in every one
BROKEN: dict[str, tuple[str, str, str, str]] = {
    "units that are let go are forgotten": (
        "includes/desk_let_go.lua",
        "drop.stock.available = drop.stock.available + hold.quantity",
        "",
        "exact",
    ),
    "a repeat is not recognized": (
        "includes/batch_take.lua",
        "first = first or desk_hold(desk, ask.own)",
        "",
        "exact",
    ),
    "stock is not looked at": (
        "includes/batch_refusal.lua",
        "if available < ask.quantity and not some then",
        "if false then",
        "exact",
    ),
    "a bundle is taken in part": (
        "includes/batch_take.lua",
        "if out[i] and not first then",
        "if out[i] and not first and i == 1 then",
        "exact",
    ),
    "the show's limit is not looked at": (
        "includes/batch_refusal.lua",
        "show + more + ask.quantity > desk.limit",
        "false",
        "exact",
    ),
    "an address's units are not counted back": (
        "includes/desk_let_go.lua",
        "desk_address(desk, hold.number, hold.address, -hold.quantity)",
        "",
        "exact",
    ),
    "a hold has no deadline": (
        "includes/desk_take.lua",
        "desk_lapse(desk, expires_at, own)",
        "",
        "exact",
    ),
    "an event skips an offset": ("includes/log_append.lua", "'offset', 1)", "'offset', 2)", "exact"),
    "what is lost is sold": (
        "hold_finalize.lua",
        "if not hold or hold.state ~= 2 or hold.order ~= order then",
        "if not hold then",
        "exact",
    ),
    "a restock is applied twice": (
        "drop_restock.lua",
        "redis.call('HSET', restocks_key, applied, quantity)",
        "",
        "exact",
    ),
    "a wave comes twice": (
        "drop_wave.lua",
        "wave.operation = operation ~= '' and operation or nil",
        "",
        "exact",
    ),
    "a declined payment keeps the units": (
        "hold_unclaim.lua",
        "hold.state, hold.order, hold.deadline = 1, nil, nil",
        "",
        "exact",
    ),
    "what nobody may hold is held": (
        "hold_unclaim.lua",
        "and drop.terms.mode ~= 'first_paid'",
        "",
        "exact",
    ),
    "a settled order is captured again": (
        "order_settle.lua",
        "if redis.call('HDEL', orders_key, order) == 1 then",
        "if true then",
        "exact",
    ),
    "newcomers pass who waits": ("includes/batch_release.lua", "desk_promote(desk, drop)", "", "exact"),
    "newcomers pass who waits after a pause": (
        "includes/desk_promote.lua",
        "(halted or place)",
        "place",
        "exact",
    ),
    "the newest is served first": (
        "includes/queue_next.lua",
        "'ZRANGEBYSCORE', keys.waitlist, base, base + 2 ^ 40 - 1,",
        "'ZREVRANGEBYSCORE', keys.waitlist, base + 2 ^ 40 - 1, base,",
        "exact",
    ),
    "who got a part waits no more": ("includes/desk_promote.lua", "given == room", "true", "exact"),
    "who waits gets more than the limit": (
        "includes/desk_promote.lua",
        "terms.limit_per_viewer - taken, ",
        "",
        "exact",
    ),
    "one reservation takes another's name": (
        "includes/queue_own.lua",
        "while desk_hold(desk, own) do",
        "while false do",
        "exact",
    ),
    "a draw goes by who came first": (
        "includes/queue_score.lua",
        "if drop.terms.mode ~= 'draw' then",
        "if true then",
        "exact",
    ),
    "who is not here is served": (
        "includes/queue_next.lua",
        "line[#line].here = here[i] ~= false",
        "line[#line].here = true",
        "absent",
    ),
    "a payment serves who is not here": (
        "hold_finalize.lua",
        "log = log_key, live = live_key,\n})",
        "log = log_key, live = live_key,\n}, false)",
        "absent",
    ),
    "repeats are refused by the gate": (
        "hold_known.lua",
        "repeats[i] or mine[i] or not on_sale[drop]",
        "not on_sale[drop]",
        "gate",
    ),
}


@pytest.mark.timeout(SHRINKING_SECONDS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_promises_hold(tmp_path: Path, name: str) -> None:
    """Stock adds up, queues are served in order, acknowledged orders are in the ledger, the log has no gap."""
    with world_of(name, tmp_path) as here:
        play(here, settings(BRIEFLY, max_examples=EXAMPLES[name]))


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_script_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """The same machine fails where one line of one script is taken out or changed."""
    file, piece, instead, name = BROKEN[broken]
    folder = Path(shutil.copytree(lua_folder(), tmp_path / "lua"))
    text = (folder / file).read_text()
    assert text.count(piece) == 1
    (folder / file).write_text(text.replace(piece, instead))
    monkeypatch.setattr("server.store.scripts.lua_folder", lambda: folder)
    with world_of(name, tmp_path / "data") as here, pytest.raises(AssertionError):
        play(here, UNTIL_THE_FIRST)


def test_a_gate_that_believes_for_too_long_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same machine fails where a process refuses by what it saw a minute ago."""
    monkeypatch.setattr(gate, "TRUST_SECONDS", 60.0)
    with world_of("gate", tmp_path) as here, pytest.raises(AssertionError):
        play(here, UNTIL_THE_FIRST)


def test_a_failure_tells_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed of a failure is a short list of moves and wishes, and what differed."""
    monkeypatch.setattr("tests.flows.model_show.Show.unmet", 0, raising=False)
