"""Answers to requests that reach no operation, or break one: problems too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from server.api.http import PROBLEM_JSON, problem_response
from server.errors import Code, Problem, unavailable

if TYPE_CHECKING:
    from starlette.requests import Request


def exception_handlers() -> dict[Any, Any]:
    """Return Starlette's handlers: unknown paths and methods, and bugs, as RFC 9457 problems."""
    return {HTTPException: _not_served, Exception: _broken}


async def _not_served(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  Starlette's handler type is wider than its call
    detail = f"{request.method} {request.url.path[:200]} is not served here."
    document = {**Problem(Code.NOT_FOUND, detail).document(), "status": error.status_code}
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = ", ".join(_methods(request))
    return Response(msgspec.json.encode(document), error.status_code, headers, media_type=PROBLEM_JSON)


def _methods(request: Request) -> list[str]:
    """Return the methods that are served at a path: each has a route of its own, and Starlette knows the first."""
    matching = (
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    )
    return sorted({method for route in matching for method in route.methods or ()})


async def _broken(_request: Request, _error: Exception) -> Response:
    return problem_response(unavailable("The request failed inside the server; its outcome is unknown."))
