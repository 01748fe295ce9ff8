"""One server process: its configuration, its socket, and leaving in good order."""

from __future__ import annotations

import signal
import socket
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import uvicorn
from rich.markup import escape

from server import tracing
from server.cli.home import fail
from server.clock import monotonic
from server.gateway.front import front
from server.gateway.wire import DeflatingWire, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from server.settings import Settings

BACKLOG = 4096
KEEP_ALIVE_SECONDS = 75  # longer than what load balancers keep idle connections for


class Server(uvicorn.Server):
    """uvicorn's server that tells its viewers before it leaves."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close as uvicorn does."""
        app: Any = self.config.app  # not `loaded_app`, which may have uvicorn's middleware around it
        grace = self.config.timeout_graceful_shutdown or 0
        began = monotonic()
        await app.state.drain.drain(grace / 2)
        # Requests under way get what is left of the same grace time, and at least a moment.
        self.config.timeout_graceful_shutdown = max(1, int(grace - (monotonic() - began)))
        await super().shutdown(sockets)


class Leaving(BaseException):
    """Raised in the main thread by a signal to leave."""


def config(settings: Settings, application: Any) -> uvicorn.Config:
    """Return uvicorn's configuration for the app."""
    return uvicorn.Config(
        application,
        http=front(settings),
        ws=DeflatingWire if settings.deflate else Wire,
        ws_max_size=settings.message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # the gateway has its own
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=trusted(settings.trusted_proxies),
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.drain_seconds,
    )


def trusted(proxies: Sequence[str]) -> list[str]:
    """Return the proxies for uvicorn, IPv4 ones also as a socket that listens on IPv6 sees them (RFC 4291, 2.5.5.2)."""
    plain = [network for network in map(ip_network, proxies) if network.version == 4]  # noqa: PLR2004
    mapped = [f"::ffff:{network.network_address}/{96 + network.prefixlen}" for network in plain]
    return [*proxies, *mapped]


def bind(settings: Settings) -> socket.socket:
    """Return a bound socket, or end the command where the address is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        raise fail(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Choose another one with --port, or 0 for any that is free."
        ) from None
    return bound


@contextmanager
def traced(settings: Settings) -> Iterator[None]:
    """Tell the collector of the settings what happens here, if they name one; what waits is sent at the end."""
    try:
        with tracing.telling(settings.otlp_endpoint, settings.otlp_share):
            yield
    except tracing.TracingError as error:
        raise fail(escape(str(error))) from None


@contextmanager
def leaving_quietly() -> Iterator[None]:
    """End without an error on SIGTERM and SIGINT: being told to leave is no failure."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    with suppress(Leaving):
        yield


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise Leaving
