"""A run as it is asked for: who comes when, what is sold, what goes wrong; one JSON file, the same for every process.

Nothing here is drawn at the time of the run: `seed` and a viewer's number decide what that viewer does, so the same
plan asks for the same things again, in however many processes it is carried out.
"""

from __future__ import annotations

from msgspec import Struct


class Mix(Struct, frozen=True):
    """How many of a thousand viewers are of which kind; what is left of the thousand only watches (lurkers)."""

    buyers: int = 1000
    hoarders: int = 0
    bots: int = 0


class Sale(Struct, frozen=True, kw_only=True):
    """A drop: opened by the host at `at` seconds after the run's begin (the countdown's end), closed `seconds` later.

    Who wants it taps within `spread_ms` of the opening, evenly; `wanting` is the share of the buyers who do.
    """

    at: float
    seconds: float
    quantity: int
    restock: int = 0  # units added in the middle of the sale
    limit_per_viewer: int = 2
    hold_seconds: int = 5
    countdown_ms: int = 1000
    spread_ms: int = 3000
    wanting: float = 1.0
    drop: str = ""  # one that is planned in the show already, under its own terms; empty: the host plans one


class Cut(Struct, frozen=True):
    """At `at` seconds a share of the viewers is cut off and returns within `back_seconds`, with its place."""

    at: float
    share: float
    back_seconds: float


class Plan(Struct, frozen=True, kw_only=True):
    """A whole run of `seconds`, arrivals included: `viewers` come evenly over `arrival_seconds`.

    `audience` of them share one Locust user; 0: each is a Locust user of its own.
    """

    shape: str
    seed: int
    viewers: int
    seconds: float
    arrival_seconds: float
    mix: Mix = Mix()
    sales: tuple[Sale, ...] = ()
    cuts: tuple[Cut, ...] = ()
    deploys: tuple[float, ...] = ()  # at these seconds each server process is replaced, one after the other
    slow: float = 0.0  # share of the viewers who read slowly
    audience: int = 500
    recording: str = ""  # a file of `livedrop record` to be played in place of mix, sales and cuts
    speed: float = 1.0  # how much faster than it was recorded
    pays: bool = True  # False: nobody checks out, who would have paid keeps the units until they lapse
