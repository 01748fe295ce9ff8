"""A show's video: where browsers find it. It is played from there and never passes through this server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from server.api.bodies import Video
from server.api.http import Answer, Call, Operation
from server.auth import Right
from server.errors import Code
from server.protocol.codec import invalid
from server.protocol.shapes import Show

if TYPE_CHECKING:
    from server.settings import Settings

PORTS = {"http": 80, "https": 443}
HERE = frozenset({"127.0.0.1", "localhost"})  # in development a video may come from there, also by http


def require_playable(url: str, settings: Settings, field: str) -> None:
    """Refuse an address that the pages' policy would not let a browser load: better now than a dark screen later."""
    try:
        address = urlsplit(url)
        port = address.port or PORTS.get(address.scheme, 0)
    except ValueError:
        raise invalid(f"{field}: {url[:80]!r} is no web address.") from None
    if not settings.production and address.hostname in HERE:
        return
    if address.scheme != "https" or not address.hostname:
        raise invalid(f"{field}: a video comes by https, given {url[:80]!r}.")
    sites = settings.video_origins
    if sites and not any(_covers(urlsplit(site.replace(":*", "")), address, port, site) for site in sites):
        raise invalid(f"{field}: {address.hostname} is none of {', '.join(sites)}.")


def _covers(site: SplitResult, address: SplitResult, port: int, written: str) -> bool:
    """Whether a source such as `https://*.example:*` covers an address, as a browser would say."""
    named, host = site.hostname or "", address.hostname or ""
    fits = host.endswith(named.removeprefix("*")) if named.startswith("*.") else host == named
    any_port = written.endswith(":*")
    return fits and site.scheme == address.scheme and (any_port or (site.port or PORTS[site.scheme]) == port)


async def put(call: Call) -> Answer:
    """Give the show a video, another one, or none; viewers are told."""
    body: Video = call.body
    await call.show()
    if body.url is not None:
        require_playable(body.url, call.rooms.settings, "url")
    view: dict[str, Any] = await call.rooms.shows.film(call.path["show"], body.url or "")
    return Answer(view)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "PUT",
        "/v1/shows/{show}/video",
        "show_video",
        "Say where the show's video is",
        put,
        Right.RUN,
        Show,
        body=Video,
        problems=(Code.NOT_FOUND, Code.WRONG_STATE),
    ),
)
