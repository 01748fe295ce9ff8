"""The host's moves, and those of the clock: drops, the show, waves, and the worker that looks again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from server.errors import Problem
from server.store import reads
from server.store.answers import unpacked
from server.store.keys import key
from tests.deadlines import packed, redis_now
from tests.flows.model_show import WITHOUT_END, Drop, Wave
from tests.flows.promises import PRICE, VIEWERS, WatchedShow, same
from tests.houses import live_show, open_drop

if TYPE_CHECKING:
    from collections.abc import Awaitable

HOLD_SECONDS = 3600  # nothing lapses unless the machine lets it
SOON_MS = 3_600_000  # nor comes a wave
NUMBERS = st.integers(0, 20)  # of a drop or a reservation, counted round
HOUSES = st.integers(0, 2)
RARELY = st.sampled_from([False] * 5 + [True])
UNITS = st.integers(1, 3)
STOCK = st.integers(1, 6)
LIMITS = st.integers(1, 4)
SHOW_LIMITS = st.sampled_from([0, 0, 3, 5])  # 0: none
MODES = st.sampled_from(["fifo", "fifo", "no waitlist", "draw", "first_paid"])
WAVES = st.lists(UNITS, max_size=2)
MOST_DROPS = 4


class Moves(WatchedShow):
    """Each move is made on the model and on the show, and must come out the same."""

    # -- drops and show

    @initialize(units=STOCK, limit=LIMITS, show_limit=SHOW_LIMITS, waves=WAVES, other=MODES)
    def go_live(self, units: int, limit: int, show_limit: int, waves: list[int], other: str) -> None:
        """Go live and open the drops that every example has: one that is first come first served, and any other."""
        terms = {"limit_per_viewer": show_limit} if show_limit else {}
        self.show = self.world.run(live_show(self.house(0), **terms))
        self.model.limit = show_limit or WITHOUT_END
        self.model.events.append("show.started")
        self.plan(units, limit, "fifo", waves, by_clock=False)
        self.plan(1 + units // 2, limit, other, waves, by_clock=True)

    @precondition(lambda self: len(self.drop_ids) < MOST_DROPS)
    @rule(units=STOCK, limit=LIMITS, mode=MODES, waves=WAVES, by_clock=st.booleans())
    def another_drop(self, units: int, limit: int, mode: str, waves: list[int], *, by_clock: bool) -> None:
        """Open one more."""
        self.plan(units, limit, mode, waves, by_clock=by_clock)

    def plan(self, units: int, limit: int, mode: str, waves: list[int], *, by_clock: bool) -> None:
        """Plan and open a drop (in a live show)."""
        if not self.model.live:
            self.move_show()
        waitlist, mode = mode == "fifo", "fifo" if mode == "no waitlist" else mode
        when = {"after_seconds": SOON_MS // 1000} if by_clock else {}
        terms: dict[str, Any] = {
            "limit_per_viewer": limit,
            "limit_per_address": self.world.rules.per_address,
            "hold_seconds": HOLD_SECONDS,
            "unit_price": PRICE,
            "mode": mode,
            "waitlist": waitlist,
        }
        if waves:
            terms["waves"] = [{"quantity": quantity, **when} for quantity in waves]
        drop_id = self.world.run(open_drop(self.house(0), self.show, units, **terms))
        if mode == "draw":
            view = self.world.run(self.house(0).drops.find(self.show, drop_id))
            self.seed_hashes[len(self.drop_ids)] = view["seed_hash"]
        self.drop_ids.append(drop_id)
        address_limit = self.world.rules.per_address
        planned = [Wave(quantity) for quantity in waves]
        self.model.drops.append(Drop(units, limit, mode, waitlist, address_limit, planned))
        self.model.events += ["drop.scheduled", "drop.opened"]

    def number(self, which: int) -> int:
        """Return the number of a drop that is there."""
        return which % len(self.drop_ids)

    @rule(which=NUMBERS, verb=st.sampled_from(["pause", "resume"]))
    def halt_drop(self, which: int, verb: str) -> None:
        """Pause or resume a drop, which may be the wrong move."""
        self.move_drop(self.number(which), verb)

    @rule(which=NUMBERS, really=RARELY)
    def close_drop(self, which: int, *, really: bool) -> None:
        """Close a drop, but rarely, because it has no future then."""
        number = self.number(which)
        if really:
            self.move_drop(number, "close")

    @precondition(lambda self: self.to_be_drawn())
    @rule(which=NUMBERS)
    def draw(self, which: int) -> None:
        """Close a draw that several have entered."""
        draws = self.to_be_drawn()
        self.move_drop(draws[which % len(draws)], "close")

    def to_be_drawn(self) -> list[int]:
        """Return the draws that several have entered."""
        draws = [number for number, drop in enumerate(self.model.drops) if drop.mode == "draw"]
        drops = self.model.drops
        return [
            number for number in draws if drops[number].status != "closed" and len(drops[number].queue) > 1
        ]

    def move_drop(self, number: int, verb: str) -> None:
        """Move a drop and compare the outcome."""
        drop = self.model.drops[number]
        if verb == "close" and drop.mode == "draw" and drop.status != "closed":
            self.world.run(self.be_drawn(self.house(number), number))
            return
        move = getattr(self.house(number).drops, verb)
        moved = self.world.run(told(move(self.show, self.drop_ids[number])))
        same(verb, moved, self.model.move(number, verb))

    @rule()
    def move_show(self) -> None:
        """Pause a live show, let a paused one go on."""
        verb = self.model.move_show()
        assert self.world.run(told(self.house(1).shows.move(self.show, verb))) == "moved"

    def go_on(self, number: int) -> int:
        """Let show and drop go on where they are paused; return the drop, or a later one where it is closed."""
        if not self.model.live:
            self.move_show()
        if self.model.drops[number].status == "closed" and number + 1 < len(self.drop_ids):
            return self.go_on(number + 1)
        if self.model.drops[number].status == "paused":
            self.move_drop(number, "resume")
        return number

    @rule(house=HOUSES, which=NUMBERS, units=UNITS, operation=st.sampled_from(["more1", "more2"]))
    def restock(self, house: int, which: int, units: int, operation: str) -> None:
        """Add units; the same operation adds once per drop."""
        number = self.number(which)
        added = self.house(house).drops.restock(self.show, self.drop_ids[number], units, operation)
        same("restock", self.world.run(told(added)), self.model.restock(number, units, operation))

    # -- waves

    @rule(house=HOUSES, which=NUMBERS, operation=st.sampled_from(["", "wave1", "wave2"]))
    def wave(self, house: int, which: int, operation: str) -> None:
        """Release the next wave by hand; the same operation releases once."""
        number = self.number(which)
        released = self.house(house).drops.wave(self.show, self.drop_ids[number], operation)
        same("wave", self.world.run(told(released)), self.model.release_wave(number, operation))

    @rule(house=HOUSES, which=NUMBERS)
    def its_wave_is_due(self, house: int, which: int) -> None:
        """Let the time of a drop's next wave come, where it has one: a worker releases it, and no other."""
        number = self.number(which)
        self.let_work(house, {number} if self.world.run(self.hurry(self.drop_ids[number])) else set())

    async def hurry(self, drop_id: str) -> bool:
        """Put the time of a drop's next wave into the past; return whether it has one that the clock releases."""
        client, drops, due = self.house(0).client, key("drops", show=self.show), key("due", show=self.show)
        if await client.zscore(due, f"wave {drop_id}") is None:
            return False
        terms = unpacked(await reads.field(client, drops, drop_id, "terms") or b"")
        past = await redis_now(client) - 1000
        next(wave for wave in terms["waves"] if "released_at" not in wave)["at"] = past
        await client.hset(drops, drop_id, packed(terms))
        await client.zadd(due, {f"wave {drop_id}": past})
        return True

    # -- the worker

    @rule(house=HOUSES)
    def work(self, house: int) -> None:
        """Let a worker make every planned move: what it brings together is what waited for each other."""
        self.let_work(house, set())

    def let_work(self, house: int, waves: set[int]) -> None:
        """Compare what a worker does where the time has come for waves of these drops."""
        for verb, number in self.world.run(self.look_for_work(house)):
            if verb == "promote":
                self.model.look_again(number)
            elif verb == "wave" and number in waves:
                assert self.model.release_wave(number, "") == "moved"
        assert self.model.waits_in_vain() == []

    async def look_for_work(self, house: int) -> list[tuple[str, int]]:
        """Let a worker come by a while later; return what it found planned, for which drops, in its order."""
        one = self.house(house)
        later = await redis_now(one.client) + 60_000
        moves = await reads.due(one.client, key("due", show=self.show), later, 100, "due")
        await one.drops.due(self.show, later)
        planned = [move.partition(" ")[::2] for move in moves]
        return [(verb, self.drop_ids.index(drop)) for verb, drop in planned]

    # -- who is here

    @precondition(lambda self: self.world.rules.skip_absent)
    @rule(viewer=st.sampled_from(VIEWERS))
    def come_or_go(self, viewer: str) -> None:
        """Let a viewer come, or one who is here leave."""
        comes = viewer not in self.model.here
        self.model.here ^= {viewer}
        self.turn += 1
        here, left = ([viewer], []) if comes else ([], [viewer])
        told = self.house(0).scripts.run(
            "viewer_present",
            {"show": self.show},
            gateway="gw_1",
            turn=self.turn,
            here=here,
            left=left,
            lease_ms=SOON_MS,
            most=0,
            keep_ms=0,
        )
        assert unpacked(self.world.run(told))["count"] == len(self.model.here)


async def told(move: Awaitable[Any]) -> str:
    """Return `moved`, or the code of the refusal."""
    try:
        await move
    except Problem as problem:
        return problem.code.value
    return "moved"
