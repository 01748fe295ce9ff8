"""Orders whose processes die by SIGKILL where a way says, at the sandbox's own process; and whether all is well."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from server.checkout.steps import Heard, Step
from server.payments.provider import Charge, Status
from tests.checkout.buying import disagreements, ledger, record, request, resume, state, stock
from tests.faults.ways import Leg, Way
from tests.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server.checkout.saga import Request
    from server.house import House
    from tests.checkout.teller import Teller

UNITS = 2  # of the drop: the buyer's, or those of who took them meanwhile
PRICE = 1250
# The token by which the bank says so by itself.
CARDS = {
    Heard.YES: "tok_ok",
    Heard.NO: "tok_declined",
    Heard.ACTION: "tok_requires_action",
    Heard.UNDECIDED: "tok_slow_10s",
}


@dataclass(slots=True)
class Undertaker:
    """The process whose children die."""

    process: subprocess.Popen[str]

    def send(self, job: dict[str, object]) -> int:
        """Let a child do a job and return its exit code."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def an_undertaker(folder: Path) -> Iterator[Undertaker]:
    """Give one, who ends in good order."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.dying"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ServerProcess(folder).environment(),
    )
    yield Undertaker(process)
    process.communicate(timeout=10)
    assert process.returncode == 0


def runs(way: Way) -> list[list[Leg]]:
    """Return what each process does on a way: one ends where it dies, and where nothing is left to do for now."""
    last = Leg(way.step, way.act, way.heard)
    legs, done = [*way.legs, last], [0]
    for at, (leg, following) in enumerate(pairwise(legs), 1):
        if leg.heard is None or (leg.heard is Heard.DONE and following.step is Step.ACTING):
            done.append(at)
    return [legs[begin:end] for begin, end in pairwise([*done, len(legs)])]


def card(way: Way) -> str:
    """Return the token that plays what the bank first says of an order on its way."""
    legs = [*way.legs, Leg(way.step, way.act, way.heard)]
    said = (leg.heard for leg in legs if leg.step is Step.CLAIMED and leg.heard in CARDS)
    return CARDS[next(said, None) or Heard.YES]


async def die_on(way: Way, undertaker: Undertaker, house: House, teller: Teller) -> Request:
    """Let one process after the other go the way with a new order; the last one dies at its end."""
    one = await request(house, card=card(way), quantity=UNITS)
    for number, legs in enumerate(runs(way)):
        last = number == len(runs(way)) - 1
        told = [[leg.act, leg.heard or "", ""] for leg in legs]
        if last:
            told[-1][2] = "dies"
        job = {
            "url": house.settings.redis_url,
            "data": str(house.settings.data),
            "bank": teller.url,
            "request": asdict(one),
            "resumes": number > 0,
            "legs": told,
        }
        dies = last or legs[-1].heard is None
        assert undertaker.send(job) == (-signal.SIGKILL if dies else 0), f"{way.name}: {legs}"
    return one


def charge_of(one: Request) -> Charge:
    """Return what the bank is asked for an order."""
    return Charge(one.order, UNITS * PRICE, "EUR", "card", one.details["token"])


async def come_to_an_end(house: House, teller: Teller, one: Request) -> None:
    """Let workers come by; a buyer who has to act, or a bank that thinks, says yes at last."""
    await resume(house, one)
    left = await record(house, one)
    if left is not None and left["step"] in {Step.CLAIMED, Step.ACTING}:
        await teller.agree(charge_of(one))
        await resume(house, one)


async def all_is_well(house: House, teller: Teller, one: Request, way: Way) -> None:
    """Assert that the order is where it should be, and that units, ledger and the bank's own books agree."""
    left = await record(house, one)
    assert left is None or left["step"] == "undone", "it is not at its end"
    found = await disagreements(house, one.show)
    assert not found, found
    changes = teller.changes(one.order)
    listed = await house.orders.of_show(one.show, 10, None)
    assert {view["id"] for view in listed} <= {one.order}
    (payment,) = await teller.payments(one.show)
    if not way.undone:
        assert await ledger(house, one) == ("paid", "captured")
        assert await stock(house, one) == (0, 0, UNITS)
        assert (payment.status, payment.captured, payment.refunded) == (Status.CAPTURED, UNITS * PRICE, 0)
        assert changes[Status.CAPTURED] == 1, f"captured {changes[Status.CAPTURED]} times"
        return
    unheard = (Step.CLAIMED, Heard.NO)  # its own caller was to hear of it, and nobody else
    assert await ledger(house, one) in [("cancelled", "voided"), ("", "")]
    assert await ledger(house, one) != ("", "") or unheard in {(leg.step, leg.heard) for leg in way.legs}
    assert payment.status in {Status.VOIDED, Status.DECLINED} or payment.captured == payment.refunded > 0
    back = Step.REFUSED is way.step or (way.step, way.heard) == (Step.COMMITTED, Heard.REFUSED)
    assert await stock(house, one) == ((UNITS, 0, 0) if back else (0, UNITS, 0))
    assert await state(house, one) == ("released" if back else "expired" if way.lost else "held")
