"""The page of a run: one file that asks nobody for anything, whose every word from the run is harmless."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from loadtests.plan import Cut
from loadtests.report import OtherPlanError, write
from loadtests.report.page import page
from loadtests.run import Curve, Finding, Opening
from loadtests.seen import Failure
from tests.loadtests.report.made import PLAN, run, spread

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\x00\ud800'</title></svg>"
VOID = {"meta", "link"}


class Reader(HTMLParser):
    """Reads a page as a browser does: its tags, what addresses stand in them, its words; and that all is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def evil_run() -> Any:
    """Return a run whose every text is an attack."""
    return run(
        plan=msgspec.structs.replace(PLAN, shape=EVIL, recording=EVIL),
        began_at=EVIL,
        server=EVIL,
        machine=msgspec.structs.replace(run().machine, cpu=EVIL, system=EVIL, python=EVIL),
        latencies={EVIL: spread(0.1)},
        refusals={EVIL: {EVIL: 3}},
        openings=[Opening(drop=EVIL, at=4.0, viewers=1, delays=spread(0.1))],
        curves=[*run().curves, Curve(name=EVIL, unit=EVIL, at=[1.0, 2.0], values=[1.0, 2.0])],
        failures=[Failure(EVIL, EVIL, 2)],
        findings=[Finding(kind=EVIL, sentence=EVIL, evidence=[EVIL] * 30)],
    )


def test_nothing_from_a_run_is_markup(tmp_path: Path) -> None:
    """Names, errors and evidence that are markup stand on the page as the words they are."""
    evil = evil_run()
    write(evil, tmp_path / "report.html", [evil, evil])
    reader = Reader((tmp_path / "report.html").read_text(encoding="utf-8"))
    names = {tag for tag, _ in reader.tags}
    assert names.isdisjoint({"script", "img"})
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert reader.words.count("<script>alert(1)</script>") > 40


def test_the_page_asks_nobody_for_anything() -> None:
    """No address leads elsewhere, no script runs, and the page itself forbids both."""
    reader = Reader(page(run()))
    links = [value for _, each in reader.tags for name, value in each.items() if name in {"href", "src"}]
    assert links == ["data:,"]
    assert any("default-src 'none'" in str(each.get("content")) for each in reader.all("meta"))
    assert not reader.all("script")
    assert "@import" not in page(run())
    assert set(re.findall(r"url\(([^)]*)\)", page(run()))) == {"#stripes", "#dots"}


def test_it_begins_with_the_verdict_and_what_is_wrong() -> None:
    """A run that failed says so first, then each finding with its evidence, then the figures."""
    findings = [
        Finding(kind="oversell", sentence="7 units too many.", evidence=[f"line {n}" for n in range(300)])
    ]
    words = Reader(page(run(findings=findings))).words
    order = [
        "failed, 1 broken promise",
        "oversell",
        "7 units too many",
        "line 0",
        "line 199",
        "100 more",
        "Units sold",
    ]
    places = [words.index(each) for each in order]
    assert places == sorted(places)
    assert "line 200" not in words
    assert "flash: passed" in Reader(page(run())).words


@pytest.mark.parametrize(
    "title",
    [
        "Taken per second",
        "Available, held, sold",
        "Latency: reserve",
        "Opening to viewers, drop by drop",
        "CPU",
        "Busiest process",
        "Memory",
        "Refusals by code",
        "What was asked for",
        "Where it ran",
    ],
)
def test_every_plot_is_there(title: str) -> None:
    """What the run has measured is on the page, each plot told in words for who cannot see it."""
    reader = Reader(page(run()))
    assert title in reader.words
    pictures = [each for each in reader.all("svg") if each.get("role") == "img"]
    assert len(pictures) == 8
    assert all(each.get("aria-label") for each in pictures)


def test_what_few_look_for_is_folded() -> None:
    """Latencies that only some ask for are there, behind one line, after the plots that everybody wants."""
    more = [
        Curve(name=f"{name} p99", unit="ms", at=[1.0, 2.0], values=[1.0, 2.0]) for name in ("hello", "token")
    ]
    text = page(run(curves=[*run().curves, *more]))
    assert (
        text.index("Refusals by code")
        < text.index("2 more latencies over time")
        < text.index("Latency: hello")
    )


def test_what_was_not_measured_is_not_there() -> None:
    """A run of a server elsewhere, with nothing sold, still makes a page: without the plots that it has no data for."""
    bare = run(curves=[], openings=[], processes=[], latencies={}, refusals={}, messages=0, seconds=0.0)
    words = Reader(page(bare)).words
    assert "flash: passed" in words
    assert "Memory" not in words


def test_what_cannot_be_compared_leaves_no_page(tmp_path: Path) -> None:
    """A run of another plan is refused before anything is written."""
    with pytest.raises(OtherPlanError):
        write(run(), tmp_path / "report.html", [run(plan=msgspec.structs.replace(PLAN, seed=8))])
    assert list(tmp_path.iterdir()) == []


def test_doubts_are_said() -> None:
    """A generator that used as much CPU as the server, and a machine that was busy already, are told on the page."""
    doubtful = run(machine=msgspec.structs.replace(run().machine, load_before=9.0))
    doubtful.processes[1].cpu_seconds = 7.0
    words = Reader(page(doubtful)).words
    assert "what looks slow may be the generator" in words
    assert "Other programs kept this machine busy" in words
    assert "may be the generator" not in Reader(page(run())).words


def test_a_long_run_makes_no_heavy_page() -> None:
    """Six hours looked at twice a second, with a thousand drops, make a page that a phone can open."""
    at = [number * 0.5 for number in range(43_200)]
    curves = [
        Curve(name=name, unit="cores", at=at, values=[float(number % 97) for number in range(len(at))])
        for name in ("server CPU", "redis CPU", "generator CPU")
    ]
    drops = [Opening(drop=f"dr_{n}", at=20.0 * n, viewers=5, delays=spread(0.1, 0.2)) for n in range(1000)]
    curves += [
        Curve(name=f"{kind} dr_{n}", unit="units", at=[0.0, 9.0], values=[1.0, 1.0])
        for n in range(1000)
        for kind in ("available", "held", "sold")
    ]
    plan = msgspec.structs.replace(PLAN, cuts=(Cut(9.0, 0.5, 2.0),) * 100)
    long = page(run(plan=plan, seconds=21_600.0, curves=curves, openings=drops))
    assert len(long) < 1_500_000
