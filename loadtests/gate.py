"""After the crowd: the holds must settle, the books must balance, every acknowledged order must be there.

`judge` turns it all into sentences; an empty list means that the run has passed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from rich.table import Table

from loadtests.habits import PROGRAMME
from loadtests.stagehand import StageError

if TYPE_CHECKING:
    import httpx

    from loadtests.results import Results
    from loadtests.stagehand import Stage

SETTLE_SECONDS = PROGRAMME.hold_seconds + 15.0  # until the last hold has lapsed and every payment has ended
POLL_SECONDS = 0.25
AUDIT_SECONDS = 60.0
PAGE = 200
ERROR_LENGTH = 300


class AuditedDrop(Struct, frozen=True):
    """One drop's books, as `livedrop audit --json` prints them."""

    drop: str
    sku: str
    status: str
    available: int
    held: int
    sold: int
    quantity: int
    holds_counted: int
    ledger_units: int
    differences: list[str]


class Audit(Struct, frozen=True):
    """The books of a show."""

    balanced: bool
    drops: list[AuditedDrop]


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What was found after a run: the books, units that stayed held, acknowledged orders that are missing."""

    audit: Audit
    stranded: list[str]
    lost_orders: list[str]


def inspect(stage: Stage, host: httpx.Client, show: str, acknowledged: list[str]) -> Aftermath:
    """Wait until the show's holds have settled and look at what is left. Raises StageError."""
    stranded = _settle(host, show)
    lost = sorted(set(acknowledged) - _paid_orders(host, show))
    return Aftermath(audit(stage, show), stranded, lost)


def audit(stage: Stage, show: str) -> Audit:
    """Run `livedrop audit` on the server's data and return what it found. Raises StageError where it cannot look."""
    done = subprocess.run(
        [sys.executable, "-m", "server", "audit", "--show", show, "--json"],
        cwd=stage.folder,
        env=stage.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=AUDIT_SECONDS,
        check=False,
    )
    try:
        return msgspec.json.decode(done.stdout, type=Audit)
    except msgspec.DecodeError:
        said = done.stderr.decode(errors="replace").strip()
        raise StageError(
            f"The audit could not look at {show}: {said or 'it said nothing.'} "
            "It needs the server's LIVEDROP_DATA, or its REDIS_URL and DATABASE_URL, in the environment."
        ) from None


def judge(results: Results, aftermath: Aftermath) -> list[str]:
    """Return what is wrong with a run, as sentences; none where it has passed."""
    wrong = [
        f"{failure.occurrences} times {failure.method} {failure.name}: {failure.error[:ERROR_LENGTH]}"
        for failure in results.failures
    ]
    seen = {
        "reservations": results.reservations,
        "orders": len(results.orders),
        "live messages": results.messages,
    }
    wrong += [f"The run saw no {what}: it proves nothing." for what, count in seen.items() if not count]
    wrong += [
        f"{drop.drop}: {difference}" for drop in aftermath.audit.drops for difference in drop.differences
    ]
    if not aftermath.audit.balanced:
        wrong.append("The books do not balance.")
    wrong += aftermath.stranded
    wrong += [
        f"{order} was acknowledged and is not among the show's paid orders."
        for order in aftermath.lost_orders
    ]
    return wrong


def table(found: Audit) -> Table:
    """Return the books as a table."""
    made = Table("drop", "product", "status", title="The books after the run")
    for name in ("available", "held", "sold", "offered", "holds", "ledger", "wrong"):
        made.add_column(name, justify="right")
    for drop in found.drops:
        numbers = (drop.available, drop.held, drop.sold, drop.quantity, drop.holds_counted, drop.ledger_units)
        count = len(drop.differences)
        verdict = f"[red]{count}[/]" if count else "[green]0[/]"
        made.add_row(drop.drop.rpartition("_")[2], drop.sku, drop.status, *map(str, numbers), verdict)
    return made


def _settle(host: httpx.Client, show: str) -> list[str]:
    """Wait until nothing is held any more; return a sentence for each drop where something still is."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        drops: list[dict[str, Any]] = _read(host, f"/v1/shows/{show}/drops")["items"]
        held = [drop for drop in drops if drop["held"]]
        if not held or time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    return [
        f"{drop['id']}: {drop['held']} units are held {SETTLE_SECONDS:.0f} s after the run." for drop in held
    ]


def _paid_orders(host: httpx.Client, show: str) -> set[str]:
    paid: set[str] = set()
    cursor = ""
    while True:
        page = _read(host, f"/v1/shows/{show}/orders?limit={PAGE}{cursor}")
        paid.update(order["id"] for order in page["items"] if order["status"] == "paid")
        if page["next_cursor"] is None:
            return paid
        cursor = f"&cursor={page['next_cursor']}"


def _read(host: httpx.Client, path: str) -> dict[str, Any]:
    answer = host.get(path)
    if answer.is_error:
        raise StageError(f"{path} answered {answer.status_code}: {answer.text}")
    fields: dict[str, Any] = answer.json()
    return fields
