"""What a run of Locust saw, as it hands it over: one JSON file."""

from __future__ import annotations

from msgspec import Struct


class Failure(Struct, frozen=True):
    """One kind of failure of Locust's statistics, and how often it happened."""

    method: str
    name: str
    error: str
    occurrences: int


class Results(Struct, frozen=True, kw_only=True):
    """A run: requests of both doors by their names in Locust's table, and what the viewers remember."""

    requests: int
    counts: dict[str, int]
    failures: list[Failure]
    orders: list[str]  # acknowledged with 201
    reservations: int
    messages: int  # of live sockets, each held against the promises
