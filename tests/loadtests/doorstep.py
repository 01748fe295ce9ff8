"""A host's door with nothing behind it: it lists drops, and says which version it is."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOW = "sh_x"


@dataclass
class Doorstep:
    """What the door says; `broken`: it says that it cannot."""

    url: str
    drops: list[dict[str, Any]]
    broken: bool = False
    tokens: set[str | None] = field(default_factory=set)


@contextmanager
def doorstep(drops: list[dict[str, Any]]) -> Iterator[Doorstep]:
    """Give a door on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            door.tokens.add(self.headers["Authorization"])
            answers = {
                f"/v1/shows/{SHOW}/drops": {"items": door.drops, "next_cursor": None},
                "/openapi.json": {"info": {"version": "9.9"}},
            }
            body = json.dumps(answers.get(self.path, {})).encode()
            self.send_response(503 if door.broken else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        door = Doorstep(f"http://127.0.0.1:{server.server_address[1]}", drops)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield door
        finally:
            server.shutdown()
            thread.join()
