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
        kind.__struct_config__.tag: {
            "name": kind.__struct_config__.tag,
            "summary": (kind.__doc__ or "").partition("\n")[0],
            "payload": schema,
        }
        for kind, schema in zip(kinds, schemas, strict=True)
    }
    names = {kind: kind.__struct_config__.tag for kind in kinds}
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
                "messages": {
                    _key(name): {"$ref": f"#/components/messages/{_key(name)}"} for name in messages
                },
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "command": _operation("receive", "What a viewer may say", [names[kind] for kind in COMMANDS]),
            "tell": _operation("send", "What the server says", [names[kind] for kind in SERVER_MESSAGES]),
        },
        "components": {
            "messages": {_key(name): message for name, message in messages.items()},
            "schemas": components,
        },
    }


def _operation(action: str, summary: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/live"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/live/messages/{_key(name)}"} for name in names],
    }


def _key(name: str) -> str:
    """Return a component key for a message's name: a JSON pointer without escapes."""
    return name.replace(".", "_")
