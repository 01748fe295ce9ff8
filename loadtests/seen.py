"""What a run of a crowd leaves behind: one `Seen` file per Locust process, and what each viewer remembers.

A process writes `seen-<pid>.json` (a `Seen`) and `accounts-<pid>.ndjson` (an `Account` per line) into the run's
folder; `loadtests.merge` makes one of many. Times of day are Unix seconds of the server's clock as the viewer
estimates it, all others seconds since the run's begin.
"""

from __future__ import annotations

from msgspec import Struct, field

from loadtests.distribution import Distribution


class Failure(Struct, frozen=True):
    """Something unexpected, by what was asked and what came of it, and how often it happened."""

    name: str
    error: str
    occurrences: int


class Arrived(Struct):
    """How an opened drop reached the viewers of one process: delays in seconds after the server's `at`."""

    drop: str
    opened_at: float  # Unix seconds, the event's own `at`
    delays: Distribution = field(default_factory=Distribution)


class Seen(Struct, kw_only=True):
    """What one process of Locust measured.

    `latencies`: `reserve`, `checkout`, `order` (from the tap to the paid order), `hello`, `recovery` (from a cut to
    being told of all that was missed), `stock staleness`: each from the intended start; `waiting room`: of who was
    held up there, from the first word of it. `per_second`: the same by whole second of the run, for curves.
    `refusals`: by command, by code.
    """

    pid: int
    viewers: int
    cpu_seconds: float
    messages: int  # of live sockets, each held against the promises
    latencies: dict[str, Distribution] = field(default_factory=dict)
    per_second: dict[str, dict[int, Distribution]] = field(default_factory=dict)
    refusals: dict[str, dict[str, int]] = field(default_factory=dict)
    openings: list[Arrived] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    clock_offset_ms: float = 0.0  # of this machine's clock to the server's, as estimated
    clock_error_ms: float = 0.0  # at most, half of the best round trip


class Take(Struct, kw_only=True):
    """A reservation as its viewer remembers it; moments are Unix seconds of the server's clock, 0.0: it never was.

    From `held_at` (the answer came) to `gone_at` (they asked to give it back, or were told that it lapsed, or its
    `expires_at` passed, whichever was first) the viewer has the units for certain.
    """

    reservation: str
    drop: str
    operation: str
    quantity: int
    unit_price: int
    asked_at: float
    held_at: float
    expires_at: float
    gone_at: float = 0.0
    end: str = "held"  # held, released, expired, paid, unknown
    order: str = ""  # the acknowledged order
    orders: list[str] = field(default_factory=list)  # every order id that answers for these units have named


class Refused(Struct, frozen=True):
    """A command that was refused: when it was asked for and answered (Unix seconds), and why."""

    drop: str
    code: str
    asked_at: float
    answered_at: float
    quantity: int = 0  # units asked for; 0: not kept


class Account(Struct, kw_only=True):
    """What one viewer remembers of a run, written without a look at the server's books."""

    viewer: str  # the token's subject
    kind: str  # buyer, hoarder, bot, lurker
    takes: list[Take] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)  # the last 64; earlier ones are only counted
    unanswered: list[str] = field(
        default_factory=list
    )  # operations without a reply though the socket stayed open
    breaches: list[str] = field(default_factory=list)  # sentences: gaps, repeats, wrong sums; the first 16
    gaps: int = 0  # offsets that were left out
    repeats: int = 0  # offsets that came again
    epoch: str = ""
    offset: int = 0  # the newest event
    connected: bool = True  # when the run ended
    snapshots: int = 0  # welcomes that could not pick the place up
