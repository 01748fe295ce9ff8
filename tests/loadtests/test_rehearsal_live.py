"""A rehearsal on a real server: the real show stays as it was, and nobody but its audience may see the copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from loadtests.perform import perform
from loadtests.rehearsal import words
from loadtests.rehearsal.copying import MARK
from loadtests.rehearsal.errand import rehearse
from loadtests.rehearsal.planning import Crowd
from loadtests.stagehand import door, own_server
from server.catalog.readers import SAMPLE_CURRENCY, SAMPLE_FEED

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.plan import Plan
    from loadtests.run import Run
    from loadtests.stagehand import Stage

CROWD = Crowd(viewers=30, wanting=1.0, within=1.0)


def planned_show(host: httpx.Client) -> tuple[str, list[dict[str, Any]]]:
    """Plan a show with a drop that is too small for its audience, and one that is drawn; return its id and drops."""
    host.post(
        f"/v1/catalog/import?format=shopify&currency={SAMPLE_CURRENCY}", content=SAMPLE_FEED.read_bytes()
    ).raise_for_status()
    sku = host.get("/v1/catalog/products?limit=1").raise_for_status().json()["items"][0]["sku"]
    terms = {"title": "Spring", "currency": SAMPLE_CURRENCY}
    show: str = host.post("/v1/shows", json=terms).raise_for_status().json()["id"]
    drops = [
        {"sku": sku, "quantity": 8, "hold_seconds": 2, "limit_per_viewer": 2, "waitlist": False},
        {"sku": sku, "quantity": 3, "mode": "draw"},
    ]
    return show, [host.post(f"/v1/shows/{show}/drops", json=drop).raise_for_status().json() for drop in drops]


def test_a_rehearsal_leaves_the_show_as_it_was(tmp_path: Path) -> None:
    """Thirty viewers want eight units: the copy sells out and ends, the show's own drops keep every number."""
    seen: list[tuple[int, list[str], str]] = []
    with own_server() as stage, door(stage.url, stage.host_token) as host:
        real, drops = planned_show(host)
        viewer = {"sub": "ann", "role": "viewer", "shows": [real], "ttl_seconds": 600}
        token = host.post("/v1/tokens", json=viewer).raise_for_status().json()["token"]

        def watched(stage: Stage, show: str, plan: Plan, folder: Path, say: Any, **more: Any) -> Run:
            """Carry the plan out, and look at the copy as a viewer of the real show would."""
            with door(stage.url, token) as ann:
                listed = [each["id"] for each in ann.get("/v1/shows").raise_for_status().json()["items"]]
                title = host.get(f"/v1/shows/{show}").raise_for_status().json()["title"]
                seen.append((ann.get(f"/v1/shows/{show}").status_code, listed, title))
            return perform(stage, show, plan, folder, say, **more)

        outcome = rehearse(stage, real, CROWD, tmp_path, lambda _line: None, watched)
        assert host.get(f"/v1/shows/{outcome.copy}").json()["status"] == "ended"
        assert host.get(f"/v1/shows/{real}/drops").json()["items"] == drops
        assert host.get(f"/v1/shows/{real}/orders").json()["items"] == []
    assert outcome.run.findings == []
    assert outcome.untouched
    assert seen == [(httpx.codes.FORBIDDEN, [real], f"{MARK}Spring")]
    (facts,) = outcome.facts.drops
    assert facts.sell_out is not None
    assert 0 < facts.units <= 8
    assert facts.wanted >= 25
    said = " ".join(words.story(outcome.facts) + words.advice(outcome.facts))
    assert "8 units, sells out in about" in said
    assert "want it and not get it" in said
    assert "switch the waitlist on" in said
