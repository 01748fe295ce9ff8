"""The AsyncAPI 3.0 document of the live socket, made from the protocol's structs."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from server import __version__
from server.protocol.codec import Codec
from server.protocol.commands import AnyCommand
from server.protocol.events import SERVER_MESSAGES

REFERENCE = "#/components/schemas/{name}"
COMMANDS: tuple[Any, ...] = get_args(AnyCommand)


def asyncapi() -> dict[str, Any]:
    """Return the document: one channel, what viewers send, what the server sends."""
    kinds = [*COMMANDS, *SERVER_MESSAGES]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    messages = {
        _key(kind): {
            "name": _name(kind),
            "summary": (kind.__doc__ or "").partition("\n")[0],
            "payload": schema,
        }
        for kind, schema in zip(kinds, schemas, strict=True)
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Livedrop live socket",
            "version": __version__,
            "description": "Subprotocols: "
            + ", ".join(f"`{codec.value}`" for codec in Codec)
            + ". The first message is `hello`. One websocket message is one protocol message.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "live": {
                "address": "/v1/shows/{show}/live",
                "parameters": {"show": {"description": "the show's id"}},
                "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in messages},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "command": _operation("receive", "What a viewer may say", COMMANDS),
            "tell": _operation("send", "What the server says", SERVER_MESSAGES),
        },
        "components": {"messages": messages, "schemas": components},
    }


def _operation(action: str, summary: str, kinds: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/live"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/live/messages/{_key(kind)}"} for kind in kinds],
    }


def _name(kind: Any) -> str:
    return str(kind.__struct_config__.tag)


def _key(kind: Any) -> str:
    """Return a message's component key: a JSON pointer without escapes. An answer may be named as its command is."""
    key = _name(kind).replace(".", "_")
    return f"{key}_answer" if kind not in COMMANDS and _name(kind) in map(_name, COMMANDS) else key
