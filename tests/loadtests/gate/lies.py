"""Single lies in an honest run's record, by the kind of finding that must tell of each.

A lie takes the case of a busy show and returns it with one thing changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from loadtests.gate.books import Difference, Event, Line, Money, Order
from loadtests.seen import Failure, Refused, Take
from tests.loadtests.gate.world import BEGAN, CLOSED, ENDED, OPENED

if TYPE_CHECKING:
    from loadtests.gate import Case, Samples
    from loadtests.gate.books import DropView
    from loadtests.gate.case import Own
    from loadtests.gate.units import Span

Tell = Callable[["Case"], "Case"]
LIES: dict[str, tuple[str, Tell]] = {}


def lie(kind: str, name: str) -> Callable[[Tell], Tell]:
    """Note a lie and the kind of finding that it must yield."""

    def note(tell: Tell) -> Tell:
        LIES[name] = kind, tell
        return tell

    return note


@lie("oversell", "a unit is sold once more than there are")
def sold_again(case: Case) -> Case:
    """Let one viewer more have paid, for one unit more than there are."""
    drop, paid = _drop(case), sum(own.take.quantity for own in _paid(case))
    take = _take(drop, drop.quantity - paid + 1, OPENED + 5.0)
    take.end, take.order, take.orders = "paid", "or_more", ["or_more"]
    return _with_take(_with_order(case, "or_more", take), take)


@lie("oversell", "a unit is with two viewers for a moment")
def given_again(case: Case) -> Case:
    """Let somebody else have all that was ever offered while a viewer has units."""
    drop, span = _drop(case), _had(case)
    middle = (span.start + min(span.end, span.start + 1)) / 2 - BEGAN
    take = _take(drop, drop.quantity, middle - case.error)
    take.end, take.gone_at = "released", BEGAN + middle + case.error + 0.001
    return _with_take(case, take)


@lie("oversell", "the server counts one sold unit less")
def sold_less(case: Case) -> Case:
    """Let what a viewer has paid for be available again."""
    drop = _drop(case)
    return _with_drop(case, sold=drop.sold - 1, available=drop.available + 1)


@lie("oversell", "the server counts one sold unit more")
def sold_more(case: Case) -> Case:
    """Let a unit be sold to nobody."""
    drop = _drop(case)
    return _with_drop(case, sold=drop.sold + 1, available=drop.available - 1)


@lie("undersell", "units stand there while somebody is refused")
def refused(case: Case) -> Case:
    """Tell the one viewer who wants a further drop that there is nothing left of it."""
    drop = structs.replace(_drop(case), id="dr_idle", available=3, held=0, sold=0, quantity=3)
    looks = next(iter(case.samples.values()))
    zeros = [0] * len(looks.at)
    idle = replace(looks, available=[3] * len(looks.at), held=zeros, sold=zeros)
    return replace(_asked_in_vain(case, drop), samples={**case.samples, drop.id: idle})


@lie("undersell", "units are left over though somebody wanted them")
def left_over(case: Case) -> Case:
    """Do the same where nobody has looked at the stock meanwhile."""
    drop = structs.replace(_drop(case), id="dr_idle", available=3, held=0, sold=0, quantity=3)
    return _asked_in_vain(case, drop)


@lie("stranded", "a hold is kept")
def kept(case: Case) -> Case:
    """Let what lapsed long before the end be held in every later look, though not in the end."""
    take = next(own.take for own in case.takes["dr_0"] if own.take.end == "expired")
    return _looks(case, take.expires_at, -take.quantity, take.quantity)


@lie("stranded", "a unit stays held after the run")
def held(case: Case) -> Case:
    """Let the numbers add up, with one held though nobody is there any more."""
    return _with_drop(case, held=1, available=_drop(case).available - 1)


@lie("stranded", "a unit is in no book")
def in_no_book(case: Case) -> Case:
    """Take one available unit away."""
    return _with_drop(case, available=_drop(case).available - 1)


@lie("stranded", "a unit is in no book for a while")
def in_no_book_meanwhile(case: Case) -> Case:
    """Take one available unit out of every look of the second half."""
    return _looks(case, BEGAN + ENDED / 2, -1, 0)


@lie("double-order", "a reservation is ordered twice")
def ordered_twice(case: Case) -> Case:
    """Give the server two paid orders for the same units."""
    return _with_order(case, "or_twice", _paid(case)[0].take)


@lie("double-order", "a buyer is told of two orders")
def told_of_two(case: Case) -> Case:
    """Let two answers for the same units name different orders."""
    _paid(case)[0].take.orders.append("or_other")
    return case


@lie("double-order", "an operation is carried out twice")
def operated_twice(case: Case) -> Case:
    """Give a repeat of an operation a reservation of its own."""
    case.accounts[1].takes.append(structs.replace(case.accounts[1].takes[0], reservation="rs_again"))
    return _fresh(case)


@lie("double-order", "an order is charged twice")
def charged_twice(case: Case) -> Case:
    """Let the provider have two payments of one order."""
    return _with_money(case, "order or_1 has 2 payments: pay_1, pay_2")


@lie("limit", "a viewer has more than they may")
def above_the_limit(case: Case) -> Case:
    """Give who has units as many as the limit beside them."""
    span = _had(case)
    take = _take(_drop(case), _drop(case).limit_per_viewer, span.start - BEGAN)
    take.end, take.gone_at = "released", min(span.end, span.start + 1)
    case.accounts[0].takes.append(take)
    return _fresh(case)


@lie("lost-offset", "an event is left out")
def event_lost(case: Case) -> Case:
    """Give a viewer the next event but one."""
    case.accounts[0].gaps = 1
    case.accounts[0].breaches.append("offset 4 came where 3 was due")
    return case


@lie("lost-offset", "a viewer who stayed lacks the last event")
def left_behind(case: Case) -> Case:
    """Keep the drop's closing, ten seconds before the end, from a viewer."""
    case.accounts[0].offset -= 1
    return case


@lie("lost-offset", "a viewer stands in a log that is over")
def other_epoch(case: Case) -> Case:
    """Let the log begin anew without telling this viewer."""
    case.accounts[0].epoch = "ep_0"
    return case


@lie("repeated-offset", "an event comes twice")
def event_repeated(case: Case) -> Case:
    """Give a viewer an event again."""
    case.accounts[0].repeats = 1
    return case


@lie("failure", "a revision goes back")
def revision_back(case: Case) -> Case:
    """Tell a viewer older numbers after newer ones."""
    case.accounts[0].breaches.append("dr_0: revision 3 came after 4")
    return case


@lie("failure", "something unexpected happens")
def unexpected(case: Case) -> Case:
    """Give a request an answer that it may not have."""
    case.run.failures.append(Failure("checkout", "500", 2))
    return case


@lie("no-reply", "a command is not answered")
def not_answered(case: Case) -> Case:
    """Let the socket stay open and no reply come."""
    case.accounts[0].unanswered.append("op-77")
    return case


@lie("no-reply", "an acknowledged order is lost")
def order_lost(case: Case) -> Case:
    """Leave an order that its buyer was told of out of the server's list."""
    lost = _paid(case)[0].take.order
    return _with_books(case, orders=[order for order in case.books.orders if order.id != lost])


@lie("no-reply", "an acknowledged order is cancelled")
def order_cancelled(case: Case) -> Case:
    """Cancel an order that its buyer was told of."""
    lost = _paid(case)[0].take.order
    orders = [
        structs.replace(order, status="cancelled") if order.id == lost else order
        for order in case.books.orders
    ]
    return _with_books(case, orders=orders)


@lie("no-reply", "an order is nobody's")
def order_of_nobody(case: Case) -> Case:
    """Give the server a paid order for a reservation that no viewer knows."""
    return _with_order(case, "or_nobody", _take(_drop(case), 1, OPENED))


@lie("books", "the audit finds a difference")
def audited(case: Case) -> Case:
    """Let one drop's books not agree."""
    drops = case.books.audit.drops
    told = structs.replace(drops[0], differences=["held is 1, its holds have 0"])
    audit = structs.replace(case.books.audit, balanced=False, drops=[told, *drops[1:]])
    return _with_books(case, audit=audit)


@lie("books", "the money does not agree")
def money(case: Case) -> Case:
    """Let the provider have taken what the ledger does not have."""
    return _with_money(case, "100 were taken for order or_1, which is not in the ledger")


@lie("books", "an order is never settled")
def unsettled(case: Case) -> Case:
    """Let an order be confirmed still when all should be over."""
    return _with_books(case, orders=[*case.books.orders, Order("or_slow", "confirming", [])])


@lie("nothing-seen", "a viewer leaves no account")
def silent(case: Case) -> Case:
    """Let one of the crowd have written nothing down."""
    return _fresh(replace(case, accounts=case.accounts[1:]))


@lie("nothing-seen", "nobody hears anything")
def deaf(case: Case) -> Case:
    """Let no live message come."""
    case.run.messages = 0
    return case


@lie("nothing-seen", "nobody takes anything")
def idle(case: Case) -> Case:
    """Let no viewer remember a reservation."""
    for account in case.accounts:
        account.takes.clear()
    return _fresh(case)


def _drop(case: Case) -> DropView:
    return case.books.drops["dr_0"]


def _paid(case: Case) -> list[Own]:
    return [own for own in case.takes.get("dr_0", ()) if own.take.end == "paid"]


def _had(case: Case) -> Span:
    """Return when the viewer who is sure to pay truly had the units."""
    span = case.certain(case.accounts[0].takes[0])
    assert span is not None
    return span


def _take(drop: DropView, quantity: int, at: float) -> Take:
    """Return a take that was asked for and given at a second of the run."""
    return Take(
        reservation="rs_more",
        drop=drop.id,
        operation="op-more",
        quantity=quantity,
        unit_price=100,
        asked_at=BEGAN + at,
        held_at=BEGAN + at,
        expires_at=BEGAN + at + 60.0,
    )


def _with_take(case: Case, take: Take) -> Case:
    case.accounts[-1].takes.append(take)
    return _fresh(case)


def _with_order(case: Case, order: str, take: Take) -> Case:
    lines = [Line(take.drop, take.reservation, take.quantity)]
    return _with_books(case, orders=[*case.books.orders, Order(order, "paid", lines)])


def _with_drop(case: Case, **changed: int) -> Case:
    drop = structs.replace(_drop(case), **changed)
    return _with_books(case, drops={**case.books.drops, drop.id: drop})


def _with_money(case: Case, sentence: str) -> Case:
    audit = structs.replace(case.books.audit, balanced=False, money=Money([Difference(sentence)]))
    return _with_books(case, audit=audit)


def _with_books(case: Case, **changed: Any) -> Case:
    return replace(case, books=structs.replace(case.books, **changed))


def _fresh(case: Case) -> Case:
    """Return the case with nothing derived from what it was before."""
    return replace(case)


def _asked_in_vain(case: Case, drop: DropView) -> Case:
    middle = BEGAN + (OPENED + CLOSED) / 2
    case.accounts[0].refused.append(Refused(drop.id, "out-of-stock", middle, middle + 0.1, 1))
    events = [
        Event(event.offset, event.at, event.kind, drop.id, drop.quantity)
        for event in case.books.events
        if event.kind in {"drop.opened", "drop.closed"} and event.drop == "dr_0"
    ]
    return _fresh(
        _with_books(case, drops={**case.books.drops, drop.id: drop}, events=[*case.books.events, *events])
    )


def _looks(case: Case, since: float, available: int, held: int) -> Case:
    """Return the case with other numbers in every look that was asked for after a moment."""
    looks: Samples = case.samples["dr_0"]
    changed = replace(
        looks,
        available=[n + available * (at > since) for n, at in zip(looks.available, looks.since, strict=True)],
        held=[n + held * (at > since) for n, at in zip(looks.held, looks.since, strict=True)],
    )
    return replace(case, samples={**case.samples, "dr_0": changed})
