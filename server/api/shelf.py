"""Files as they are sent: read, hashed and compressed once, and served from memory.

Nothing here touches the file system while it serves, so no path can lead out of the folder.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.requests import Request

FOR_EVER = "public, max-age=31536000, immutable"
ASK_FIRST = "no-cache"
TAG_LETTERS = 16
GZIP_LEVEL = 9
LEAST_TO_PACK = 256  # bytes: below, the envelope eats what is won
TEMPLATES = frozenset({".html"})  # pages in the making, of no use to a browser
# The types that pages depend on are not left to what a machine's own list says.
TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".ts": "text/plain",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """One content, plain and, where that is shorter, compressed; `tag` names it as an ETag does."""

    plain: bytes
    packed: bytes | None
    tag: str
    media_type: str


def sheet(content: bytes, media_type: str) -> Sheet:
    """Return a content ready to be sent. Equal contents are equal sheets, whenever they were made."""
    packed = None
    if len(content) >= LEAST_TO_PACK:
        squeezed = gzip.compress(content, GZIP_LEVEL, mtime=0)
        packed = squeezed if len(squeezed) < len(content) else None
    return Sheet(content, packed, hashlib.sha256(content).hexdigest()[:TAG_LETTERS], media_type)


def respond(request: Request, found: Sheet, headers: Mapping[str, str]) -> Response:
    """Return a sheet as its response: compressed for who takes that, 304 for who has it already."""
    packed = found.packed is not None and takes_gzip(request.headers.get("accept-encoding", ""))
    tag = f'"{found.tag}-gzip"' if packed else f'"{found.tag}"'
    told = {**headers, "ETag": tag, "Vary": ", ".join(filter(None, [headers.get("Vary"), "Accept-Encoding"]))}
    if _has(request.headers.get("if-none-match", ""), found.tag):
        return Response(status_code=304, headers=told)
    if packed and found.packed is not None:
        return Response(
            found.packed, headers={**told, "Content-Encoding": "gzip"}, media_type=found.media_type
        )
    return Response(found.plain, headers=told, media_type=found.media_type)


def takes_gzip(accept: str) -> bool:
    """Whether an Accept-Encoding names gzip, and not with a weight of nothing."""
    for part in accept.lower().split(","):
        name, _, weight = part.replace(" ", "").partition(";q=")
        if name in {"gzip", "*"}:
            return weight.strip("0.") != "" or weight == ""
    return False


def _has(condition: str, tag: str) -> bool:
    """Whether an If-None-Match names the tag: weak or strong, of either coding, for both are the same content."""
    named = [part.strip().removeprefix("W/").strip('"') for part in condition.split(",")]
    return "*" in named or tag in named or f"{tag}-gzip" in named


class Shelf:
    """The files of a folder by their paths in it. `version` changes with any of them."""

    def __init__(self, folder: Path) -> None:
        self.sheets = {
            path.relative_to(folder).as_posix(): sheet(path.read_bytes(), _type(path))
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix not in TEMPLATES and not path.name.startswith(".")
        }
        names = "\n".join(f"{name} {found.tag}" for name, found in self.sheets.items())
        self.version = hashlib.sha256(names.encode()).hexdigest()[:TAG_LETTERS]


def _type(path: Path) -> str:
    return TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
