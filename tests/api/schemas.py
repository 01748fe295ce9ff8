"""Real answers held against the documents that the server serves about itself, more strictly than JSON Schema would."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from openapi_schema_validator import OAS31Validator

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]


def strict(schema: Any) -> Any:
    """Return a copy of a schema in which no object has members that are not described."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(value) for name, value in schema.items()}
    if isinstance(made.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    return made


def complaints(value: Any, schema: Schema, components: Schema) -> list[str]:
    """Return what is wrong with a value by a schema whose references lead into `components`."""
    whole = {**strict(copy.deepcopy(schema)), "components": strict(copy.deepcopy(components))}
    return [f"{error.json_path}: {error.message}" for error in OAS31Validator(whole).iter_errors(value)]


def references(document: Any) -> Iterator[str]:
    """Give every `$ref` of a document."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(document, list):
        for value in document:
            yield from references(value)


def resolved(document: Schema, reference: str) -> Any:
    """Return what a reference within a document leads to; raises KeyError where it leads nowhere."""
    assert reference.startswith("#/"), reference
    found: Any = document
    for part in reference[2:].split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found
