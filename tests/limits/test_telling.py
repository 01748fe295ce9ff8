"""Processes share a limit through the store; without it each limits by itself, and nobody waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from server import ids, metrics
from server.clock import monotonic
from server.errors import unavailable
from server.limits import telling
from server.limits.meter import Limit, Meter
from server.limits.telling import Telling
from server.store.keys import key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.house import House

KEY = b"a key that only the tests know"
SLOW = Limit("test", rate=1 / 600, burst=4, share=0)  # the clock plays no part: one in ten minutes


class Store:
    """Stands in for the scripts: keeps what it is told; closed, it answers when opened, or it fails."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.opened = asyncio.Event()
        self.opened.set()
        self.error: Exception | None = None

    async def run(self, name: str, names: dict[str, str], /, **args: Any) -> bytes:
        self.calls.append({"script": name, **names, **args})
        await self.opened.wait()
        if self.error is not None:
            raise self.error
        return bytes(msgpack.packb({"outcome": "counted", "waits": [0] * len(args["things"])}))


@pytest.fixture
async def line() -> AsyncIterator[tuple[Store, Telling]]:
    """Give a line to a store that is stood in for."""
    store = Store()
    one = Telling(store, KEY)  # type: ignore[arg-type]  # a stand-in
    yield store, one
    await one.aclose()


def untold() -> float:
    """Return how many takes were not told so far."""
    value: float = metrics.LIMITS_UNTOLD._value.get()
    return value


def taken(meter: Meter, tries: int) -> int:
    """Return how many of so many tries are let through."""
    return sum(meter.wait(monotonic()) == 0 for _ in range(tries))


async def shared(house: House, limit: Limit) -> int:
    """Use a limit up at one process; return how many of ten tries another lets through, one after the other."""
    lines = [Telling(house.scripts, KEY) for _ in range(2)]
    who = ids.secret(8)
    first, second = (Meter(limit, line.part_of(who), who, line.tell) for line in lines)
    assert taken(first, 10) == limit.burst
    await lines[0].told()
    passed = 0
    for _ in range(10):
        passed += taken(second, 1)
        await lines[1].told()
    return passed


async def test_processes_share_a_limit(house: House) -> None:
    """Used up at one process, a limit is used up at the other with the first take that it tells of."""
    assert await shared(house, SLOW) == 1


async def test_processes_that_tell_nothing_share_nothing(house: House) -> None:
    """The negative control: where all of it is the process' own share, the other lets a whole burst through."""
    assert await shared(house, Limit("test", SLOW.rate, SLOW.burst, share=1)) == SLOW.burst


async def test_a_process_hears_how_long_to_wait(house: House) -> None:
    """Told that a limit is used up, a process waits as long as the store says: until the next is due for all."""
    line, who = Telling(house.scripts, KEY), ids.secret(8)
    first, second = (Meter(SLOW, line.part_of(who), who, line.tell) for _ in range(2))
    assert (taken(first, 4), taken(second, 1)) == (4, 1)
    await line.told()
    assert 0 < second.left(monotonic()) <= 600


async def test_no_name_stands_in_the_store(house: House) -> None:
    """What is limited is known by a keyed digest: no address can be read, or tried out by who has no key."""
    address = "203.0.113.77"
    line, other = Telling(house.scripts, KEY), Telling(house.scripts, KEY * 2)
    part = ids.secret(8)
    for each in (line, other):
        assert taken(Meter(SLOW, part, address, each.tell), 2) == 2
        await each.told()
    place = key("limits", part=part)
    names = await house.client.zrange(place, 0, -1)
    assert [len(name) for name in names] == [telling.DIGEST_BYTES] * 2
    assert not [name for name in names if address.encode() in name]
    assert 0 < await house.client.pttl(place) <= 2 * 600_000


async def test_a_turn_of_the_loop_is_one_call(line: tuple[Store, Telling]) -> None:
    """What comes in one turn leaves together, and what comes while that is under way leaves together after it."""
    store, one = line
    store.opened.clear()
    meters = [Meter(SLOW, "limits0", f"viewer {number}", one.tell) for number in range(300)]
    for meter in meters:
        meter.wait(monotonic())
    await asyncio.sleep(0)
    assert [len(call["things"]) for call in store.calls] == [telling.MOST_TAKES]
    for meter in meters:
        meter.wait(monotonic())
    store.opened.set()
    await one.told()
    assert [len(call["things"]) for call in store.calls] == [256, 256, 88]
    assert {call["script"] for call in store.calls} == {"limit_take"}
    assert store.calls[0]["intervals"] == [600_000_000] * 256
    assert store.calls[0]["bursts"] == [4] * 256


async def test_each_part_has_its_own_line(line: tuple[Store, Telling]) -> None:
    """A part whose node gives no answer holds up no other part."""
    store, one = line
    for part in ("sh_a", "sh_b"):
        Meter(SLOW, part, part, one.tell).wait(monotonic())
    await one.told()
    assert [call["part"] for call in store.calls] == ["sh_a", "sh_b"]


@pytest.mark.parametrize("error", [unavailable("The store is gone."), ZeroDivisionError()])
async def test_without_the_store_each_process_limits_by_itself(
    line: tuple[Store, Telling], error: Exception
) -> None:
    """Who is within the limit here is let through and who is not is refused; what was not told is counted."""
    store, one = line
    store.error, before = error, untold()
    meter = Meter(SLOW, "limits0", "ann", one.tell)
    assert taken(meter, 10) == SLOW.burst
    await one.told()
    assert untold() == before + SLOW.burst
    store.error = None
    assert taken(Meter(SLOW, "limits0", "bob", one.tell), 1) == 1  # the line goes on
    await one.told()
    assert untold() == before + SLOW.burst


async def test_a_store_that_stands_still_fills_no_memory(
    line: tuple[Store, Telling], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many takes wait to be told; what comes beyond is let through as ever, counted, and told to nobody."""
    store, one = line
    monkeypatch.setattr(telling, "MOST_WAITING", 5)
    store.opened.clear()
    before = untold()
    assert taken(Meter(Limit("test", 1, 20, share=0), "limits0", "ann", one.tell), 12) == 12
    assert untold() == before + 7
    store.opened.set()
    await one.told()
    assert [len(call["things"]) for call in store.calls] == [5]


async def test_who_closes_waits_for_nothing(line: tuple[Store, Telling]) -> None:
    """Closed while the store stands still, the line ends."""
    store, one = line
    store.opened.clear()
    Meter(SLOW, "limits0", "ann", one.tell).wait(monotonic())
    await one.aclose()
    await one.told()


def test_names_are_spread_over_a_cluster() -> None:
    """On a cluster names belong to 16 parts, else to one; a name always to the same."""
    store: Any = Store
    wide, alone = Telling(store, KEY, parts=telling.PARTS), Telling(store, KEY)
    names = [f"viewer {number}" for number in range(400)]
    assert len({wide.part_of(name) for name in names}) == telling.PARTS
    assert [wide.part_of(name) for name in names] == [wide.part_of(name) for name in names]
    assert {alone.part_of(name) for name in names} == {"limits0"}
