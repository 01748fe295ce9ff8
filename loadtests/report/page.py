"""A run as a page: whether it passed and why not, its key figures, what has moved, the plots, and where it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.report import comparison
from loadtests.report.described import machine_facts, plan_facts
from loadtests.report.document import card, document, facts, keep, table
from loadtests.report.figures import GENERATOR, MIB, MS, SERVER, process, rank
from loadtests.report.markup import tag, text
from loadtests.report.numbers import change, short
from loadtests.report.plots import plots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from loadtests.report.comparison import Moved
    from loadtests.report.plots import Plot
    from loadtests.run import Finding, Run

EVIDENCE = 200  # lines of a finding; run.json has all
AT_ONCE = 8  # of them are shown without being asked for
FAILURES = 50
PERCENTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


def write(run: Run, path: Path, against: Sequence[Run] = ()) -> None:
    """Write the page of a run, beside earlier runs of the same plan. Raises OtherPlanError, OSError."""
    moved = comparison.compare(run, against)
    keep(page(run, moved, comparison.remarks(run, against) if against else []), path)


def page(run: Run, moved: Sequence[Moved] = (), remarks: Sequence[str] = ()) -> str:
    """Return the page."""
    verdict = "passed" if run.passed else "failed"
    return document(
        f"{run.plan.shape}, {run.plan.viewers:,} viewers: {verdict}",
        _verdict(run),
        _findings(run.findings),
        _failures(run),
        tag("dl", *(_tile(*each) for each in _key_figures(run)), class_="tiles"),
        _doubts(run),
        _moved(moved, remarks),
        *_plots(run),
        _latencies(run),
        _processes(run),
        card("What was asked for", facts(plan_facts(run.plan))),
        card("Where it ran", facts(machine_facts(run))),
    )


def _verdict(run: Run) -> str:
    plan, count = run.plan, len(run.findings)
    broken = "1 broken promise" if count == 1 else f"{count:,} broken promises"
    title = f"{plan.shape}: passed" if run.passed else f"{plan.shape}: failed, {broken}"
    offered = sum(sale.quantity + sale.restock for sale in plan.sales)
    of_all = f" of {offered:,}" if offered else ""
    words = (
        f"{plan.viewers:,} viewers for {short(run.seconds)} s: {run.units_sold:,}{of_all} units sold in "
        f"{run.orders:,} orders, {run.messages:,} messages held against the promises."
    )
    words = f"{words} {run.waited}".rstrip()
    meaning = (
        "The server's books and every viewer's own record agree."
        if run.passed
        else "The server's books and the viewers' own records do not agree; the evidence is below."
    )
    return tag(
        "section",
        tag("p", text(f"Livedrop load test, {run.began_at}"), class_="eyebrow"),
        tag("h1", text(title)),
        tag("p", text(words)),
        tag("p", text(meaning)),
        class_=f"card verdict {'passed' if run.passed else 'failed'}",
    )


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    return card("What is wrong", *map(_finding, findings))


def _finding(finding: Finding) -> str:
    lines = [tag("li", text(line)) for line in finding.evidence[:EVIDENCE]]
    rest = len(finding.evidence) - EVIDENCE
    if rest > 0:
        lines.append(tag("li", text(f"… and {rest:,} more in run.json")))
    shown = tag("ul", *lines[:AT_ONCE], class_="evidence") if lines else ""
    more = ""
    if len(lines) > AT_ONCE:
        summary = tag("summary", text(f"{len(lines) - AT_ONCE} more lines"))
        more = tag("details", summary, tag("ul", *lines[AT_ONCE:], class_="evidence"))
    kind, sentence = tag("span", text(finding.kind), class_="kind"), tag("p", text(finding.sentence))
    return tag("div", kind, sentence, shown, more, class_="finding")


def _failures(run: Run) -> str:
    if not run.failures:
        return ""
    most = sorted(run.failures, key=lambda each: -each.occurrences)
    rows = [[text(each.name), f"{each.occurrences:,}", text(each.error)] for each in most[:FAILURES]]
    rest = len(most) - FAILURES
    caption = f"{rest} other kinds stand in run.json." if rest > 0 else ""
    return card(
        "Unexpected failures",
        table(("asked for", "times", "what came of it"), rows, caption, ends_in_words=True),
    )


def _key_figures(run: Run) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and what it means."""
    yield "Units sold", f"{run.units_sold:,}", f"{run.reservations:,} reservations, {run.orders:,} orders"
    for name in ("reserve", "checkout", "order"):
        seen = run.latencies.get(name)
        if seen is not None and seen.count:
            half = f"half within {short(MS * seen.quantile(0.5))} ms"
            yield f"{name.capitalize()}, p99", f"{short(MS * seen.quantile(0.99))} ms", half
    reached = [opening for opening in run.openings if opening.delays.count]
    if reached:
        last = max(reached, key=lambda each: each.delays.most)
        skew = max(opening.skew for opening in reached)
        why = f"skew, first to last: {short(MS * skew)} ms at worst"
        yield "Opening to the last viewer", f"{short(MS * last.delays.most)} ms", why
    if run.seconds > 0:
        yield "Messages to viewers", f"{short(run.messages / run.seconds)} /s", f"{run.messages:,} in all"
    for each in sorted(run.processes, key=lambda each: rank(each.name)):
        cores = f"{short(each.cpu_seconds / run.seconds)} cores in the mean, " if run.seconds > 0 else ""
        why = f"{cores}{short(each.peak_memory / MIB)} MiB at most"
        yield f"CPU of {each.name}", f"{short(each.cpu_seconds)} s", why


def _tile(name: str, value: str, why: str) -> str:
    return tag(
        "div",
        tag("dt", text(name)),
        tag("dd", text(value)),
        tag("dd", text(why), class_="why"),
        class_="tile",
    )


def _doubts(run: Run) -> str:
    """Return what makes the figures less than they seem."""
    said = []
    server, generator = process(run, SERVER), process(run, GENERATOR)
    if server and generator and generator.cpu_seconds >= server.cpu_seconds:
        said.append(
            f"The generator used {short(generator.cpu_seconds)} s of CPU, the server {short(server.cpu_seconds)} s: "
            "what looks slow may be the generator."
        )
    if run.machine.load_before > run.machine.cores / 2:
        said.append(
            f"Other programs kept this machine busy (load {short(run.machine.load_before)} on "
            f"{run.machine.cores} cores): the times are theirs too."
        )
    return tag("div", *(tag("p", text(each), class_="remark") for each in said)) if said else ""


def _moved(moved: Sequence[Moved], remarks: Sequence[str]) -> str:
    if not moved:
        return ""
    beyond = [each for each in comparison.in_order(moved) if each.beyond_noise]
    others = [each for each in moved if not each.beyond_noise]
    summary = tag("summary", text(f"{len(others)} others" if beyond else f"all {len(others)} figures"))
    return card(
        "Against earlier runs",
        tag("p", text(comparison.told(moved))),
        *(tag("p", text(each), class_="remark") for each in remarks),
        _moves(beyond) if beyond else "",
        tag("details", summary, _moves(others)) if others else "",
        tag("p", text(_HOW), class_="note"),
    )


def _moves(moved: Sequence[Moved]) -> str:
    rows = []
    for each in moved:
        spread = f" ({short(each.least)} … {short(each.most)})" if each.runs > 1 else ""
        cells = (
            f"{short(each.now)} {each.unit}",
            f"{short(each.middle)}{spread}",
            change(each.change),
            "?" if each.band is None else f"± {short(each.band)}",
        )
        named = tag("span", text(each.verdict), class_=each.verdict.name.lower())
        rows.append([text(each.figure), *map(text, cells), named])
    return table(("figure", "now", "earlier", "change", "noise", "so it is"), rows)


_HOW = (
    "Earlier: the median, and the least and the most. Noise: how far from the median chance alone takes a run in 99 of "
    "100 cases, as far as the earlier runs can tell."
)


def _plots(run: Run) -> list[str]:
    drawn = plots(run)
    main = tag("div", *(_figure(plot) for plot in drawn if not plot.aside), class_="plots")
    aside = [_figure(plot) for plot in drawn if plot.aside]
    if not aside:
        return [main]
    more = "1 more latency over time" if len(aside) == 1 else f"{len(aside)} more latencies over time"
    return [main, tag("details", tag("summary", text(more)), tag("div", *aside, class_="plots"))]


def _figure(plot: Plot) -> str:
    note = tag("p", text(plot.note), class_="note") if plot.note else ""
    return tag("figure", tag("h3", text(plot.title)), plot.legend, plot.picture, note, class_="card")


def _latencies(run: Run) -> str:
    rows = [
        [
            text(name),
            f"{seen.count:,}",
            *(short(MS * seen.quantile(share)) for share in PERCENTILES),
            short(MS * seen.most),
        ]
        for name, seen in run.latencies.items()
        if seen.count
    ]
    if not rows:
        return ""
    head = ("from the intended start", "measured", *(f"p{100 * share:g}" for share in PERCENTILES), "longest")
    return card("How long it took, ms", table(head, rows))


def _processes(run: Run) -> str:
    if not run.processes:
        return ""
    rows = [
        [
            text(each.name),
            f"{each.processes}",
            short(each.cpu_seconds),
            short(1e6 * each.cpu_seconds / run.messages) if run.messages else "",
            short(each.peak_memory / MIB),
        ]
        for each in sorted(run.processes, key=lambda each: rank(each.name))
    ]
    head = ("part", "processes", "CPU, s", "CPU µs per message to a viewer", "memory at most, MiB")
    return card("What it took", table(head, rows))
