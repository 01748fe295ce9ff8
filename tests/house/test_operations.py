"""The alerts ask for figures that the server has, each has its runbook, and what a runbook tells to type runs."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package of their own
from typer.testing import CliRunner

from server.api.operations import OPERATIONS
from server.cli.main import cli
from server.errors import Code
from server.metrics import REGISTRY
from server.protocol.commands import Command
from tests.house.papers import typed
from tests.house.test_dashboard import OF_PROMETHEUS, exported, labels
from tests.house.tree import ROOT
from tests.server import own_server
from tests.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.server import ServerProcess

PAPER = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "docs" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
RUNBOOKS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", PAPER, flags=re.MULTILINE | re.DOTALL))
SELECTOR = re.compile(r"(livedrop_\w+)(?:\{(.*?)\})?(\[\w+\])?")
MATCHER = re.compile(r'(\w+)(=~|=|!=|!~)"(.*?)"')
GROWING = ("rate", "increase")
VALUES = {
    "outcome": {code.value for code in Code} | {"ok", "bug", "recovered", "snapshot", "failed", "accepted"},
    "command": {str(kind.__struct_config__.tag) for kind in Command.__subclasses__()}
    | {str(each.__struct_config__.tag) for kind in Command.__subclasses__() for each in kind.__subclasses__()}
    | {f"http.{operation.name}" for operation in OPERATIONS},
}


def kinds() -> dict[str, str]:
    """Return the type of every family."""
    return {family.name: family.type for family in REGISTRY.collect()}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    """Each figure is exported, is asked in the way of its type, and is selected by labels and values that it has."""
    asked = rule["expr"]
    assert asked.count("(") == asked.count(")")
    found = list(SELECTOR.finditer(asked))
    assert found or "livedrop:" in asked or asked.startswith("up{"), asked
    for each in found:
        name, selected, span = each.groups()
        assert name in exported(), f"{name} is no figure of the server"
        family = exported()[name]
        before = re.search(r"(\w+)\($", asked[: each.start()])
        if span:
            assert before is not None, f"{name}{span} stands alone"
            # A counter grows and starts anew at 0; a gauge goes up and down.
            assert (before[1] in GROWING) is (kinds()[family] != "gauge"), f"{before[1]}({name})"
        for label, _, value in MATCHER.findall(selected or ""):
            assert label in labels(family) | OF_PROMETHEUS
            assert set(value.split("|")) <= VALUES.get(label, {value}), value
        if name.endswith("_bucket"):
            assert "histogram_quantile" in asked
            assert re.search(r"by \([^)]*\ble\b[^)]*\)", asked)
    for name in re.findall(r"livedrop:[\w:]+", asked):
        assert name in RECORDED


@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        ("rate(livedrop_no_such_total[5m])", "is no figure"),
        ("rate(livedrop_connections[5m])", "rate"),
        ('rate(livedrop_commands_total{code="x"}[5m])', "code"),
        ('rate(livedrop_commands_total{outcome="unavailabel"}[5m])', "unavailabel"),
        ("rate(livedrop_step_seconds_bucket[5m]) > 1", "histogram_quantile"),
        ("livedrop:not_recorded > 1", "not_recorded"),
    ],
)
def test_a_wrong_rule_is_found(wrong: str, because: str) -> None:
    """The check can fail."""
    with pytest.raises(AssertionError, match=because):
        test_a_rule_asks_for_what_there_is({"alert": "Wrong", "expr": wrong})


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """They have the same names, in the same order; each alert says where its runbook is, and how grave it is."""
    assert list(RUNBOOKS) == list(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in {"page", "ticket"}


@pytest.mark.parametrize("name", RUNBOOKS)
def test_a_runbook_is_complete(name: str) -> None:
    """It says what the alert means, what viewers notice, what to look at and to do, and when it is over."""
    text = RUNBOOKS[name]
    assert all(f"**{part}**" in text for part in ("Means", "Viewers", "Do", "Over"))
    assert re.search(r"^```sh\n", text, flags=re.MULTILINE)


def test_objectives_and_dashboard_agree_with_the_figures() -> None:
    """Every figure that the page names is exported."""
    named = set(re.findall(r"livedrop_[a-z_]+", PAPER))
    families = set(exported()) | set(exported().values()) | {f"{name}_total" for name in exported().values()}
    assert named <= families, named - families


def lines() -> list[str]:
    """Return every command of the page's blocks, each once, exports first."""
    blocks = "".join(re.findall(r"^```sh\n.*?^```\n", PAPER, flags=re.MULTILINE | re.DOTALL))
    return list(dict.fromkeys(typed(blocks)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a deployment as a small shop has it."""
    with own_server(tmp_path_factory.mktemp("operations"), private=True) as process:
        yield process


@pytest.fixture
async def stage(server: ServerProcess) -> AsyncIterator[Stage]:
    """Give a live show with an order; after the test its books must balance."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        one = Stage(server, http)
        await one.open()
        token = one.viewer()
        held = await one.reserve(token, await one.drop(5))
        assert (await one.pay(token, held.json()["id"])).status_code == 201
        yield one


async def test_what_the_runbooks_tell_to_type_runs(
    stage: Stage, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the page, in its order, against a deployment that is well: each ends with 0."""
    exports = [line for line in lines() if line.startswith("export ")]
    others = [line for line in lines() if not line.startswith("export ")]
    assert (len(exports), len(others) > 15) == (2, True), lines()
    path = f"{Path(sys.executable).parent}:{server.environment()['PATH']}"
    given = {**server.environment(), "PATH": path, "SHOW": stage.show}
    token = await shell("\n".join([*exports, 'printf %s "$TOKEN"']), given)
    assert (token.returncode, token.stdout.count(".")) == (0, 2), token.stderr
    env = {**given, "SERVER": server.url, "TOKEN": token.stdout}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    failed = {line: said for line in others if (said := await failure(line, env)) is not None}
    assert failed == {}


async def shell(line: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a line as a reader's shell would."""
    command = ["bash", "-c", f"set -euo pipefail\n{line}"]
    return await asyncio.to_thread(
        subprocess.run, command, env=env, capture_output=True, text=True, timeout=120, check=False
    )


async def failure(line: str, env: dict[str, str]) -> str | None:
    """Run a line and return what it said where it did not end with 0.

    What only reads runs in this process: starting Python would take more than all else.
    """
    words = shlex.split(os.path.expandvars(line))
    if words[:2] in (["livedrop", "doctor"], ["livedrop", "audit"]):
        ended = await asyncio.to_thread(CliRunner().invoke, cli, words[1:])
        return ended.output if ended.exit_code else None
    done = await shell(line, env)
    return done.stdout + done.stderr if done.returncode else None


async def test_a_command_that_fails_is_found(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a wrong option nor a request that is refused passes for well."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    for line in ("livedrop audit --no-such-option", f"curl -fsS {server.url}/no-such-path | grep livedrop"):
        assert await failure(line, server.environment()) is not None
