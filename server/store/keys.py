"""The dictionary of every key in Redis: pattern, type, owner and lifetime.

All keys of a show carry its id as hash tag, so a show lives on one node of a cluster and its scripts are atomic
there. A script names its slots `<name>_key`, with `<name>` from this dictionary; the loader fills them in.
Records inside hashes are msgpack (Lua's `cmsgpack`): one key per kind keeps a show's key count fixed, whatever its
number of drops and holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Lifetime(StrEnum):
    """When a key goes away."""

    SHOW = "24 h after the show's last hold and order are settled"
    PERMANENT = "never"
    LEASE = "by its own TTL"
    TOKEN = "when the last token that it may be about has ended"  # noqa: S105  no password
    NONE = "stores nothing"


@dataclass(frozen=True, slots=True)
class Key:
    """One kind of key. `owner` is the room that may write it; `holds` says what stands in it."""

    pattern: str
    type: str
    owner: str
    lifetime: Lifetime
    holds: str


KEYS: dict[str, Key] = {
    "show": Key(
        "ld:{{{show}}}:show",
        "hash",
        "shows",
        Lifetime.SHOW,
        "title, currency, status, epoch, offset, pinned, run …",
    ),
    "drops": Key(
        "ld:{{{show}}}:drops", "hash", "shows", Lifetime.SHOW, "drop -> its terms and status, a map"
    ),
    "numbers": Key(
        "ld:{{{show}}}:numbers",
        "hash",
        "shows",
        Lifetime.SHOW,
        "number -> drop: what holds and places call theirs",
    ),
    "stock": Key(
        "ld:{{{show}}}:stock",
        "hash",
        "inventory",
        Lifetime.SHOW,
        "drop -> [available, held, sold, quantity, revision, sold_out_at, told_at, owed, awards, chain, waiting, "
        "joined, backlog, gone_at]",
    ),
    "holds": Key(
        "ld:{{{show}}}:holds",
        "hash",
        "inventory",
        Lifetime.SHOW,
        "reservation's own part -> [number, viewer, quantity, state, unit_price, expires_at, rank, order?, deadline?, "
        "address?, returned?]",
    ),
    "mine": Key(
        "ld:{{{show}}}:mine",
        "hash",
        "inventory",
        Lifetime.SHOW,
        "viewer -> [number, quantity, reservation, …]; what was let go with no units, a place in a queue with its "
        "number below zero",
    ),
    "expiry": Key(
        "ld:{{{show}}}:expiry",
        "zset",
        "inventory",
        Lifetime.SHOW,
        "reservations of one step, a space between two, by the time they lapse, ms",
    ),
    "waitlist": Key(
        "ld:{{{show}}}:waitlist",
        "zset",
        "inventory",
        Lifetime.SHOW,
        "'<number> <viewer>' by number · 2^40 + who came when, or what the draw's seed makes of the entry",
    ),
    "waiting": Key(
        "ld:{{{show}}}:waiting",
        "hash",
        "inventory",
        Lifetime.SHOW,
        "'<number> <viewer>' -> [reservation to be, quantity, joined_at, times served, address, nth]",
    ),
    "addresses": Key(
        "ld:{{{show}}}:addresses",
        "hash",
        "inventory",
        Lifetime.SHOW,
        "'<number> <address>' -> units held, paying or sold, where addresses are limited",
    ),
    "seeds": Key(
        "ld:{{{show}}}:seeds",
        "hash",
        "inventory",
        Lifetime.SHOW,
        "drop -> the seed of its draw, secret until it closes",
    ),
    "left": Key(
        "ld:{{{show}}}:left",
        "hash",
        "inventory",
        Lifetime.SHOW,
        "'<number> <viewer>' -> how often they left the draw: they may come back 7 times",
    ),
    "awards": Key(
        "ld:{{{show}}}:awards",
        "stream",
        "inventory",
        Lifetime.SHOW,
        "who got units or entered a draw, field n: [kind, number, at, first, reservations, units], chained by SHA-1",
    ),
    "lapsed": Key(
        "ld:{{{show}}}:lapsed",
        "stream",
        "inventory",
        Lifetime.SHOW,
        "what lapsed and the ledger does not have yet, field n: [at, [[viewer, reservation]]]; the newest 1000 notes",
    ),
    "due": Key(
        "ld:{{{show}}}:due",
        "zset",
        "shows",
        Lifetime.SHOW,
        "'open <drop>', 'close <drop>', 'wave <drop>', 'flush <drop>', 'promote <drop>' by their time, ms",
    ),
    "orders": Key(
        "ld:{{{show}}}:orders",
        "hash",
        "checkout",
        Lifetime.SHOW,
        "order -> its unfinished checkout, a map; or why it came to nothing",
    ),
    "pending": Key(
        "ld:{{{show}}}:pending",
        "zset",
        "checkout",
        Lifetime.SHOW,
        "unfinished order by the end of its worker's lease, ms",
    ),
    "figures": Key(
        "ld:{{{show}}}:figures",
        "hash",
        "inventory",
        Lifetime.SHOW,
        "orders, units_sold, gmv, unmet_demand, peak_viewers …",
    ),
    "series": Key(
        "ld:{{{show}}}:series",
        "stream",
        "shows",
        Lifetime.SHOW,
        "figures over time, field p: [viewers, orders, units_sold, gmv, conversion, unmet_demand, waitlist, taken]; "
        "the newest 2160",
    ),
    "audience": Key(
        "ld:{{{show}}}:audience", "hyperloglog", "gateway", Lifetime.SHOW, "distinct viewers who came"
    ),
    "buyers": Key(
        "ld:{{{show}}}:buyers", "hyperloglog", "checkout", Lifetime.SHOW, "distinct viewers who ordered"
    ),
    "gateways": Key(
        "ld:{{{show}}}:gateways",
        "hash",
        "gateway",
        Lifetime.SHOW,
        "process -> [end of its lease, ms, 0 once taken out; its last turn]",
    ),
    "present": Key(
        "ld:{{{show}}}:present",
        "zset",
        "gateway",
        Lifetime.SHOW,
        "process and viewer here now, in the order of their names",
    ),
    "viewers": Key(
        "ld:{{{show}}}:viewers", "hash", "gateway", Lifetime.SHOW, "viewer here now -> by how many processes"
    ),
    "seats": Key(
        "ld:{{{show}}}:seats",
        "zset",
        "shows",
        Lifetime.SHOW,
        "viewer who is not here -> until when a seat is kept for them, ms, where shows have a capacity",
    ),
    "line": Key(
        "ld:{{{show}}}:line",
        "zset",
        "shows",
        Lifetime.SHOW,
        "viewer who waits for a seat -> their lot, below 1, if they came before the show began, else their number",
    ),
    "heard": Key(
        "ld:{{{show}}}:heard", "zset", "shows", Lifetime.SHOW, "viewer who waits -> when they asked last, ms"
    ),
    "door": Key(
        "ld:{{{show}}}:door",
        "hash",
        "shows",
        Lifetime.SHOW,
        "the line's last number, the pace of turns, and how fast it moves",
    ),
    "restocks": Key(
        "ld:{{{show}}}:restocks",
        "hash",
        "shows",
        Lifetime.SHOW,
        "drop and operation -> units that it added, once",
    ),
    "reactions": Key("ld:{{{show}}}:reactions", "hash", "gateway", Lifetime.SHOW, "kind -> how many so far"),
    "tape": Key(
        "ld:{{{show}}}:tape",
        "stream",
        "shows",
        Lifetime.LEASE,
        "arrivals that processes hand to a recorder, field b: [process, life, turn, at, lost, entries]; "
        "the newest 1000 batches, 30 s",
    ),
    "log": Key(
        "ld:{{{show}}}:log",
        "stream",
        "shows",
        Lifetime.SHOW,
        "the show's events, id <offset>-0, field e: msgpack",
    ),
    "live": Key(
        "ld:{{{show}}}:live",
        "channel",
        "all scripts",
        Lifetime.NONE,
        "events and live numbers as they happen",
    ),
    "echo": Key(
        "ld:{{{gateway}}}:echo",
        "channel",
        "eventlog",
        Lifetime.NONE,
        "a process' own voice, to know it still hears",
    ),
    "shows": Key("ld:shows", "zset", "shows", Lifetime.PERMANENT, "every kept show by its creation time, ms"),
    "active": Key(
        "ld:shows:active", "set", "shows", Lifetime.PERMANENT, "shows that workers must look after"
    ),
    "recordings": Key(
        "ld:recordings",
        "hash",
        "shows",
        Lifetime.LEASE,
        "show that is recorded -> [end of its recorder's lease, ms; the secret that viewers are hidden by]",
    ),
    "limits": Key(
        "ld:{{{part}}}:limits",
        "zset",
        "limits",
        Lifetime.LEASE,
        "what is limited, hashed, by when its burst is whole again, µs; a show's own, or a share of the rest",
    ),
    "revoked": Key(
        "ld:{{revoked}}:tokens",
        "zset",
        "shows",
        Lifetime.TOKEN,
        "'<reach> <show> <subject>' whose tokens count no longer, by the moment up to which they were issued, ms",
    ),
    "revocations": Key(
        "ld:{{revoked}}:live",
        "channel",
        "shows",
        Lifetime.NONE,
        "what is revoked, as it happens: [moment, members]",
    ),
    "idempotency": Key(
        "ld:idem:{request}",
        "hash",
        "api",
        Lifetime.LEASE,
        "fingerprint, run and stored answer of one keyed request",
    ),
}

SHOW_KEYS: tuple[str, ...] = tuple(name for name, key in KEYS.items() if key.lifetime is Lifetime.SHOW)


def key(name: str, **ids: str) -> str:
    """Return the key `name` of the dictionary for the given ids, for example `key("show", show=show_id)`."""
    return KEYS[name].pattern.format(**ids)
