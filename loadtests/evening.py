"""One run for who asked for it on a command line: the stage is set, the plan carried out, all of it told and kept."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import msgspec

from loadtests import summary
from loadtests.board import board
from loadtests.gate.asking import audit
from loadtests.perform import RUN, perform
from loadtests.report import OtherPlanError, compare, remarks, write
from loadtests.report.comparison import table
from loadtests.run import Machine, Run
from loadtests.stagehand import (
    Stage,
    StageError,
    allow_files,
    door,
    elsewhere,
    live_show,
    log_tail,
    own_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from loadtests.plan import Plan

RESULTS = Path("results") / "load"


class UnreadableError(Exception):
    """A file of an earlier run is of no use here; the sentence says why."""


@dataclass
class Evening:
    """What the commands have in common; `host` None: a server of our own in `workers` processes."""

    console: Console
    host: str | None = None
    host_token: str = ""
    workers: int = 2
    processes: int = 1
    out: Path | None = None
    report: Path | None = None
    against: Sequence[Path] = ()
    runs: list[Run] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing was found in any run."""
        return all(run.passed for run in self.runs)

    def carry_out(self, plan: Plan) -> Run:
        """Carry out a plan on a new show, print what came out, and leave run and report in the folder.

        Raises StageError, UnreadableError, httpx.HTTPError.
        """
        earlier = self._earlier(plan)
        folder = self.out or RESULTS / f"{plan.shape}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
        allow_files(plan.viewers)
        with self._stage() as stage:
            run = self._perform(stage, plan, folder)
            self.runs.append(run)
            self._tell(run, stage)
        if earlier:
            self.console.print(table(compare(run, earlier)))
            for sentence in remarks(run, earlier):
                self._say(sentence)
        page = self.report or folder / "report.html"
        write(run, page, earlier)
        self._say(f"Kept: {folder / RUN}, {page}")
        self._verdict(run)
        return run

    def _earlier(self, plan: Plan) -> list[Run]:
        """Return the runs to compare with: before the run, so that nobody waits for one that does not compare."""
        earlier = [_read(path) for path in self.against]
        blank = Machine(cpu="", cores=1, memory=0, system="", python="", load_before=0.0)
        try:
            compare(Run(plan=plan, began_at="", machine=blank, server="", seconds=0.0), earlier)
        except OtherPlanError as error:
            raise UnreadableError(str(error)) from None
        return earlier

    @contextmanager
    def _stage(self) -> Iterator[Stage]:
        if self.host is not None:
            yield elsewhere(self.host, self.host_token)
            return
        many = f", in {self.workers} processes" if self.workers > 1 else ""
        self._say(f"Starting a server of our own{many} …")
        with own_server(self.workers) as stage:
            try:
                yield stage
            except (StageError, httpx.HTTPError):
                self._say_last_words(stage)
                raise

    def _perform(self, stage: Stage, plan: Plan, folder: Path) -> Run:
        with door(stage.url, stage.host_token) as host:
            show = live_show(host)
            try:
                if not stage.pid:
                    audit(stage, show)  # while there is nothing to lose: does it see the server's books?
                self._say(
                    f"{plan.viewers:,} viewers come to {show} at {stage.url} within {plan.arrival_seconds:.0f} s; "
                    f"it takes {plan.seconds:.0f} s in all."
                )
                with board(self.console) as (say, look):
                    return perform(stage, show, plan, folder, say, look=look, processes=self.processes)
            finally:
                host.post(f"/v1/shows/{show}/end")

    def _tell(self, run: Run, stage: Stage) -> None:
        for made in summary.tables(run):
            self.console.print(made)
        if run.findings:
            self._say_last_words(stage)
            summary.findings(self.console, run.findings)
        self._say(summary.sentence(run))
        for sentence in summary.doubts(run):
            self.console.print(f"! {sentence}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    def _verdict(self, run: Run) -> None:
        if run.passed:
            self.console.print(
                "[bold green]Passed[/]: the books balance with what every viewer remembers.", highlight=False
            )
        else:
            kinds = ", ".join(dict.fromkeys(finding.kind for finding in run.findings))
            self.console.print(
                f"[bold red]Failed[/]: {len(run.findings)} findings ({kinds}).", highlight=False
            )

    def _say_last_words(self, stage: Stage) -> None:
        """Print the end of our own server's log, which goes with the server."""
        if stage.log is not None:
            self._say(f"What the server said last:\n{log_tail(stage.log)}")

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _read(path: Path) -> Run:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError) as error:
        raise UnreadableError(f"{path} is no run of a load test: {error}") from None
