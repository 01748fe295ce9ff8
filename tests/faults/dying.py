"""A process that forks processes that die: each walks one order, and SIGKILL ends it where it was told.

A job is a line of JSON on its input, the way in which the child ended a line on its output (as `os.waitpid` has it).
Forked, and not started one by one, because a Python with the server in it takes a second to start.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.app import build
from server.checkout.acts import Acts
from server.checkout.saga import Request
from server.checkout.steps import Act, Heard
from server.payments.provider import Status
from server.settings import Settings
from tests.checkout.buying import lose
from tests.deadlines import end_lease
from tests.server import SECRET
from tests.till import Till, share

if TYPE_CHECKING:
    from server.checkout.acts import Order

WRONG_TURN = 3
# What a payment has to be at the provider, so that an act brings an answer.
PAYMENTS: dict[Heard, Status | None] = {
    Heard.YES: Status.AUTHORIZED,
    Heard.NO: Status.DECLINED,
    Heard.ACTION: Status.REQUIRES_ACTION,
    Heard.UNDECIDED: Status.PENDING,
    Heard.NOTHING: None,
}
SAYS: dict[tuple[Act, Heard], Status | None] = {
    (act, heard): status
    for act in (Act.AUTHORIZE, Act.REPEAT, Act.LOOK)
    for heard, status in PAYMENTS.items()
}
SAYS[Act.CAPTURE, Heard.REFUSED] = Status.VOIDED
SAYS[Act.VOID, Heard.REFUSED] = Status.CAPTURED
SAYS[Act.REFUND, Heard.REFUSED] = Status.VOIDED
USUAL = Heard.DONE  # what all other acts bring by themselves


class Guided(Acts):
    """Acts that bring what they were told to, until the process dies."""

    legs: list[list[str]]
    till: Till
    lose: Any

    async def attempt(self, order: Order, act: Act) -> Heard:
        """Try an act in a world in which it brings what comes next."""
        known, heard, dies = self.legs.pop(0)
        if known != act:
            sys.stderr.write(f"{act} is tried, and not {known}\n")
            os._exit(WRONG_TURN)
        if not heard:
            die()
        told = Heard(heard)
        if told is Heard.LOST:
            await self.lose()
        elif (act, told) in SAYS:
            self.till.say(
                order.id, SAYS[act, told], amount=order.charge.amount, currency=order.charge.currency
            )
        elif told is not USUAL:
            sys.stderr.write(f"nobody said how {act} brings {told}\n")
            os._exit(WRONG_TURN)
        brought = await super().attempt(order, act)
        if brought is not told:
            sys.stderr.write(f"{act} brought {brought}, and not {told}\n")
            os._exit(WRONG_TURN)
        if dies:
            die()
        return brought


def die() -> None:
    """End, here and now."""
    os.kill(os.getpid(), signal.SIGKILL)


async def walk(job: dict[str, Any]) -> None:
    """Pay, or resume what was left of it, with the acts of the job."""
    house = build(Settings(redis_url=job["url"], data=Path(job["data"]), secret=SECRET, sold_out_gate=False))
    till = Till(Path(job["journal"]))
    share(till, house)
    one = Request(**{**job["request"], "items": ()})
    acts = house.checkout._acts
    acts.__class__ = Guided
    assert isinstance(acts, Guided)
    acts.legs, acts.till, acts.lose = job["legs"], till, lambda: lose(house, one, taken=True)
    if job["resumes"]:
        await end_lease(house.client, one.show, one.order)
        await house.checkout.resume(one.show)
    else:
        await house.checkout.pay(one)
    await house.aclose()


def main() -> None:
    """Fork a child for every job."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(walk(json.loads(line)))
            except BaseException as error:  # noqa: BLE001  the parent goes on whatever happens here
                sys.stderr.write(f"{error!r}\n")
                os._exit(1)
            os._exit(0)
        _pid, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
