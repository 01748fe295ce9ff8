"""A server that heeds neither keys nor claims, for negative controls: `python -m tests.checkout.careless serve …`.

Every request is a new one to it, a reservation that is being paid can be paid beside that, a sale trusts its claim, and
money is taken for what no ledger has.
"""

from __future__ import annotations

from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from server import ids
from server.checkout.idempotency import Idempotency
from server.cli import main
from server.orders.orders import Orders
from server.store.scripts import Scripts
from tests.faulty_scripts import faulty_scripts

if TYPE_CHECKING:
    from server.checkout.idempotency import Run, Stored
    from server.store.lua import Script

# file, a line of it, what stands there instead
FAULTS = [
    ("hold_checkout.lua", "elseif hold.state == 2 then", "elseif false then"),
    (
        "hold_checkout.lua",
        "elseif hold.state ~= 1 or hold.expires_at <= desk.now then",
        "elseif hold.expires_at <= desk.now then",
    ),
    (
        "hold_finalize.lua",
        "if not kept and not desk_retake(desk, own, hold, order, record.addresses[i]) then",
        "if not kept and not hold then",
    ),
]


@cache
def repertoire() -> dict[str, Script]:
    """Return the scripts with the faults; raises AssertionError where a right line is not there any more."""
    return faulty_scripts(FAULTS)


def install() -> None:
    """Let this process' server be careless."""
    run, begin, order = Scripts.run, Idempotency.begin, ids.order

    @wraps(run)
    async def run_carelessly(self: Scripts, name: str, named: Any, /, **args: Any) -> Any:
        self._scripts = repertoire()
        return await run(self, name, named, **args)

    async def begin_anew(self: Idempotency, *asked: Any, lined: bool) -> Run | Stored:
        caller, method, path, operation, body = asked
        return await begin(self, caller, method, path, f"{operation} {ids.secret(6)}", body, lined=lined)

    async def commit_nothing(_self: Orders, _show: str, _record: Any) -> None:
        """Forget the one row that a reservation can have."""

    Scripts.run = run_carelessly  # type: ignore[method-assign]  # the point of this module
    Idempotency.begin = begin_anew  # type: ignore[method-assign, assignment]  # likewise
    Orders.commit = commit_nothing  # type: ignore[method-assign, assignment]  # likewise
    ids.order = lambda show, viewer, operation: order(show, viewer, f"{operation} {ids.secret(6)}")


if __name__ == "__main__":
    install()
    main()
