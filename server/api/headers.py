"""Headers that every HTTP answer carries: what pages may load, who may frame them, and that nothing is guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from server.settings import Settings

EVERY_HTTPS = "https:"
NOBODY = "'none'"
LOOPBACK = ("http://127.0.0.1:*", "http://localhost:*")  # where a video to try things with comes from
# For answers that are no pages: whoever opens one gets its content, and nothing of it runs.
NO_PAGE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": NO_PAGE,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# For a year browsers come by https alone (RFC 6797). Of this name only: others of the domain may not be ours to bind.
STRICT_TRANSPORT = "max-age=31536000"


def host_policy() -> str:
    """Return the Content-Security-Policy of the host's console: it speaks to this server alone, and is in no frame."""
    return _policy(videos=(), ancestors=())


def viewer_policy(settings: Settings, *, framed: bool) -> str:
    """Return that of the viewer's page; with `framed` the sites of the setting may show it in theirs.

    Videos, and the pieces of which HLS is made, may come from any https address unless the settings name the origins;
    `blob:` is how a page hands those pieces to its player.
    """
    here = () if settings.production else LOOPBACK
    return _policy(
        videos=("blob:", *(settings.video_origins or (EVERY_HTTPS,)), *here),
        ancestors=settings.frame_ancestors if framed else (),
    )


def _policy(videos: tuple[str, ...], ancestors: tuple[str, ...]) -> str:
    """Return a page's policy. Scripts and styles are this server's files alone, and none stands in the page itself."""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' https: data:",
            " ".join(["media-src 'self'", *videos]),
            " ".join(["connect-src 'self'", *(site for site in videos if site != "blob:")]),
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {' '.join(ancestors or [NOBODY])}",
        ]
    )


class SecureHeaders:
    """ASGI middleware that adds the headers; websockets pass through untouched.

    With `strict`, who came by https is told to come by nothing else; over plain http anybody could have said so.
    """

    def __init__(self, app: ASGIApp, *, strict: bool = False) -> None:
        self.app = app
        self._strict = strict

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a connection on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if self._strict and scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
                headers.setdefault(
                    "Cache-Control", "no-store" if scope["path"].startswith("/v1") else "no-cache"
                )
            await send(message)

        await self.app(scope, receive, send_with_headers)
