"""The page of the goals: written from a record, true to it, and never more than was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from typer.testing import CliRunner

from loadtests.bench import record as records
from loadtests.bench.meanings import MEANINGS
from loadtests.bench.parts import Part
from loadtests.bench.sizes import QUICK
from loadtests.bench.write_up import PAGE, RECORD, app, page
from loadtests.stagehand import ROOT
from tests.loadtests.bench.made import goal, part, record

if TYPE_CHECKING:
    from pathlib import Path


def test_every_part_is_explained() -> None:
    """Each part of the benchmarks has a meaning on the page, in its order."""
    assert set(MEANINGS) == {one.value for one in Part}


def test_the_page_in_the_docs_is_that_of_its_record() -> None:
    """docs/performance.md says what docs/performance.json has measured, and nothing was written by hand."""
    docs = ROOT / "docs"
    assert (docs / PAGE).read_text(encoding="utf-8") == page(records.read(docs / RECORD))


def test_what_was_measured_is_told_with_its_goal() -> None:
    """Figure with spread, bound and verdict stand in a row; what was missed stands at the top as well."""
    told = page(record(part("fanout", goal(1.1), goal(1.35, name="CPU per delivery vs picows"))))
    assert (
        "| CPU per delivery vs raw loop | 1.10 (1.00 … 1.30) times | ≤ 1.25 times | reached by 12 % |" in told
    )
    assert "- CPU per delivery vs picows: 1.35 (1.25 … 1.55) times, missed by 8 %" in told
    assert "**1 of 2 goals that were measured are reached.**" in " ".join(told.split())
    assert "a processor, 2 cores, 8 GiB" in told


def test_what_was_not_measured_is_said() -> None:
    """Parts without figures are named; a busy machine and smaller sizes are told where their figures are."""
    told = " ".join(page(record(part("mix"), sizes=records.numbers(QUICK))).split())
    assert "Not measured yet: One event to many viewers;" in told
    assert "crowd 1000 in place of 10000" in told
    assert "Measured with other sizes" not in page(record())


@pytest.mark.parametrize("quiet", [True, False])
def test_a_busy_machine_is_said(quiet: bool) -> None:  # noqa: FBT001  a parameter of the table
    """Where other programs ran too, the part's figures say so."""
    load = 0.2 if quiet else 5.0
    busy = page(record(msgspec.structs.replace(part(), load_before=load)))
    assert ("other programs kept the machine busy" not in " ".join(busy.split())) is quiet


def test_the_command_writes_page_and_record(tmp_path: Path) -> None:
    """From files of single parts it writes one page and the record that it is made from; nonsense is refused."""
    for number, one in enumerate((record(part("fanout")), record(part("mix")))):
        records.write(one, tmp_path / f"{number}.json")
    runner = CliRunner()
    files = [str(tmp_path / f"{number}.json") for number in range(2)]
    done = runner.invoke(app, [*files, "--into", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / PAGE).read_text(encoding="utf-8") == page(records.read(tmp_path / RECORD))
    assert [each.part for each in records.read(tmp_path / RECORD).parts] == ["fanout", "mix"]
    refused = runner.invoke(app, [str(tmp_path / PAGE)])
    assert refused.exit_code == 1
    assert "is no record of the benchmarks" in refused.output
