"""Rehearsals: what is said follows from what was seen, the copy always ends, and the real show stays as it was."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from msgspec import structs

from loadtests.distribution import Distribution
from loadtests.plan import Mix, Plan, Sale
from loadtests.rehearsal import words
from loadtests.rehearsal.copying import MARK, Original, RehearsalError, copied, read, require_resting
from loadtests.rehearsal.errand import Outcome
from loadtests.rehearsal.facts import Facts, Rehearsed, SellOut, rehearsed, sold_out
from loadtests.rehearsal.planning import HOLD_MOST, Crowd, holds, planned
from loadtests.run import Machine, Opening, Run
from loadtests.seen import Account, Refused, Take

if TYPE_CHECKING:
    from collections.abc import Callable

FACTS = Facts(
    title="Mug",
    quantity=500,
    waves=0,
    limit=2,
    hold_seconds=300,
    waitlist=False,
    opens_at=None,
    wanted=1740,
    served=440,
    units=500,
    beyond_first=60,
    lapsed=40,
    released=0,
    each=1.15,
    gone_early=0,
    sell_out=SellOut(12.2, 10.1, 14.9),
    seen_ms=80.0,
    skew_ms=40.0,
)
TOLD = Rehearsed(viewers=3480, within=30.0, wanting=0.5, paid=True, reply_ms=90.0, drops=[FACTS])
SHOW = {"id": "sh_1", "title": "Spring", "currency": "EUR", "status": "scheduled", "run": ["dr_2", "dr_1"]}


def drop(name: str, **more: Any) -> dict[str, Any]:
    """Return a planned drop as the server shows it."""
    terms = {
        "id": name,
        "sku": "MUG",
        "title": "Mug",
        "quantity": 10,
        "available": 10,
        "held": 0,
        "sold": 0,
        "revision": 1,
        "unit_price": 1250,
        "currency": "EUR",
        "limit_per_viewer": 2,
        "hold_seconds": 300,
        "mode": "fifo",
        "waitlist": True,
        "waitlist_length": 0,
        "status": "scheduled",
        "created_at": 1,
    }
    return terms | more


def take(asked: float, held: float, quantity: int = 1, *, end: str = "paid", gone: float = 0.0) -> Take:
    """Return a reservation of the drop `dr`."""
    return Take(
        reservation=f"rs_{asked}",
        drop="dr",
        operation="1",
        quantity=quantity,
        unit_price=1,
        asked_at=asked,
        held_at=held,
        expires_at=held + 8,
        gone_at=gone,
        end=end,
    )


def story(**changes: Any) -> str:
    """Return the story of one drop with other facts."""
    return " ".join(words.story(structs.replace(TOLD, drops=[structs.replace(FACTS, **changes)])))


def advice(**changes: Any) -> str:
    """Return the advice on one drop with other facts."""
    return " ".join(words.advice(structs.replace(TOLD, drops=[structs.replace(FACTS, **changes)])))


def test_the_story_says_when_who_and_for_how_long() -> None:
    """Sell-out with its range, how quickly everybody hears, who goes without, what unpaid holds keep away."""
    said = story()
    for sentence in (
        "3,480 viewers, 50% of them want each drop and tap within 30 s",
        "Mug, 500 units, sells out in about 12 s (10 to 15).",
        "99 of 100 viewers see it open within 80 ms",
        "have their answer within 90 ms",
        "1,300 people will want it and not get it, of 1,740 who tap.",
        "40 units will be held and not paid: at 300 s a hold, each is kept from the others for 5 min.",
    ):
        assert sentence in said, said


def test_the_advice_has_numbers() -> None:
    """More units, the waitlist, a lower limit, a shorter hold: each with what it would bring."""
    said = advice()
    for sentence in (
        "switch the waitlist on, or plan 2,000 units instead of 500",
        "a limit of 1 instead of 2 would serve 60 people more",
        "hold for 60 s instead of 300: the 40 units that nobody pays would be with who waits 4 min earlier",
    ):
        assert sentence in said, said


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({"waitlist": True}, "the waitlist serves them as units come back", "switch the waitlist on"),
        ({"limit": 1, "beyond_first": 0}, "plan 2,000 units", "a limit of 1"),
        ({"gone_early": 7}, "7 units were gone before the last viewer had seen the opening", "by the clock"),
        (
            {"opens_at": 5, "sell_out": SellOut(4.0, 3.0, 5.0)},
            "opens by the clock, so without a countdown",
            "draw",
        ),
        (
            {"sell_out": SellOut(0.8, 0.7, 0.9)},
            "a draw gives everybody who enters the same chance",
            "countdown",
        ),
        ({"skew_ms": 800.0}, "more server processes bring that down", "countdown"),
        ({"lapsed": 0}, "plan 2,000 units", "hold for"),
        ({"sell_out": None, "units": 100, "served": 90, "wanted": 90}, "fewer units would do", "waitlist"),
    ],
    ids=["waitlist", "limit", "early", "clock", "quick", "skew", "all paid", "too many"],
)
def test_each_rule_speaks_where_it_applies(changes: dict[str, Any], said: str, unsaid: str) -> None:
    """A rule's sentence is there when its case is, and another's is not."""
    found = advice(**changes)
    assert said in found
    assert unsaid not in found


def test_a_show_that_needs_nothing_gets_no_advice() -> None:
    """Everybody served within a calm minute on a quick server: nothing to change."""
    calm = {"wanted": 440, "lapsed": 0, "sell_out": None, "units": 480, "served": 440}
    assert advice(**calm) == ""
    assert "does not sell out: 480 of 500 units go to 440 people" in story(**calm)


def test_a_slow_server_and_a_full_evening_are_named() -> None:
    """Late answers point to the server, and a drop that opens into the holds of the one before to the plan."""
    first, second = structs.replace(FACTS, opens_at=0), structs.replace(FACTS, title="Cap", opens_at=60_000)
    said = " ".join(words.advice(structs.replace(TOLD, reply_ms=900.0, drops=[second, first])))
    assert "The server is too small for this crowd" in said
    assert "Cap opens 60 s after Mug, while units of that are still held for up to 5 min" in said


def test_what_is_not_played_is_said() -> None:
    """Draws, drops for who pays first and the show's own limit are named; a show without them needs no such line."""
    whole = Original(
        SHOW | {"limit_per_viewer": 3}, [drop("a", mode="draw"), drop("b", mode="first_paid"), drop("c")]
    )
    said = " ".join(words.left_out(whole))
    for part in ("Of n who enter, 10 in n get a unit", "who pays first", "limit of 3 units per viewer"):
        assert part in said
    assert words.left_out(Original(SHOW, [drop("c")])) == []
    assert "network address" in " ".join(words.left_out(Original(SHOW, [drop("c", limit_per_address=2)])))


def test_ranges_and_numbers_are_spoken_plainly() -> None:
    """Tenths below ten seconds, no range where it rounds away, luck where it may not happen, round units."""
    assert words.between(SellOut(3.14, 3.0, 3.3)) == "3.1 s (3 to 3.3)"
    assert words.between(SellOut(12.0, 11.9, 12.1)) == "12 s"
    assert "by luck" in words.between(SellOut(12.0, 11.0, math.inf))
    assert [words.neat(number) for number in (7, 99, 101, 1995, 2000, 2001)] == [7, 99, 110, 2000, 2000, 2100]
    assert (words.units(1), words.people(1), words.lasting(90)) == ("1 unit", "1 person", "90 s")
    assert words.lasting(300) == "5 min"


def test_sold_out_is_the_moment_at_which_the_last_unit_is_out_of_reach() -> None:
    """Units that came back count as there again; a drop that was never empty did not sell out."""
    asked = [float(number) for number in range(1, 9)]
    takes = [take(1.0, 1.1), take(2.0, 2.1, gone=2.5, end="released"), take(3.0, 3.1), take(4.0, 4.1)]
    sold = sold_out(takes, asked, 3, 0.0)
    assert sold is not None
    assert sold.at == 4.1
    assert sold.earliest < sold.at < sold.latest
    assert sold_out(takes, asked, 4, 0.0) is None


def test_the_facts_are_counted_from_what_viewers_remember() -> None:
    """Who paid was served, who lapsed or was refused was not; units beyond somebody's first are counted."""
    sale = Sale(at=5, seconds=10, quantity=4, hold_seconds=8, spread_ms=5000, wanting=0.5, drop="dr")
    run = run_of(sale)
    accounts = [
        Account(viewer="a", kind="buyer", takes=[take(101.0, 101.1, 2)]),
        Account(viewer="b", kind="buyer", takes=[take(102.0, 102.1, end="expired", gone=110.1)]),
        Account(viewer="c", kind="buyer", takes=[take(103.0, 103.1)]),
        Account(viewer="d", kind="buyer", refused=[Refused("dr", "out-of-stock", 104.0, 104.1)]),
        Account(viewer="e", kind="buyer", refused=[Refused("dr", "limit-reached", 104.0, 104.1)]),
        Account(viewer="f", kind="lurker"),
    ]
    told = rehearsed(run, accounts, [drop("dr_9", quantity=4)], {"dr": 100.0})
    (facts,) = told.drops
    assert (facts.wanted, facts.served, facts.units, facts.beyond_first, facts.lapsed) == (4, 2, 3, 1, 1)
    assert (facts.missed, facts.wanting) == (2, math.ceil(2 * 4 / 3))
    assert facts.hold_seconds == 300
    assert facts.sell_out is not None
    assert facts.sell_out.at == pytest.approx(3.1)
    assert facts.gone_early == 2
    assert facts.skew_ms == pytest.approx(1490, rel=0.02)


def run_of(sale: Sale) -> Run:
    """Return a run of one sale whose opening took 10 ms to one viewer and 1.5 s to another."""
    delays = Distribution()
    delays.add(0.01)
    delays.add(1.5)
    machine = Machine(cpu="", cores=1, memory=0, system="", python="", load_before=0.0)
    plan = Plan(shape="rehearsal", seed=1, viewers=6, seconds=20, arrival_seconds=2, mix=Mix(), sales=(sale,))
    run = Run(plan=plan, began_at="", machine=machine, server="", seconds=20.0)
    run.openings = [Opening(drop="dr", at=5.0, viewers=2, delays=delays)]
    return run


def test_the_plan_keeps_the_terms_and_shortens_the_waiting() -> None:
    """Quantity, limit and waves as planned, in the run's order; holds of minutes become seconds, no sales overlap."""
    later = drop("dr_1", quantity=40, waves=[{"quantity": 5}, {"quantity": 3, "released_at": 9}])
    original = Original(SHOW, [drop("dr_2"), drop("dr_3", mode="draw"), later])
    crowd = Crowd(viewers=1000, wanting=0.3, within=12.0)
    held = holds(original, crowd, pays=True)
    plan = planned(original, ["c_2", "c_1"], held, crowd, pays=True)
    assert [(sale.drop, sale.quantity, sale.restock) for sale in plan.sales] == [
        ("c_2", 10, 0),
        ("c_1", 40, 5),
    ]
    assert {sale.hold_seconds for sale in plan.sales} == {HOLD_MOST}
    assert {(sale.wanting, sale.spread_ms, sale.limit_per_viewer) for sale in plan.sales} == {
        (0.3, 12_000, 2)
    }
    first, second = plan.sales
    assert first.at + first.seconds + second.countdown_ms / 1000 < second.at
    assert second.at + second.seconds < plan.seconds


def test_where_nobody_pays_units_are_kept_until_the_sale_is_over() -> None:
    """Where money is real nobody checks out, and what would be sold does not come back during the sale."""
    original = Original(SHOW, [drop("dr_1")])
    crowd = Crowd(viewers=10)
    held = holds(original, crowd, pays=False)
    plan = planned(original, ["c_1"], held, crowd, pays=False)
    assert not plan.pays
    assert held[0] > plan.sales[0].seconds - crowd.within


@pytest.mark.parametrize("status", ["live", "paused"])
def test_a_show_that_is_on_is_not_rehearsed(status: str) -> None:
    """Its viewers would pay for it; and where nothing has a rush there is nothing to rehearse."""
    with pytest.raises(RehearsalError, match=f"sh_1 is {status}"):
        require_resting(Original(SHOW | {"status": status}, [drop("dr_1")]))
    with pytest.raises(RehearsalError, match="no rush to rehearse"):
        require_resting(Original(SHOW, [drop("dr_1", mode="draw")]))
    require_resting(Original(SHOW, [drop("dr_1")]))


class Door:
    """A server that remembers what it was asked; `ends` answers when the copy is to end."""

    def __init__(self, ends: Callable[[], httpx.Response] = lambda: httpx.Response(200, json={})) -> None:
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.ends = ends

    def __call__(self, request: httpx.Request) -> httpx.Response:
        line = f"{request.method} {request.url.path}"
        self.asked.append(line)
        self.bodies.append(request.content)
        match line:
            case "GET /v1/shows/sh_1" | "GET /v1/shows/copy":
                return httpx.Response(200, json=SHOW)
            case "GET /v1/shows/sh_1/drops":
                return httpx.Response(200, json={"items": [drop("dr_1"), drop("dr_2")]})
            case "POST /v1/shows/copy/end":
                return self.ends()
            case "POST /v1/shows" | "POST /v1/shows/copy/drops":
                return httpx.Response(201, json={"id": "copy"})
        return httpx.Response(200, json={})

    @property
    def client(self) -> httpx.Client:
        """A client whose only server this is."""
        return httpx.Client(base_url="http://door", transport=httpx.MockTransport(self))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError], ids=lambda kind: kind.__name__)
def test_the_copy_ends_whatever_happens(error: type[BaseException]) -> None:
    """Ctrl-C, SIGTERM or a bug in the middle: the copy is ended, and the real show was only read."""
    at = Door()
    original = read(at.client, "sh_1")
    assert [each["id"] for each in original.drops] == ["dr_2", "dr_1"]
    with pytest.raises(error), copied(at.client, original, [8, 8]):
        raise error
    assert at.asked[-1] == "POST /v1/shows/copy/end"
    assert MARK.encode() in b"".join(at.bodies)
    assert all(line.startswith("GET ") for line in at.asked if "/sh_1" in line)


def test_a_copy_that_cannot_be_made_whole_is_ended_too() -> None:
    """A drop that is refused ends the rehearsal, and the copy that had begun to be."""
    at = Door()
    original = Original(SHOW, [drop("dr_1")])

    def refusing(request: httpx.Request) -> httpx.Response:
        answer = at(request)
        if request.url.path.endswith("/drops"):
            return httpx.Response(404, json={"detail": "There is no product 'MUG'."})
        return answer

    client = httpx.Client(base_url="http://door", transport=httpx.MockTransport(refusing))
    with pytest.raises(RehearsalError, match="no product"), copied(client, original, [8]):
        pytest.fail("there was a copy")
    assert at.asked[-1] == "POST /v1/shows/copy/end"


def test_a_lost_answer_does_not_leave_the_copy_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is asked for until it is sure; what cannot be ended is named."""
    monkeypatch.setattr("loadtests.rehearsal.copying.END_PAUSE", 0.0)
    answers = [httpx.Response(503, json={"detail": "later"}), httpx.Response(200, json={})]
    at = Door(ends=lambda: answers.pop(0))
    with copied(at.client, Original(SHOW, [drop("dr_1")]), [8]):
        pass
    assert at.asked.count("POST /v1/shows/copy/end") == 2
    never = Door(ends=lambda: httpx.Response(503, json={"detail": "later"}))
    with (
        pytest.raises(RehearsalError, match="copy is still there and has to be ended by hand: later"),
        copied(never.client, Original(SHOW, [drop("dr_1")]), [8]),
    ):
        pass


def test_a_show_that_changed_meanwhile_is_noticed() -> None:
    """Negative control: one unit less, or one revision more, and the show is no longer called untouched."""
    before = Original(SHOW, [drop("dr_1"), drop("dr_2")])
    same = Original(SHOW, [drop("dr_2"), drop("dr_1")])
    run = run_of(Sale(at=5, seconds=10, quantity=4))
    assert Outcome(before, same, "copy", run, TOLD).untouched
    for change in ({"available": 9, "held": 1}, {"revision": 2}, {"status": "open"}):
        after = Original(SHOW, [drop("dr_1", **change), drop("dr_2")])
        assert not Outcome(before, after, "copy", run, TOLD).untouched
