"""The OpenAPI 3.1 document, made from the table of operations and the structs that they read and answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from server import __version__
from server.api.http import JSON, MAX_BODY_BYTES, PROBLEM_JSON, Keyed
from server.api.paging import MAX_PAGE
from server.errors import TABLE, Code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.api.http import Operation

ALWAYS = (Code.UNAUTHENTICATED, Code.NOT_ALLOWED, Code.RATE_LIMITED, Code.UNAVAILABLE)
BARE = (Code.UNAUTHENTICATED, Code.UNAVAILABLE)  # where no token is asked for
NUMBERS = {"limit": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}}  # of a query; all else is text
REFERENCE = "#/components/schemas/{name}"
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"enum": [code.value for code in Code]},
        "detail": {"type": "string", "description": "a sentence with its numbers"},
        "retry_after_ms": {"type": "integer"},
        "available": {"type": "integer"},
        "held": {"type": "integer", "description": "units that others hold: they may come back"},
        "receipt": {"type": "string", "description": "where the request asked for one"},
        "current_total": {"type": "integer"},
        "opens_at": {"type": "integer"},
    },
}


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document for the given operations."""
    kinds = _kinds(operations)
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    known = dict(zip([str(kind) for kind in kinds], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = re.sub(r":path}", "}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _described(operation, path, known)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Livedrop",
            "version": __version__,
            "description": "Drops in limited quantity for live shopping. Money is integers in minor units; "
            "every `*_at` is Unix milliseconds UTC.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": PROBLEM_SCHEMA},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _kinds(operations: Sequence[Operation]) -> list[Any]:
    kinds: dict[str, Any] = {}
    for operation in operations:
        for kind in (operation.answer, operation.body, *operation.also.values()):
            if kind is not None and kind is not bytes:
                kinds[str(kind)] = kind
    return list(kinds.values())


def _described(operation: Operation, path: str, known: dict[str, Any]) -> dict[str, Any]:
    tokenless = "Needs no token." if operation.method == "GET" else "Needs a signature, and no token."
    rights = f"Needs the right to {operation.right}." if operation.right else tokenless
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": rights,
        "parameters": _parameters(operation, path),
        "responses": _responses(operation, known),
    }
    if operation.right is None:
        described["security"] = []
    if operation.body is bytes:
        described["requestBody"] = {
            "required": True,
            "content": {"text/csv": {"schema": {"type": "string"}}},
        }
    elif operation.body is not None:
        described["requestBody"] = {
            "required": not operation.optional_body,
            "description": f"At most {MAX_BODY_BYTES} bytes.",
            "content": {JSON: {"schema": known[str(operation.body)]}},
        }
    return described


def _parameters(operation: Operation, path: str) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    parameters += [
        {
            "name": name,
            "in": "query",
            "description": meaning,
            "schema": NUMBERS.get(name, {"type": "string"}),
        }
        for name, meaning in operation.query.items()
    ]
    if operation.keyed is not Keyed.NO:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": operation.keyed is Keyed.REQUIRED,
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
    return parameters


def _responses(operation: Operation, known: dict[str, Any]) -> dict[str, Any]:
    good = {operation.status: operation.answer, **operation.also}
    responses: dict[str, Any] = {
        str(status): {"description": "OK", "content": {JSON: {"schema": known[str(kind)]}}}
        if kind is not None
        else {"description": "OK"}
        for status, kind in good.items()
    }
    codes = [*(ALWAYS if operation.right else BARE), *operation.problems]
    if operation.body is not None:
        codes += [Code.INVALID_MESSAGE, Code.PAYLOAD_TOO_LARGE]
    if operation.query:
        codes.append(Code.INVALID_MESSAGE)
    if operation.keyed is not Keyed.NO:
        codes += [Code.INVALID_MESSAGE, Code.IN_PROGRESS, Code.IDEMPOTENCY_MISMATCH]
    if operation.keyed is Keyed.REQUIRED:
        codes.append(Code.IDEMPOTENCY_KEY_REQUIRED)
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(TABLE[code].status, []).append(code.value)
    for status, names in sorted(by_status.items()):
        schema = {"$ref": REFERENCE.format(name="Problem")}
        responses[str(status)] = {
            "description": ", ".join(names),
            "content": {PROBLEM_JSON: {"schema": schema}},
        }
    return responses
