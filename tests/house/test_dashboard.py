"""The Grafana dashboard and the figures that the server exports are the same."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest

from server.metrics import REGISTRY
from tests.house.tree import ROOT

BOARD = json.loads((ROOT / "docs" / "grafana.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = BOARD["panels"]
VARIABLES = {variable["name"] for variable in BOARD["templating"]["list"]}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OF_PROMETHEUS = {"job", "instance", "le"}  # labels that every figure, and every bucket, gets from there
BUILT_IN = {"__rate_interval"}
NAME = re.compile(r"livedrop_\w+")


def exported() -> dict[str, str]:
    """Return every name that /metrics can show, with the family it belongs to."""
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    return {
        family.name + suffix: family.name for family in REGISTRY.collect() for suffix in suffixes[family.type]
    }


def labels(family: str) -> set[str]:
    """Return the labels that a family has of its own."""
    for collector, names in REGISTRY._collector_to_names.items():
        if family in names:
            own: tuple[str, ...] = collector._labelnames  # type: ignore[attr-defined]  # every metric has them
            return set(own)
    raise AssertionError(f"{family} is not in the registry")


def expressions() -> list[str]:
    """Return what the panels and the variables ask Prometheus."""
    asked = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]
    return asked + [variable["definition"] for variable in BOARD["templating"]["list"][1:]]


def test_every_metric_on_the_dashboard_is_exported() -> None:
    """No panel asks for a figure that the server does not have."""
    named = {name for asked in expressions() for name in NAME.findall(asked)}
    assert len(named) > 20, "hardly any figure was found: the test looks at the wrong place"
    assert named - set(exported()) == set()


def test_every_metric_that_is_exported_is_on_the_dashboard() -> None:
    """No figure of the server is without a panel."""
    known = exported()
    shown = {
        known.get(name)
        for panel in PANELS
        for target in panel.get("targets", [])
        for name in NAME.findall(target["expr"])
    }
    assert set(known.values()) - shown == set()


@pytest.mark.parametrize("asked", expressions())
def test_labels_and_variables_exist(asked: str) -> None:
    """What an expression sums by or selects are labels of its figure; its variables are the dashboard's."""
    (family,) = {exported()[name] for name in NAME.findall(asked)}
    summed = {name for group in re.findall(r"by \((.*?)\)", asked) for name in group.split(", ")}
    selected = set(re.findall(r"(\w+)(?:=~|!=|!~|=)\"", asked))
    assert summed | selected <= labels(family) | OF_PROMETHEUS
    assert set(re.findall(r"\$(\w+)", asked)) <= VARIABLES | BUILT_IN


@pytest.mark.parametrize(
    "panel", [panel for panel in PANELS if panel["type"] != "row"], ids=lambda p: p["title"]
)
def test_a_panel_is_complete(panel: dict[str, Any]) -> None:
    """A panel says what it shows and in which unit, and asks the data source that was chosen."""
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert all(source == SOURCE for source in sources)
    kinds = {name.rpartition("_")[2] for target in panel["targets"] for name in NAME.findall(target["expr"])}
    if "bucket" in kinds:
        assert all("by (le)" in target["expr"] for target in panel["targets"] if "_bucket" in target["expr"])


def test_panels_stand_side_by_side() -> None:
    """Ids differ, and no two panels cover each other or leave the grid of 24 columns."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or apart, f"{one} covers {other}"


def test_the_rows() -> None:
    """The dashboard goes from who is there to what is sold."""
    titles = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    assert titles == ["Audience", "Delivery", "Recovery and health", "Selling"]
