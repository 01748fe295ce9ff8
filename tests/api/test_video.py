"""A show's video: its address is kept with the show, told to who watches, and refused where no page would play it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.api.video import require_playable
from server.auth import Role
from server.errors import Problem
from server.settings import Settings
from tests.server import SECRET

if TYPE_CHECKING:
    from tests.stage import Stage

VIDEO = "https://video.example/live/a.m3u8?key=1"
PRODUCTION = {"LIVEDROP_ENV": "production", "LIVEDROP_SECRET": SECRET, "REDIS_URL": "redis://:pw@127.0.0.1"}


def playable(url: str, settings: Settings) -> bool:
    try:
        require_playable(url, settings, "url")
    except Problem:
        return False
    return True


def changes(messages: list[Any]) -> list[str | None]:
    """Return the addresses that events have told, in order."""
    return [message.get("video_url") for message in messages if message["type"] == "video.changed"]


async def test_a_show_has_its_video_from_the_start(stage: Stage) -> None:
    """The address given with the show is in its view, and in the snapshot of who comes."""
    body = {"title": "Filmed", "currency": "EUR", "video_url": VIDEO}
    made = await stage.host("POST", "/v1/shows", json=body)
    assert made.json()["video_url"] == VIDEO
    stage.show = made.json()["id"]
    async with stage.watching() as viewer:
        assert viewer.welcome["snapshot"]["show"]["video_url"] == VIDEO


async def test_who_watches_is_told_of_another_video(stage: Stage) -> None:
    """The host sets, changes and removes it; each is an event, and the show shows what it has."""
    path = f"/v1/shows/{stage.show}"
    async with stage.watching() as viewer:
        for url in (VIDEO, "https://video.example/b.mp4", None):
            changed = await stage.host("PUT", f"{path}/video", json={"url": url})
            assert (changed.status_code, changed.json().get("video_url")) == (200, url)
            assert (await stage.host("GET", path)).json().get("video_url") == url
        told = await viewer.until(lambda each: len(found := changes(each.messages)) == 3 and found)
        assert told == [VIDEO, "https://video.example/b.mp4", None]


async def test_only_who_runs_the_show_says_so(stage: Stage) -> None:
    """A viewer, and another show's host, are not allowed; a show that has ended has no new video."""
    made = await stage.host("POST", "/v1/shows", json={"title": "To be ended", "currency": "EUR"})
    show = f"/v1/shows/{made.json()['id']}"
    path = f"{show}/video"
    for token in (stage.viewer(), stage.server.token(Role.HOST, "other", "sh_other")):
        refused = await stage.call("PUT", path, token, json={"url": VIDEO})
        assert refused.json()["code"] == "not-allowed"
    assert (await stage.host("POST", f"{show}/end")).status_code == 200
    late = await stage.host("PUT", path, json={"url": VIDEO})
    assert (late.status_code, late.json()["code"]) == (409, "wrong-state")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.m3u8",
        "//video.example/a",
        "http://video.example/a",
        "javascript:alert(1)",
        "https://",
        "https://[::1",
        1,
        "https://video.example:port/a",
        "https://video.example/a b",
        "https://video.example/\n",
        "https://a/" + "x" * 2048,
    ],
)
async def test_what_no_page_would_play_is_refused(stage: Stage, url: Any) -> None:
    """An address that is none, or not by https, is refused at both doors, with a sentence, and changes nothing."""
    body = {"title": "Filmed", "currency": "EUR", "video_url": url}
    for refused in (
        await stage.host("PUT", f"/v1/shows/{stage.show}/video", json={"url": url}),
        await stage.host("POST", "/v1/shows", json=body),
    ):
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid-message")
        assert "url: " in refused.json()["detail"]
    assert "video_url" not in (await stage.host("GET", f"/v1/shows/{stage.show}")).json()


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://v.example/a", True),
        ("https://V.example:443/a", True),
        ("https://v.example:8443/a", False),
        ("https://w.example/a", False),
        ("https://av.example/a", False),
        ("https://one.cdn.example:99/a", True),
        ("https://cdn.example/a", False),
        ("https://evilcdn.example/a", False),
        ("http://one.cdn.example/a", False),
        ("http://127.0.0.1:9/a", False),
    ],
)
def test_the_setting_says_from_where(url: str, allowed: bool) -> None:  # noqa: FBT001  the value under test
    """What a browser would not load under the policy is not taken: the setting means the same in both places."""
    origins = {"LIVEDROP_VIDEO_ORIGINS": "https://v.example,https://*.cdn.example:*"}
    assert playable(url, Settings.load({**PRODUCTION, **origins})) is allowed


def test_in_development_a_video_may_come_from_this_machine() -> None:
    """Over http too; in production not."""
    for url in ("http://127.0.0.1:8080/a.mp4", "http://localhost/a.m3u8"):
        assert playable(url, Settings())
        assert not playable(url, Settings.load(PRODUCTION))
    assert not playable("http://192.0.2.1/a", Settings())
