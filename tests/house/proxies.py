"""nginx and HAProxy as docs/proxies has them: the very files, with our own ports, names and certificate put in."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.house.tree import ROOT
from tests.server import free_port
from tests.waiting import wait_until
from tests.webhooks.certificates import served_as

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = ROOT / "docs" / "proxies"
NAME = "localhost"
SECONDS = 20.0
HEAD_SECONDS = ("client_header_timeout 5s", "timeout http-request 5s")  # a test need not wait for all of them


class MissingError(Exception):
    """The proxy is not installed; the sentence says how to get it."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One that runs: its ports for TLS and for plain HTTP, and the context of a client that believes it."""

    name: str
    port: int
    plain_port: int
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"https://127.0.0.1:{self.port}"

    def raw(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own and return all that comes until the proxy ends it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as plain:
            connection = self.trust.wrap_socket(plain, server_hostname=NAME, suppress_ragged_eofs=True)
            with connection, suppress(ConnectionError):
                with suppress(ConnectionError):
                    connection.sendall(data)
                return b"".join(iter(lambda: connection.recv(65_536), b""))
        return b""


def binary(name: str) -> str:
    """Return the path of a proxy's program. Raises MissingError."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MissingError(f"The tests of docs/proxies need {name}: as root, apt-get install {name}")
    return found


def put_in(text: str, replacements: dict[str, str]) -> str:
    """Return a configuration with other values; each must be there, or another file than the shown one is tested."""
    for shown, ours in replacements.items():
        assert shown in text, f"{shown!r} does not stand in the file any more"
        text = text.replace(shown, ours)
    return text


@contextmanager
def running(name: str, folder: Path, upstream: int) -> Iterator[Proxy]:
    """Run a proxy in front of the server at a port of this machine."""
    _, trust = served_as(NAME, folder)
    trust.check_hostname = False  # it is reached by its address: the name may be IPv6 first
    proxy = Proxy(name, free_port(), free_port(), trust)
    shown = (FOLDER / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[name]).read_text(encoding="utf-8")
    text = put_in(shown, _replacements(proxy, folder, upstream))
    file = folder / f"{name}.conf"
    file.write_text(text)
    program = binary(name)
    command = {
        "nginx": [program, "-p", str(folder), "-c", str(file), "-g", "daemon off;"],
        "haproxy": [program, "-db", "-f", str(file)],
    }[name]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: _listens(process, proxy, folder), f"{name} listens")
        yield proxy
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _replacements(proxy: Proxy, folder: Path, upstream: int) -> dict[str, str]:
    common = {
        "/etc/livedrop/tls.pem": str(folder / f"{NAME}.pem"),
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "127.0.0.1:8001": f"127.0.0.1:{upstream}",
    }
    if proxy.name == "haproxy":
        return {
            **common,
            "bind :80\n": f"bind 127.0.0.1:{proxy.plain_port}\n",
            "bind :443 ssl": f"bind 127.0.0.1:{proxy.port} ssl",
            "maxconn 65536": "maxconn 1000",
            HEAD_SECONDS[1]: "timeout http-request 1s",
        }
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    own = " ".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    return {
        **common,
        "listen 80 default_server": f"listen 127.0.0.1:{proxy.plain_port} default_server",
        "listen 443 ssl": f"listen 127.0.0.1:{proxy.port} ssl",
        "user www-data;": f"user {getpass.getuser()};",
        "/run/nginx.pid": str(folder / "nginx.pid"),
        "/var/log/nginx/error.log": str(folder / "error.log"),
        "server_tokens off;": f"server_tokens off; {own}",
        HEAD_SECONDS[0]: "client_header_timeout 1s",
    }


def _listens(process: subprocess.Popen[bytes], proxy: Proxy, folder: Path) -> bool:
    said = (folder / f"{proxy.name}.log").read_text(errors="replace")
    assert process.poll() is None, f"{proxy.name} ended with {process.returncode}:\n{said}"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", proxy.port)) == 0
