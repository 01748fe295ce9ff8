"""nchan, publish and subscribe in C inside nginx: the peer that is no Python, where it is installed."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.bench.ground import BenchError
from loadtests.stagehand import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    import httpx

    from loadtests.bench.ground import Ground

MODULE = "ngx_nchan_module.so"
FOLDERS = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")
NAMED = "NCHAN_MODULE"  # in the environment: where the module is, if elsewhere
SUBSCRIBE, PUBLISH = "/live", "/publish"

# One process: its CPU is nchan's, and nothing outlives it.
CONFIGURATION = """
load_module {module};
daemon off;
master_process off;
pid {folder}/pid;
worker_rlimit_nofile 15000;
events {{ worker_connections 14000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location = {subscribe} {{
      nchan_subscriber websocket;
      nchan_channel_id show;
      nchan_subscriber_first_message newest;
    }}
    location = {publish} {{
      nchan_publisher http;
      nchan_channel_id show;
      nchan_message_buffer_length 1;
    }}
  }}
}}
"""


def found() -> tuple[str, Path] | None:
    """Return nginx and nchan's module, or None where one of them is not installed."""
    places = [Path(os.environ[NAMED])] if NAMED in os.environ else [Path(each) / MODULE for each in FOLDERS]
    module, nginx = next((place for place in places if place.is_file()), None), shutil.which("nginx")
    return (nginx, module) if nginx and module else None


@contextmanager
def running(ground: Ground) -> Iterator[tuple[int, int]]:
    """Run nginx with nchan in the foreground and give (its port, its process id). Raises BenchError."""
    installed, port = found(), free_port()
    if installed is None:
        raise BenchError("nchan is not installed.")
    nginx, module = installed
    with tempfile.TemporaryDirectory(prefix="nchan-", dir=ground.folder) as folder:
        told = CONFIGURATION.format(
            module=module, folder=folder, port=port, subscribe=SUBSCRIBE, publish=PUBLISH
        )
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(told)
        command = [nginx, "-p", folder, "-e", f"{folder}/error.log", "-c", str(configuration)]
        with ground.listening("nchan", command, port) as pid:
            yield port, pid


def publisher(http: httpx.AsyncClient, port: int, event: bytes) -> Callable[[], Awaitable[None]]:
    """Return what publishes an event's bytes as a binary message."""

    async def publish() -> None:
        address, binary = f"http://127.0.0.1:{port}{PUBLISH}", {"Content-Type": "application/octet-stream"}
        answer = await http.post(address, content=event, headers=binary)
        answer.raise_for_status()

    return publish
