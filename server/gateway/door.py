"""The websocket door: an ASGI app that decides about a handshake, then hands the connection to a `Viewer`.

Refusals are problem documents (RFC 9457) in place of the handshake. What the app knows of the connection ends with
the hand-over: hello, commands and the farewell are the viewer's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from server import metrics
from server.auth import Identity, Right, Role
from server.challenge import Challenges
from server.clock import monotonic
from server.errors import Code, Problem, unavailable
from server.gateway.admission import Queue
from server.gateway.frames import SHARED_WINDOW, Format
from server.gateway.viewer import Viewer
from server.gateway.wire import HAND_OVER
from server.protocol.codec import Codec, negotiate

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from server.auth import Tokens
    from server.challenge import Challenge
    from server.gateway.admission import Admission
    from server.gateway.dispatch import Dispatch
    from server.gateway.drain import Drain
    from server.gateway.hub import Hub
    from server.gateway.lobby import Lobby
    from server.gateway.timers import Timers
    from server.limits.limits import Limits
    from server.protocol.commands import Proof
    from server.settings import Settings
    from server.shows.shows import Shows

PROBLEM_JSON = b"application/problem+json"  # RFC 9457
KNOWN_SECONDS = 60.0  # a show that was found needs no other look for so long
MAX_KNOWN = 10_000  # shows; beyond it all are looked up anew


class Gateway:
    """Everything that a connection needs, and the way in."""

    def __init__(  # noqa: PLR0913  each is a room of its own
        self,
        *,
        tokens: Tokens,
        shows: Shows,
        hub: Hub,
        dispatch: Dispatch,
        drain: Drain,
        timers: Timers,
        admission: Admission,
        limits: Limits,
        settings: Settings,
        now_ms: Callable[[], int],
        lobby: Lobby | None = None,
    ) -> None:
        self._tokens = tokens
        self._shows = shows
        self._drain = drain
        self._admission = admission
        self._limits = limits
        self._joiners = Queue(settings.joins_per_second or 1)  # those who were sent away
        self._hosts: dict[str, tuple[str, float]] = {}
        bits = settings.challenge_bits
        self._challenges = Challenges(settings.secret_key(), bits, now_ms) if bits else None
        self.now_ms = now_ms  # of the store's clock
        self.lobby = lobby  # where shows have a capacity
        self.hub = hub
        self.dispatch = dispatch
        self.timers = timers
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide about one handshake to `/v1/shows/{show}/live`."""
        await receive()  # ASGI: `websocket.connect` comes first
        address = scope["client"][0] if scope["client"] else ""
        try:
            self._admission.admit(address, monotonic())
        except Problem as problem:
            await _refuse(send, problem)
            return
        try:
            codec, show, host = await self._handshake(scope)
            await _accept(scope, send, codec)
        except (Problem, TimeoutError) as error:
            self._admission.release(address)
            late = unavailable("The store does not answer in time.")
            await _refuse(send, error if isinstance(error, Problem) else late)
            return
        except BaseException:
            self._admission.release(address)
            raise
        self._hand_over(scope, codec, show, host, address)

    def admit(self, token: str, show: str, host: str, address: str) -> Identity:
        """Return who a token speaks for. Raises `unauthenticated`, `not-allowed`, and `rate-limited` unlooked."""
        identity = self._limits.sign_in(self._tokens.verify, token, address)
        if show in identity.barred:
            raise Problem(Code.UNAUTHENTICATED, f"The token was revoked for show {show}.")
        if not identity.covers(show, host):
            raise Problem(Code.NOT_ALLOWED, f"The token is not for show {show}.")
        identity.require(Right.WATCH)
        return identity

    def challenge(self, identity: Identity, show: str, proof: Proof | None) -> Challenge | None:
        """Return the work that an anonymous viewer has to do first, None where nothing is asked for, or it is done."""
        if self._challenges is None or not identity.anonymous:
            return None
        subject = identity.subject
        if proof is not None and self._challenges.holds(show, subject, proof.nonce, proof.answer):
            return None
        metrics.CHALLENGES.inc()
        return self._challenges.ask(show, subject)

    def require_join(self, role: Role, show: str) -> None:
        """Count one who joins a show. Raises `rate-limited`, for each with another moment to come back at.

        Hosts and moderators are not counted: a show with a crowd before its door needs them most. Where there is a
        waiting room nobody is: it gives turns at that pace.
        """
        wait = self._limits.join(show) if role is Role.VIEWER and self.lobby is None else 0.0
        if wait:
            detail = "Too many viewers join this show at once."
            wait_ms = self._joiners.place(monotonic(), wait)
            raise Problem(Code.RATE_LIMITED, detail, retry_after_ms=wait_ms)

    def left(self, viewer: Viewer) -> None:
        """Forget a connection that is gone."""
        metrics.CONNECTIONS.dec()
        self._admission.release(viewer.address)
        self.hub.leave(viewer)
        if self.lobby is not None:
            self.lobby.leave(viewer)

    async def _handshake(self, scope: Scope) -> tuple[Codec, str, str]:
        require_origin(scope, self.settings.allowed_origins)
        offered = scope["subprotocols"]
        codec = negotiate(offered)
        if codec is None:
            known = ", ".join(codec.value for codec in Codec)
            detail = f"None of the {len(offered)} offered subprotocols is known; this server speaks {known}."
            raise BadHandshakeError(Code.INVALID_MESSAGE, detail)
        show = scope["path_params"]["show"]
        host = await self._host(show)
        if self._drain.leaving:  # asked last: from here to the hand-over nothing else happens
            raise unavailable("This server is leaving; another one takes the connection.")
        return codec, show, host

    async def _host(self, show: str) -> str:
        """Return who made a show. Raises `not-found`, `unavailable`."""
        host, known_until = self._hosts.get(show, ("", 0.0))
        if monotonic() < known_until:
            return host
        async with asyncio.timeout(self.settings.handshake_seconds):
            _view, host = await self._shows.find(show)
        if len(self._hosts) >= MAX_KNOWN:
            self._hosts.clear()
        self._hosts[show] = host, monotonic() + KNOWN_SECONDS
        return host

    def _hand_over(self, scope: Scope, codec: Codec, show: str, host: str, address: str) -> None:
        def successor(window: int) -> Viewer:
            metrics.CONNECTIONS.inc()  # and from here on `left` will be called
            # Shared frames use the whole window: who agreed to a smaller one is sent plain ones, as everybody may be.
            form = Format.of(codec, deflate=window == SHARED_WINDOW)
            return Viewer(self, form, show, inflate=window > 0, host=host, address=address)

        if not scope["extensions"][HAND_OVER](successor):
            self._admission.release(address)


class BadHandshakeError(Problem):
    """A handshake that cannot become a conversation: answered with 400."""

    @property
    def status(self) -> int:
        """Return 400: the request itself is wrong."""
        return 400


def require_origin(scope: Scope, allowed: tuple[str, ...]) -> None:
    """Refuse a browser page of a foreign origin; exact match, or the very host that was asked.

    Programs that are no browsers send no Origin and are let through: their token decides.
    """
    headers = dict(scope["headers"])
    if b"origin" not in headers:
        return
    origin, host = headers[b"origin"], headers.get(b"host", b"")
    own = origin in (b"http://" + host, b"https://" + host)
    if not own and origin.decode("latin-1") not in allowed and "*" not in allowed:
        raise Problem(Code.NOT_ALLOWED, "This origin may not connect; name it in LIVEDROP_ALLOWED_ORIGINS.")


async def _accept(scope: Scope, send: Send, codec: Codec) -> None:
    metrics.HANDSHAKES.labels("accepted").inc()
    subprotocol = codec.value if scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})


async def _refuse(send: Send, problem: Problem) -> None:
    """Answer with a problem document in place of the handshake (ASGI's denial response)."""
    metrics.HANDSHAKES.labels(problem.code.value).inc()
    headers = [(b"content-type", PROBLEM_JSON)]
    wait_ms = problem.extras.get("retry_after_ms")
    if wait_ms is not None:
        headers.append((b"retry-after", str(-(-wait_ms // 1000)).encode()))
    body = msgspec.json.encode(problem.document())
    await send({"type": "websocket.http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
