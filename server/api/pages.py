"""The host's and the viewer's page, and the files that they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import FileResponse, RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

WEB = Path(__file__).resolve().parents[1] / "web"


def routes() -> list[BaseRoute]:
    """Return the routes of the pages. They hold no secrets: the token comes in the link's fragment."""

    async def host(_request: Request) -> Response:
        return FileResponse(WEB / "host.html")

    async def watch(_request: Request) -> Response:
        return FileResponse(WEB / "viewer.html")

    async def icon(_request: Request) -> Response:
        return RedirectResponse("/static/icon.svg")

    return [
        Route("/host/{show}", host),
        Route("/watch/{show}", watch),
        Route("/favicon.ico", icon),
        Mount("/static", StaticFiles(directory=WEB), name="static"),
    ]
