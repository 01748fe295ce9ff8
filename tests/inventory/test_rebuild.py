"""The plan of a rebuild: what a drop is to be, from the ledger's sales and the holds that survived."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.inventory.chain import Chain
from server.inventory.rebuild import LIFE, LOST, Plan, Sale, Survivor, plan
from server.inventory.records import HELD, PAYING, SOLD, DropBooks, Hold

DROP = "dr_a"
RELEASED = 4


def books(quantity: int = 10) -> DropBooks:
    return DropBooks(DROP, "MUG", "open", 1, 0, 0, 0, quantity, 0, "", 0, 0, "fifo", 7)


def hold(state: int, quantity: int = 1, rank: int = 1, order: str = "", returned: int = 0) -> Hold:
    return Hold(1, "ann", quantity, state, rank, None, "", returned, order)


def sale(own: str, order: str = "or_1", quantity: int = 1, returned: int = 0, at: int = 1) -> Sale:
    return Sale(own, DROP, order, "ann", quantity, returned, 1250, at)


def planned(
    *sales: Sale,
    quantity: int = 10,
    newest: int = 0,
    rebuilt: bool = False,
    unfinished: str = "",
    offset: int = 0,
    **holds: Hold,
) -> Plan:
    log = Chain("", newest=newest, rebuilt=rebuilt)
    return plan(DROP, Survivor(books(quantity), log, holds), sales, {unfinished}, None, offset=offset)


def numbers(made: Plan) -> tuple[int, int, int]:
    return made.available, made.held, made.sold


def test_nothing_was_lost() -> None:
    """Where both sides agree nothing is to be done, and the numbers are counted anew."""
    made = planned(sale("a"), a=hold(SOLD, order="or_1"), b=hold(HELD, 2), c=hold(RELEASED, 3))
    assert numbers(made) == (7, 2, 1)
    assert (made.sales, made.lapsed, made.short, made.strays, made.terms) == ([], [], {}, [], None)


@pytest.mark.parametrize(
    "known",
    [
        None,
        hold(HELD),
        hold(PAYING, order="or_1"),
        hold(RELEASED),
        hold(SOLD, order="or_2"),
        hold(SOLD, order="or_1", quantity=2),
        hold(SOLD, order="or_1", quantity=1, returned=1),
    ],
)
def test_the_ledger_is_right(known: Hold | None) -> None:
    """Whatever the store has of a reservation, it is sold as the ledger says, and counts once."""
    log, holds = Chain(""), {"a": known} if known else {}
    made = plan(DROP, Survivor(books(), log, holds), [sale("a")], (), None, offset=0)
    assert made.sales == [sale("a")]
    assert numbers(made) == (9, 0, 1)


def test_what_returned_is_on_sale() -> None:
    """Units that were paid back and put on sale again are not sold; one of which all came back need not be there."""
    made = planned(
        sale("a", quantity=3, returned=1), sale("b", returned=1), sale("c", returned=1), c=hold(SOLD)
    )
    assert numbers(made) == (8, 0, 2)
    assert [each.own for each in made.sales] == ["a", "c"]


def test_holds_that_fit_are_kept() -> None:
    """Those that are being paid first, then who came first; one that is too large leaves room for a smaller one."""
    made = planned(
        sale("z", quantity=5),
        quantity=9,
        late=hold(HELD, 1, rank=9),
        large=hold(HELD, 3, rank=2),
        early=hold(HELD, 1, rank=1),
        paying=hold(PAYING, 2, rank=8),
    )
    assert (made.held, made.lapsed) == (4, ["large"])
    assert made.available == 0


def test_sold_here_alone() -> None:
    """It stays sold: on its way into the ledger where its order says so, else it is named."""
    made = planned(unfinished="or_9", a=hold(SOLD, order="or_9"), b=hold(SOLD, order="or_8"))
    assert (numbers(made), made.strays) == ((8, 0, 2), ["b"])


def test_more_sold_than_there_is() -> None:
    """Who bought last goes without, in part where that is enough; what is shipped was there."""
    sales = [
        sale("a", "or_a", 2, at=1),
        sale("b", "or_b", 2, at=2),
        replace(sale("c", "or_c", 1, at=3), shipped=True),
    ]
    made = planned(*sales, quantity=2, d=hold(HELD))
    assert (made.available, made.lapsed) == (-3, ["d"])
    assert made.short == {"or_b": 2, "or_a": 1}


@pytest.mark.parametrize(
    ("newest", "rebuilt", "lost", "offset", "first"),
    [
        (0, False, False, 7, 0),
        (3, False, False, 0, LIFE + 1),
        (LIFE + 3, True, False, 7, 0),
        (LIFE + 3, False, False, 0, 2 * LIFE + 1),
        (LIFE + 3, True, True, 0, 2 * LIFE + 1),
        (LIFE + 3, False, False, 7, 8 * LIFE + 1),
    ],
)
def test_awards_are_numbered_on(newest: int, rebuilt: bool, lost: bool, offset: int, first: int) -> None:  # noqa: FBT001  a table
    """In the next million, but where nothing was awarded: never, or not since the last rebuild."""
    sales = [sale("a")] if lost else []
    assert planned(*sales, newest=newest, rebuilt=rebuilt, offset=offset).first == first


def test_a_drop_that_is_lost() -> None:
    """It is what the ledger says of it; one that nobody knows cannot be planned."""
    terms = {"status": "open", "opened_at": 5}
    made = plan(DROP, None, [sale("a")], (), (4, terms), offset=0)
    assert (made.revision, numbers(made), made.terms, made.first) == (LOST, (3, 0, 1), terms, LIFE + 1)
    with pytest.raises(ValueError, match="neither the store nor the ledger"):
        plan(DROP, None, [], (), None, offset=0)


def test_newer_terms_of_the_ledger() -> None:
    """They count where they are given, with their quantity; the numbers are those that were read."""
    survivor = Survivor(books(4), Chain(""))
    made = plan(DROP, survivor, [], (), (6, {"status": "closed"}), offset=0)
    assert (made.revision, made.quantity, made.packed["terms"]) == (7, 6, {"status": "closed"})
