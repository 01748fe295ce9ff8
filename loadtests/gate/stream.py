"""The stream: nobody loses an event of the log or gets one twice, who stayed has all of it, and no number is odd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.gate.finding import count, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.gate.case import Case
    from loadtests.run import Finding
    from loadtests.seen import Account

OF_OFFSETS = "offset "  # how sentences begin that say which offset came in place of which


def judge(case: Case) -> Iterator[Finding]:
    """Yield findings of offsets that were left out or came again, of viewers left behind, and of other breaches."""
    yield from _counted(case, "lost-offset", "gaps", "lost {} of the log")
    yield from _counted(case, "repeated-offset", "repeats", "got {} of the log again")
    yield from _behind(case)
    breaches = [
        f"{account.viewer}: {sentence}"
        for account in case.accounts
        for sentence in account.breaches
        if not sentence.startswith(OF_OFFSETS)
    ]
    if breaches:
        yield finding("failure", f"{count(len(breaches), 'promise')} broken towards viewers.", breaches)


def _counted(case: Case, kind: str, field: str, what: str) -> Iterator[Finding]:
    hit = [(account, getattr(account, field)) for account in case.accounts if getattr(account, field)]
    if hit:
        total = sum(each for _, each in hit)
        hit.sort(key=lambda each: -each[1])
        yield finding(
            kind,
            f"{len(hit):,} of {len(case.accounts):,} viewers {what.format(count(total, 'event'))}.",
            [f"{account.viewer}: {each}{_first(account)}" for account, each in hit],
        )


def _behind(case: Case) -> Iterator[Finding]:
    """Find who was connected to the end and lacks events that came well before it."""
    top = case.books.top
    due = max((event.offset for event in case.books.events if event.at < case.until), default=0)
    here = [account for account in case.accounts if account.connected and account.epoch]
    lines = [
        f"{account.viewer} stands at {account.offset} of epoch {account.epoch}"
        for account in here
        if account.epoch != top.epoch or account.offset < due
    ]
    if lines:
        yield finding(
            "lost-offset",
            f"{len(lines):,} of {len(here):,} viewers who were connected at the end lack events: the log had come to "
            f"{due} of epoch {top.epoch} by then, to {top.offset} now.",
            lines,
        )


def _first(account: Account) -> str:
    told = next((each for each in account.breaches if each.startswith(OF_OFFSETS)), "")
    return f", first: {told}" if told else ""
