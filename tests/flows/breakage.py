"""Scripts with one line taken out or changed: what the machine must find, or it finds nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faulty_scripts import faulty_folder

if TYPE_CHECKING:
    from pathlib import Path

# what -> file, a piece of it, what stands there instead, and the world in which it is found where not in every one
BROKEN: dict[str, tuple[str, str, str, str]] = {
    "units that are let go are forgotten": (
        "includes/desk_let_go.lua",
        "drop.stock.available = drop.stock.available + hold.quantity",
        "",
        "exact",
    ),
    "a repeat is not recognized": (
        "includes/batch_repeat.lua",
        "local hold = desk_hold(desk, ask.own)",
        "local hold = nil",
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
        "if not kept and not desk_retake(desk, own, hold, order, record.addresses[i]) then",
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
    "who waits gets more than the show's limit": (
        "includes/desk_promote.lua",
        "desk.limit - show, ",
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
        "desk_open(desk_keys)",
        "desk_open(desk_keys, false)",
        "absent",
    ),
    "repeats are refused by the gate": (
        "hold_known.lua",
        "repeats[i] or mine[i] or not gone[drop]",
        "not gone[drop]",
        "gate",
    ),
}

# In the suite these stand for all of them; the soak takes every one.
SAMPLE = (
    "units that are let go are forgotten",
    "a repeat is not recognized",
    "stock is not looked at",
    "newcomers pass who waits",
    "the newest is served first",
    "who is not here is served",
)


def broken_scripts(folder: Path, what: str) -> Path:
    """Return a copy of the scripts, in this folder, with one line changed."""
    file, piece, instead, _world = BROKEN[what]
    return faulty_folder(folder, [(file, piece, instead)])
