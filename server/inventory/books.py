"""Do a show's books agree? The stock row of each drop is the claim, and all else must add up to it.

Holds, what viewers are known to have, queues, counters, deadlines and the award log are each counted by themselves.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from server.inventory import chain, draw
from server.inventory.records import HELD, PAYING, SOLD, DropBooks, Place, Records, read_records

if TYPE_CHECKING:
    from server.store.redis import Redis

FIRST = 2**40  # of a drop's places in the index of all queues, times its number


async def read_books(client: Redis, show: str) -> list[DropBooks]:
    """Return a show's drops, counted from their parts, with every difference inside Redis noted."""
    records = await read_records(client, show)
    return compared(records) if records is not None else []


def compared(records: Records) -> list[DropBooks]:
    """Return the drops of records that were read, with every difference between them noted."""
    for check in (
        _check_numbers,
        _check_holds,
        _check_orders,
        _check_mine,
        _check_addresses,
        _check_deadlines,
        _check_queues,
        _check_awards,
        _check_sums,
    ):
        check(records)
    return list(records.drops.values())


def _check_numbers(records: Records) -> None:
    if records.names != {number: drop.drop for number, drop in records.drops.items()}:
        records.note(None, "the drops and their numbers do not agree")


def _check_holds(records: Records) -> None:
    for own, hold in records.holds.items():
        drop = records.drops.get(hold.number)
        if drop is None:
            records.note(None, f"reservation {own} is of no drop of this show")
        elif hold.state in {HELD, PAYING}:
            drop.counted_held += hold.quantity
        elif hold.state == SOLD:
            drop.counted_sold += hold.units


def _check_orders(records: Records) -> None:
    by_name = {drop.drop: drop for drop in records.drops.values()}
    for record in records.orders:
        if record["step"] in {"finalized", "refused"}:
            for line in record["lines"]:
                by_name[line["drop"]].in_flight += line["quantity"]


def _check_mine(records: Records) -> None:
    """Note where what a viewer is known to have is not what their holds and places say."""
    known = Counter(
        (viewer, *row[at : at + 3]) for viewer, row in records.mine.items() for at in range(0, len(row), 3)
    )
    expected = Counter(
        (hold.viewer, hold.number, hold.units, own) for own, hold in records.holds.items() if hold.counts
    )
    # What was let go may be listed, with no units; that its id is may also be a place that waits on under it.
    expected.update(
        (hold.viewer, hold.number, 0, own)
        for own, hold in records.holds.items()
        if not hold.counts and (hold.viewer, hold.number, 0, own) in known
    )
    expected.update(
        (place.viewer, -place.number, place.quantity, place.reservation) for place in records.places
    )
    for _viewer, number, quantity, own in known - expected:
        records.note(abs(number), f"a viewer's list has {quantity} as {own}, which is not theirs")
    for _viewer, number, quantity, own in expected - known:
        records.note(abs(number), f"a viewer's list lacks {quantity} as {own}")


def _check_addresses(records: Records) -> None:
    units: Counter[str] = Counter()
    for hold in records.holds.values():
        if hold.counts and hold.address:
            units[f"{hold.number} {hold.address}"] += hold.units
    for name in sorted(units.keys() | records.addresses.keys()):
        stored = records.addresses.get(name, 0)
        if units[name] != stored:
            records.note(number_of(name), f"an address' counter says {stored}, its holds {units[name]}")


def _check_deadlines(records: Records) -> None:
    """Note holds that nothing would let go in time, and deadlines of what never was a hold."""
    looks = {(own, at) for entry, at in records.deadlines for own in entry.split(" ")}
    for own, hold in records.holds.items():
        if hold.ends is not None and (own, hold.ends) not in looks:
            records.note(hold.number, f"reservation {own} has no deadline")
    for own in sorted({own for own, _at in looks} - records.holds.keys()):
        records.note(None, f"reservation {own} has a deadline and no record")


def _check_queues(records: Records) -> None:
    counted = Counter(place.number for place in records.places)
    for number, drop in records.drops.items():
        if drop.waiting != counted[number]:
            records.note(number, f"{drop.waiting} are said to wait, {counted[number]} do")
    for place in records.places:
        if place.score is None:
            records.note(place.number, f"a place as {place.reservation} is not in its queue")
        elif not _in_turn(records, place, place.score - place.number * FIRST):
            records.note(place.number, f"a place as {place.reservation} stands where it does not belong")
    for name in sorted(records.queued - {f"{place.number} {place.viewer}" for place in records.places}):
        records.note(number_of(name), "a place in a queue has no record")


def _in_turn(records: Records, place: Place, stands: int) -> bool:
    """Whether a place stands where its time of joining, or the draw's seed, puts it (or next to it: it was taken)."""
    drop = records.drops[place.number]
    if drop.mode != "draw":
        return stands == place.nth
    belongs = draw.number(records.seeds[drop.drop], place.reservation)
    return belongs <= stands <= belongs + drop.joined


def _check_awards(records: Records) -> None:
    """Note where the award log does not lead to its chain's head, or does not say what holds and draws are."""
    log = chain.read({number: drop.drop for number, drop in records.drops.items()}, records.notes)
    for stray in log.strays:
        records.note(None, stray)
    for drop in records.drops.values():
        _check_chain(drop, log.chains[drop.drop])
        _check_entries(records, drop, log.chains[drop.drop])
    awards = {drop.number: log.chains[drop.drop].awards for drop in records.drops.values()}
    for own, hold in records.holds.items():
        known = awards.get(hold.number, {}).pop(own, None)
        if known != chain.Award(hold.rank, hold.quantity):
            records.note(
                hold.number, f"reservation {own} has {hold.quantity} as award {hold.rank}, its log differs"
            )
    for number, left in awards.items():
        for own in left:
            records.note(number, f"the award log has {own}, which is no reservation")


def _check_chain(drop: DropBooks, found: chain.Chain) -> None:
    drop.notes, drop.counted_head = found.notes, found.head
    drop.differences += found.differences
    if found.head != drop.head:
        drop.differences.append(
            f"the award log leads to {found.head[:12]}, its chain's head is {drop.head[:12]}"
        )
    if found.newest != drop.awards:
        drop.differences.append(f"there were {drop.awards} awards, the award log has {found.newest}")
    if found.units < drop.held + drop.sold:
        drop.differences.append(f"{found.units} units were awarded, {drop.held + drop.sold} are held or sold")


def _check_entries(records: Records, drop: DropBooks, found: chain.Chain) -> None:
    """Note where those in a draw are not those who entered; who won has left the queue, once it is closed."""
    if drop.mode != "draw":
        return
    waiting = {place.reservation for place in records.places if place.number == drop.number}
    if found.entries != drop.joined:
        drop.differences.append(f"{drop.joined} entered, the award log has {found.entries}")
    gone = found.entries - len(found.entered)
    if gone != records.left[drop.number]:
        drop.differences.append(
            f"{records.left[drop.number]} are said to have left, the award log has {gone}"
        )
    if not waiting <= found.entered or (drop.status != "closed" and waiting != found.entered):
        drop.differences.append("those in the draw are not those who entered by the award log")


def _check_sums(records: Records) -> None:
    for drop in records.drops.values():
        total = drop.available + drop.held + drop.sold
        if total != drop.quantity:
            drop.differences.append(f"available + held + sold is {total}, quantity {drop.quantity}")
        if min(drop.available, drop.held, drop.sold, drop.waiting) < 0:
            drop.differences.append("a number is below zero")
        if drop.counted_held != drop.held:
            drop.differences.append(f"held is {drop.held}, its holds are {drop.counted_held}")
        if drop.counted_sold != drop.sold:
            drop.differences.append(f"sold is {drop.sold}, its holds are {drop.counted_sold}")


def number_of(name: str) -> int:
    """Return the drop's number from a name that opens with it."""
    return int(name.partition(" ")[0])
