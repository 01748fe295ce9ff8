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

from server.checkout.acts import Acts
from server.checkout.saga import Request
from server.checkout.steps import Act, Heard
from server.house import build
from server.settings import Settings
from tests.checkout.buying import lose
from tests.checkout.teller import Teller
from tests.deadlines import end_lease
from tests.server import SECRET

if TYPE_CHECKING:
    from server.checkout.acts import Order
    from server.payments.provider import Charge

WRONG_TURN = 3


class Guided(Acts):
    """Acts that bring what they were told to, until the process dies."""

    legs: list[list[str]]
    teller: Teller
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
        else:
            await meanwhile(self.teller, order.charge, act, told)
        brought = await super().attempt(order, act)
        if brought is not told:
            sys.stderr.write(f"{act} brought {brought}, and not {told}\n")
            os._exit(WRONG_TURN)
        if dies:
            die()
        return brought


async def meanwhile(teller: Teller, charge: Charge, act: Act, told: Heard) -> None:
    """Let that happen at the bank by which an act brings this; what the order's token plays happens by itself."""
    match act, told:
        case Act.LOOK, Heard.NOTHING:
            await teller.forget(charge.order)
        case Act.LOOK, Heard.UNDECIDED:
            await teller.think(charge)
        case Act.LOOK, _:
            if await teller.find(charge.order) is None:
                await teller.authorize(charge)
            elif told is not Heard.ACTION:
                await teller.say(charge.order, yes=told is Heard.YES)
        case Act.CAPTURE, Heard.REFUSED:
            await teller.void(charge)
        case Act.VOID, Heard.REFUSED:
            await teller.capture(charge)
        case Act.REFUND, Heard.REFUSED:
            await teller.give_back(charge)


def die() -> None:
    """End, here and now."""
    os.kill(os.getpid(), signal.SIGKILL)


async def walk(job: dict[str, Any]) -> None:
    """Pay, or resume what was left of it, with the acts of the job."""
    data = Path(job["data"])
    house = build(
        Settings(redis_url=job["url"], data=data, secret=SECRET, sold_out_gate=False, sandbox_url=job["bank"])
    )
    teller = Teller(job["bank"], data)
    one = Request(**{**job["request"], "items": ()})
    acts = house.checkout._acts
    acts.__class__ = Guided
    assert isinstance(acts, Guided)
    acts.legs, acts.teller, acts.lose = job["legs"], teller, lambda: lose(house, one, taken=True)
    if job["resumes"]:
        await end_lease(house.client, one.show, one.order)
        await house.checkout.resume(one.show)
    else:
        await house.checkout.pay(one)
    await teller.aclose()
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
