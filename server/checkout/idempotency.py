"""Idempotency-Key on creating POSTs: one run per key, its answer kept for a day, its repeats answered with it.

Source: IETF draft-ietf-httpapi-idempotency-key-header-07. Scope is caller, method and path. A run that never
answered (its process died) frees its key after `RUNNING_MS`; what it did meanwhile is found again because every
operation id is derived from the same key. An answer may hold a secret or an address, so it is kept sealed for its
request: who reads the store reads none.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.checkout.turns import Turns
from server.errors import Code, Problem, unavailable
from server.ids import fingerprint, secret
from server.seal import SealError
from server.store.answers import ask

if TYPE_CHECKING:
    from server.seal import Seal
    from server.store.scripts import Scripts

RUNNING_MS = (
    15_000  # longer than a provider call; should one run on, the order id keeps the two from paying twice
)
KEPT_MS = 24 * 3600 * 1000
MAX_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Stored:
    """The first answer of a request that is repeated."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Run:
    """The right to carry a request out; `finish` it with the answer, or free the key."""

    request: str
    fingerprint: str
    name: str
    lined: bool = False  # whether it is a checkout's, which takes turns at the store


class Idempotency:
    """The keeper of keys."""

    def __init__(self, scripts: Scripts, seal: Seal, turns: Turns | None = None) -> None:
        self._scripts = scripts
        self._seal = seal
        self._turns = turns or Turns()

    async def begin(  # noqa: PLR0913  a request is its fields
        self, caller: str, method: str, path: str, operation: str, body: bytes, *, lined: bool = False
    ) -> Run | Stored:
        """Return the right to run, or the stored answer; raise `in-progress` or `idempotency-mismatch`.

        Where `lined`, after a turn of those who begin: raises `unavailable` where too many wait for one. Raises that
        also where the answer was kept under another secret of the server's: it ran, it must not again.
        """
        if not 0 < len(operation) <= MAX_KEY_LENGTH:
            raise Problem(
                Code.INVALID_MESSAGE,
                f"Idempotency-Key: 1 to {MAX_KEY_LENGTH} characters are allowed, given {len(operation)}.",
            )
        parts = (caller, method, path, operation)
        run = Run(fingerprint(*(part.encode() for part in parts)), fingerprint(body), secret(9), lined)
        async with self._turns.first if lined else nullcontext():
            answer = await ask(
                self._scripts,
                "idempotency_begin",
                {"request": run.request},
                fingerprint=run.fingerprint,
                run=run.name,
                running_ms=RUNNING_MS,
            )
        match answer["outcome"]:
            case "new":
                return run
            case "stored":
                return Stored(answer["status"], self._opened(answer["body"], run))
            case "running":
                raise Problem(
                    Code.IN_PROGRESS,
                    "The first request with this Idempotency-Key is still running.",
                    retry_after_ms=min(1000, max(1, answer["retry_after_ms"])),
                )
            case _:
                raise Problem(
                    Code.IDEMPOTENCY_MISMATCH, "This Idempotency-Key was used with another body before."
                )

    async def finish(self, run: Run, status: int, body: bytes) -> None:
        """Store the answer for a day, or free the key where nothing was decided (status 0).

        A run that took so long that its key passed to a later one changes nothing.
        """
        async with self._turns.next if run.lined else nullcontext():
            await ask(
                self._scripts,
                "idempotency_finish",
                {"request": run.request},
                fingerprint=run.fingerprint,
                run=run.name,
                status=str(status),
                body=self._seal.seal(body, run.request),
                keep_ms=KEPT_MS,
            )

    def _opened(self, body: str, run: Run) -> bytes:
        try:
            return self._seal.open(body, run.request)
        except SealError as error:
            raise unavailable("the answer to this Idempotency-Key was kept under another secret") from error
