"""A whole search on a made-up server: what is asked of it, what is left behind, what is printed."""

from __future__ import annotations

import time
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from loadtests.capacity import conclude, tables
from loadtests.capacity.beside import Beside
from loadtests.capacity.command import capacity
from loadtests.capacity.errand import Errand
from loadtests.capacity.goals import Goals
from loadtests.capacity.measuring import Asked
from loadtests.capacity.model import GATEWAY_CPU, MEMORY, calibrated
from loadtests.capacity.prediction import Limits, Prices
from loadtests.capacity.result import FILE, Capacity
from loadtests.capacity.search import Bounds
from loadtests.capacity.shares import GATEWAY
from loadtests.run import Finding
from loadtests.stagehand import StageError, elsewhere
from tests.loadtests.capacity.made_up import Shop, samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loadtests.capacity.measuring import Perform
    from loadtests.plan import Plan
    from loadtests.run import Run
    from loadtests.stagehand import Stage

WISHES = conclude.Wishes(
    viewers=(100_000, 1_000_000), arrival_seconds=300.0, tapping=0.1, limits=Limits(), prices=Prices()
)


@pytest.fixture
def shows(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a server be made up; return what was asked of its shows."""
    asked: list[str] = []

    class Host:
        def post(self, path: str) -> httpx.Response:
            asked.append(path)
            return httpx.Response(200, request=httpx.Request("POST", f"http://made.up{path}"))

    @contextmanager
    def door(url: str, host_token: str) -> Iterator[Host]:
        assert (url, host_token) == ("http://made.up", "token")
        yield Host()

    def live_show(_host: Host) -> str:
        asked.append("made")
        return f"sh_{len(asked)}"

    monkeypatch.setattr("loadtests.capacity.measuring.door", door)
    monkeypatch.setattr("loadtests.capacity.measuring.live_show", live_show)
    return asked


def searched(  # noqa: PLR0913  what a search is made of
    perform: Perform,
    folder: Path,
    *,
    seconds: float = 100_000.0,
    bounds: Bounds | None = None,
    asked: Asked | None = None,
    host: str | None = "http://made.up",
) -> tuple[Capacity, list[str]]:
    """Return the result of a search on a made-up server, and what was said meanwhile."""
    said: list[str] = []
    errand = Errand(
        host,
        "token",
        asked or Asked(),
        Goals(),
        bounds or Bounds(start=200, most=2000, runs=20),
        seconds,
        folder,
        said.append,
        perform,
    )
    return errand.carried_out(WISHES), said


def printed(result: Capacity) -> str:
    """Return what a terminal would show."""
    screen = StringIO()
    console = Console(width=200, file=screen)
    for table in tables.summary(result):
        console.print(table)
    return f"{screen.getvalue()}\n{tables.knee(result.knee)}"


@pytest.mark.usefixtures("shows")
def test_a_search_finds_the_knee_and_foretells(tmp_path: Path) -> None:
    """The knee of the made-up server, its bottleneck, a model of all runs, a prediction for each crowd; all kept."""
    shop = Shop({"server": 1000})
    result, said = searched(shop.perform, tmp_path)
    assert result.knee.carried <= 900 < result.knee.failed
    assert result.knee.bottleneck == GATEWAY
    assert len(result.samples) == len(shop.asked) - 1 == len(result.steps) + 8
    assert [one.viewers for one in result.predictions] == [100_000, 1_000_000]
    assert result.rates is not None
    assert result.rates.commands == 0.1
    kept = msgspec.json.decode((tmp_path / FILE).read_bytes(), type=Capacity)
    assert kept == result
    assert FILE in said[-1]
    shown = printed(result)
    for part in (
        "carried",
        "Bottleneck: gateway CPU. More server processes",
        "1,000,000",
        "error of gateway CPU",
    ):
        assert part in shown, shown


def test_every_run_has_a_show_of_its_own_that_ends(shows: list[str], tmp_path: Path) -> None:
    """As many shows are ended as were made, also when a run goes wrong; what was measured before is kept."""
    shop, runs = Shop({"server": 100_000}), [0]

    def failing(  # noqa: PLR0913  as `loadtests.perform.perform`
        stage: Stage, show: str, plan: Plan, folder: Path, say: Callable[[str], None], *, processes: int = 1
    ) -> Run:
        runs[0] += 1
        if runs[0] in {2, 12}:
            raise StageError("Locust did not end")
        return shop.perform(stage, show, plan, folder, say, processes=processes)

    result, said = searched(failing, tmp_path)
    assert shows.count("made") == len([each for each in shows if each.endswith("/end")]) == 12
    assert (result.knee.carried, result.knee.failed) == (400, 0)
    assert result.knee.because == "a run of 800 viewers could not be carried out"
    assert len(result.samples) == 9
    assert [line.strip() for line in said].count("Locust did not end") == 2
    assert "400 viewers at least" in printed(result)


@pytest.mark.usefixtures("shows")
def test_memory_is_asked_of_growing_crowds_alone(tmp_path: Path) -> None:
    """A process keeps the memory of its largest crowd: what smaller ones seem to need after it is not believed."""
    result, _ = searched(Shop({"server": 1000}).perform, tmp_path)
    largest = 0.0
    for one in result.samples:
        assert (MEMORY in one.measured) is (one.work.viewers > largest)
        largest = max(largest, one.work.viewers)


@pytest.mark.usefixtures("shows")
def test_no_run_begins_that_has_no_time_to_end(tmp_path: Path) -> None:
    """With less time than a run takes nothing is asked of the server, and nothing is said of it."""
    shop = Shop({})
    result, _ = searched(shop.perform, tmp_path, seconds=10.0)
    assert shop.asked == []
    assert (result.model, result.predictions) == (None, [])
    assert "Carried: not known" in tables.knee(result.knee)
    assert "was not seen" in tables.nothing_foretold(result)
    few = msgspec.structs.replace(result, samples=samples(1, 0.0)[:3])
    assert "3 runs are too few" in tables.nothing_foretold(few)


@pytest.mark.usefixtures("shows")
def test_a_load_that_takes_longer_than_its_runs_ends_the_search(tmp_path: Path) -> None:
    """Runs that are too short for more viewers are named as the reason, and what was measured is kept."""
    result, _ = searched(Shop({"server": 10_000}).perform, tmp_path, asked=Asked(run_seconds=22.0))
    assert result.knee.carried >= 800
    assert "viewers takes at least" in result.knee.because


@pytest.mark.usefixtures("shows")
def test_a_server_of_our_own_is_measured_with_more_gateways_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What every gateway costs by itself needs servers of different size; where only one was measured, it is said."""
    servers: list[int] = []

    @contextmanager
    def own_server(workers: int) -> Iterator[Stage]:
        servers.append(workers)
        yield elsewhere("http://made.up", "token")

    monkeypatch.setattr("loadtests.capacity.errand.own_server", own_server)
    result, _ = searched(Shop({"server": 1000}).perform, tmp_path, host=None)
    assert servers == [1, 3]
    assert [one.work.gateways for one in result.samples].count(3) == 2
    assert result.model is not None
    assert not any("Only a server of" in line for line in tables.doubts(result.model))
    alone, _ = searched(Shop({"server": 1000}).perform, tmp_path)
    assert alone.model is not None
    assert "Only a server of 1 gateway process was measured" in tables.doubts(alone.model)[0]


@pytest.mark.usefixtures("shows")
def test_other_prices_need_no_other_search(tmp_path: Path) -> None:
    """From the file, predictions are made anew with other wishes; the search stays, and no server is asked."""
    result, _ = searched(Shop({"server": 1000}).perform, tmp_path)
    app = typer.Typer()
    app.command()(capacity)
    options = (
        "--again",
        str(tmp_path / FILE),
        "--viewers",
        "50000",
        "--gateway-price",
        "7",
        "--tapping",
        "0.5",
    )
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    assert "50,000" in done.output
    assert "gateway 7, Redis 0.2" in done.output
    assert "as you gave them" in done.output
    assert "50.0% tap" in done.output
    assert tables.knee(result.knee).split(".")[0] in done.output


def test_a_file_that_is_none_ends_with_a_sentence(tmp_path: Path) -> None:
    """A file of something else is named as the reason, with exit code 2."""
    (tmp_path / "x.json").write_text("{}")
    app = typer.Typer()
    app.command()(capacity)
    done = CliRunner().invoke(app, ["--again", str(tmp_path / "x.json")])
    assert done.exit_code == 2
    assert "The search could not run:" in done.output


@pytest.mark.usefixtures("shows")
def test_a_broken_promise_fails_the_command(tmp_path: Path) -> None:
    """Too much load may be slow; units that were sold twice are named and fail the command, whatever the knee is."""
    shop = Shop({"server": 1000})

    def selling_twice(  # noqa: PLR0913  as `loadtests.perform.perform`
        stage: Stage, show: str, plan: Plan, folder: Path, say: Callable[[str], None], *, processes: int = 1
    ) -> Run:
        run = shop.perform(stage, show, plan, folder, say, processes=processes)
        run.findings = [Finding(kind="oversell", sentence="dr sold 11 of 10 units")]
        return run

    searched(selling_twice, tmp_path, bounds=Bounds(start=200, most=200, runs=1))
    app = typer.Typer()
    app.command()(capacity)
    done = CliRunner().invoke(app, ["--again", str(tmp_path / FILE)])
    assert done.exit_code == 1, done.output
    assert "dr sold 11 of 10 units" in done.output


def test_a_model_that_says_too_little_says_so() -> None:
    """Where a run was foretold at half of what it took nobody should plan; where all were foretold, nothing is said."""
    sound = calibrated(samples(seed=1, noise=0.0))
    assert sound is not None
    assert tables.doubts(sound) == []
    fit = sound.fits[GATEWAY_CPU]
    fit.errors[:] = [-0.7] * len(fit.errors)
    assert [line[:33] for line in tables.doubts(sound)] == ["Do not plan by the gateway CPU: r"]


def test_work_of_our_own_is_not_others() -> None:
    """What this process does while it watches counts as the run's, not as somebody else's."""
    beside, began = Beside([]), time.process_time()
    with beside:
        while time.process_time() < began + 0.2:
            pass
    assert 0.0 <= beside.share <= 1.0
