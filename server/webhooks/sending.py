"""One try: resolve, check, connect to the checked address, send, and say what came of it. Never raises for a receiver.

Every try has a connection of its own, made to the very address that was checked: a name that leads elsewhere a moment
later cannot switch, and no connection is shared between names. Host header, SNI and certificate are the name's.
Redirects are not followed, and proxies of the environment are not used: both would lead past the check.
"""

from __future__ import annotations

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from socket import SOCK_STREAM, getaddrinfo
from typing import TYPE_CHECKING, Any

import httpx

from server import metrics
from server.clock import monotonic
from server.webhooks import signing
from server.webhooks.schedule import wish
from server.webhooks.target import Refused, check, parsed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from server.webhooks.target import Address, Reach, Target

CONNECT_SECONDS = 3.0  # TCP, and TLS once more
WHOLE_SECONDS = 15.0  # from the name to the answer's status
DRAIN_SECONDS = 1.0  # for the rest of an answer: whoever sends it slowly has answered all the same
ANSWER_BYTES = 65_536  # of an answer that are read; nothing of them is kept
ADDRESSES = 3  # of a name that are tried one after the other, as long as none took the connection
RESOLVERS = 64  # threads: the system's resolver blocks, and a name that hangs has one of them, not all
GONE = 410
REDIRECTION = 3  # the hundreds of such a status
TIMEOUTS = {
    "connect": CONNECT_SECONDS,
    "read": WHOLE_SECONDS,
    "write": WHOLE_SECONDS,
    "pool": WHOLE_SECONDS,
}


class Outcome(StrEnum):
    """What came of a try."""

    DELIVERED = "delivered"  # 2xx
    REFUSED = "refused"  # any other answer
    REDIRECTED = "redirected"  # 3xx
    GONE = "gone"  # 410: the receiver wants nothing any more
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # no such name, no connection, no TLS, or it broke
    FORBIDDEN = "forbidden"  # by us: where the URL leads to


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a try: the answer's status where there was one, a sentence where it failed, how long it took.

    `wish_ms`: for how long the receiver wants to be left alone.
    """

    outcome: Outcome
    answer: int | None = None
    problem: str | None = None
    wish_ms: int = 0
    took_ms: int = 0

    @property
    def delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.outcome is Outcome.DELIVERED


@dataclass(frozen=True, slots=True)
class Letter:
    """A message on its way: its id, its body, and the secrets that sign it."""

    id: str
    content: bytes
    secrets: Sequence[str]


class Resolver:
    """The system's resolver, in threads of its own. A name is looked up once at a time, for all who wait for it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="webhook-resolver")
        self._under_way: dict[tuple[str, int], asyncio.Future[list[Any]]] = {}

    async def __call__(self, host: str, port: int) -> list[Address]:
        """Return a name's addresses in the order to try them in. Raises OSError."""
        name = host, port
        looking = self._under_way.get(name)
        if looking is None:
            loop = asyncio.get_running_loop()
            looking = self._under_way[name] = loop.run_in_executor(self._threads, _look_up, host, port)
            looking.add_done_callback(lambda ended: self._ended(name, ended))
        found = await asyncio.shield(looking)  # who gives up leaves the thread where it is
        return [ip_address(row[4][0]) for row in found]

    def close(self) -> None:
        """Let the threads go; one that hangs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ended(self, name: tuple[str, int], looking: asyncio.Future[list[Any]]) -> None:
        del self._under_way[name]
        if not looking.cancelled():
            looking.exception()  # looked at here too: whoever asked may have gone


def _look_up(host: str, port: int) -> list[Any]:
    try:
        return getaddrinfo(host, port, type=SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host[:64]!r} is no name") from error


class Sender:
    """Sends messages as far as `reach` allows. Close it with `aclose`."""

    def __init__(
        self,
        reach: Reach,
        resolve: Callable[[str, int], Awaitable[list[Address]]] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.reach = reach
        self._own = Resolver()
        self._resolve = resolve or self._own
        self._tls = tls
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def aclose(self) -> None:
        """Close what is open."""
        if self._transport is not None:
            await self._transport.aclose()
        self._own.close()

    async def _opened(self) -> httpx.AsyncHTTPTransport:
        """Return the transport alone: a client would keep cookies and could be told to follow. Made at first use."""
        if self._transport is None:
            # Reading the authorities takes tens of milliseconds, in which nobody would be served.
            tls = self._tls
            if tls is None:
                tls = await asyncio.to_thread(httpx.create_ssl_context)
            self._transport = self._transport or httpx.AsyncHTTPTransport(
                verify=tls,
                trust_env=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            )
        return self._transport

    async def addresses(self, target: Target) -> list[Address]:
        """Return the addresses that a target may be sent to: all of the name's, or Refused. Raises OSError."""
        found = await self._resolve(target.host, target.port)
        for address in found:
            check(target, address, self.reach)
        return found[:ADDRESSES]

    async def send(self, url: str, letter: Letter, now: int) -> Result:
        """Make one try at `now` (Unix ms) and return what came of it, within 15 s."""
        began = monotonic()
        result = await self._tried(url, letter, now)
        metrics.WEBHOOK_TRIES.labels(result.outcome.value).inc()
        took = int((monotonic() - began) * 1000)
        return Result(result.outcome, result.answer, result.problem, result.wish_ms, took)

    async def _tried(self, url: str, letter: Letter, now: int) -> Result:
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                target = parsed(url, self.reach)
                response = await self._answer(target, await self.addresses(target), letter, now)
        except Refused as refused:
            return Result(Outcome.FORBIDDEN, problem=f"Not sent: {refused}.")
        except (TimeoutError, httpx.TimeoutException):
            return Result(Outcome.TIMEOUT, problem="No answer in time.")
        except (OSError, httpx.TransportError) as error:
            return Result(Outcome.UNREACHABLE, problem=f"No answer: {_named(error)}.")
        try:
            await _drain(response)
        finally:
            await response.aclose()
        return _judged(response, now)

    async def _answer(
        self, target: Target, addresses: list[Address], letter: Letter, now: int
    ) -> httpx.Response:
        transport = await self._opened()
        for place, address in enumerate(addresses, 1):
            request = httpx.Request(
                "POST",
                target.at(address),
                content=letter.content,
                headers={
                    "Host": target.url.netloc.decode("ascii"),
                    "Content-Type": "application/json",
                    "User-Agent": "Livedrop",
                    "Accept-Encoding": "identity",
                    **signing.headers(letter.id, now, letter.content, letter.secrets),
                },
                extensions={"sni_hostname": target.host, "timeout": TIMEOUTS},
            )
            try:
                return await transport.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                # Nothing was sent yet: the name's next address may be reached.
                if place == len(addresses):
                    raise
        raise OSError("the name has no address")


async def _drain(response: httpx.Response) -> None:
    """Read a little of an answer, so that it can end well; its status was told, whatever becomes of this."""
    seen = 0
    with suppress(httpx.TransportError, TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for chunk in response.aiter_raw():
                seen += len(chunk)
                if seen >= ANSWER_BYTES:
                    return


def _judged(response: httpx.Response, now: int) -> Result:
    status = response.status_code
    if response.is_success:
        return Result(Outcome.DELIVERED, status)
    if response.status_code // 100 == REDIRECTION:
        return Result(Outcome.REDIRECTED, status, f"Answered {status}: redirects are not followed.")
    outcome = Outcome.GONE if status == GONE else Outcome.REFUSED
    wish_ms = wish(status, response.headers.get("retry-after"), now)
    return Result(outcome, status, f"Answered {status}.", wish_ms)


def _named(error: Exception) -> str:
    """Return what went wrong by its kind: the text of an error may hold addresses."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the certificate is not valid for the name"
        if isinstance(cause, ssl.SSLError):
            return "TLS failed"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
