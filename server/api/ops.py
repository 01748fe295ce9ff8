"""What operators and integrators read without a token: health, readiness, figures, and the two API documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server import metrics
from server.api.asyncapi import asyncapi
from server.api.http import problem_response
from server.api.openapi import openapi
from server.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from server.api.http import Operation
    from server.api.rooms import Rooms


def routes(rooms: Rooms, operations: Sequence[Operation]) -> list[Route]:
    """Return the routes of the operators."""
    documents = {"/openapi.json": openapi(operations), "/asyncapi.json": asyncapi()}

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        try:
            await rooms.ready()
        except Problem as problem:
            return problem_response(problem)
        return JSONResponse({"status": "ready"})

    async def figures(_request: Request) -> Response:
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    async def document(request: Request) -> Response:
        return JSONResponse(documents[request.url.path])

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", figures),
        *(Route(path, document) for path in documents),
    ]
