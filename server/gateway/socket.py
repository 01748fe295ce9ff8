"""The websocket door: handshake, hello, recovery, and then one viewer's commands until either side ends it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from starlette.responses import JSONResponse
from starlette.websockets import WebSocketDisconnect, WebSocketState

from server import metrics
from server.auth import Identity, Right, Role
from server.clock import monotonic, now_ms
from server.errors import (
    CLOSE_LEAVING,
    CLOSE_NO_TOKEN,
    CLOSE_NOT_ALLOWED,
    CLOSE_POSITION_LOST,
    CLOSE_TOKEN_EXPIRED,
    Close,
    Code,
    Problem,
    unavailable,
)
from server.eventlog import recovery
from server.gateway.dispatch import Caller
from server.gateway.frames import Frame
from server.gateway.hub import TooManySocketsError
from server.gateway.viewer import CLOSE_SECONDS, Viewer, close_reason
from server.gateway.wire import abort
from server.ids import new_session
from server.protocol.codec import Codec, negotiate
from server.protocol.commands import Hello, Since, Token
from server.protocol.events import error_message
from server.protocol.session import RateLimit, Refused, Session

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from server.auth import Tokens
    from server.gateway.dispatch import Dispatch
    from server.gateway.drain import Drain
    from server.gateway.hub import Hub
    from server.settings import Settings
    from server.shows.shows import Shows
    from server.store.scripts import Scripts

PROBLEM_JSON = "application/problem+json"  # RFC 9457

log = structlog.get_logger(__name__)


class Gateway:
    """Everything a connection needs, and its life from handshake to close."""

    def __init__(  # noqa: PLR0913  each is a room of its own
        self,
        *,
        scripts: Scripts,
        tokens: Tokens,
        shows: Shows,
        hub: Hub,
        dispatch: Dispatch,
        drain: Drain,
        settings: Settings,
    ) -> None:
        self._scripts = scripts
        self._tokens = tokens
        self._shows = shows
        self._hub = hub
        self._dispatch = dispatch
        self._drain = drain
        self._settings = settings

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection to `/v1/shows/{show}/live`."""
        show = websocket.path_params["show"]
        try:
            codec, host = await self._handshake(websocket, show)
        except Problem as problem:
            document = JSONResponse(problem.document(), problem.status, media_type=PROBLEM_JSON)
            await websocket.send_denial_response(document)
            return
        offered = websocket.scope["subprotocols"]
        await websocket.accept(subprotocol=codec.value if offered else None)
        metrics.CONNECTIONS.inc()
        try:
            with suppress(WebSocketDisconnect, RuntimeError):
                async with asyncio.timeout(self._settings.hello_seconds + CLOSE_SECONDS) as patience:
                    await self._converse(websocket, codec, show, host, patience)
        except TimeoutError:
            abort(websocket)  # the peer reads nothing: a close frame would wait for ever
        finally:
            metrics.CONNECTIONS.dec()

    async def _handshake(self, websocket: WebSocket, show: str) -> tuple[Codec, str]:
        if self._drain.leaving:
            raise unavailable("This server is leaving; another one takes the connection.")
        require_origin(websocket, self._settings.allowed_origins)
        offered = websocket.scope["subprotocols"]
        codec = negotiate(offered)
        if codec is None:
            known = ", ".join(codec.value for codec in Codec)
            detail = f"None of the {len(offered)} offered subprotocols is known; this server speaks {known}."
            raise BadHandshakeError(Code.INVALID_MESSAGE, detail)
        _view, host = await self._shows.find(show)
        return codec, host

    async def _converse(
        self, websocket: WebSocket, codec: Codec, show: str, host: str, patience: asyncio.Timeout
    ) -> None:
        session = Session(codec, RateLimit(self._settings.messages_per_second, self._settings.message_burst))
        hello = await self._hello(websocket, session)
        if hello is None:
            return
        try:
            identity = self._admit(hello.token, show, host)
        except Problem as problem:
            code = CLOSE_NO_TOKEN if problem.code is Code.UNAUTHENTICATED else CLOSE_NOT_ALLOWED
            await _close(websocket, code, problem.detail)
            return
        viewer = Viewer(websocket, codec, identity.subject, self._settings.viewer_buffer_bytes)
        viewer.counts = identity.role is Role.VIEWER
        viewer.patience = patience
        patience.reschedule(None)  # from here on `close` starts it again
        caller = Caller(show, identity)
        writer = asyncio.create_task(viewer.write())
        try:
            await self._join(session, viewer, caller, hello.since)
            if self._drain.leaving:
                viewer.close(CLOSE_LEAVING, "server is leaving", retry_after_ms=1000)
            await self._listen(websocket, session, viewer, caller, host)
        except asyncio.CancelledError:
            writer.cancel()
            raise
        finally:
            await self._hub.leave(show, viewer)
            if not viewer.closing or websocket.client_state is WebSocketState.DISCONNECTED:
                writer.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await writer

    async def _hello(self, websocket: WebSocket, session: Session) -> Hello | None:
        try:
            async with asyncio.timeout(self._settings.hello_seconds):
                data, binary = await _receive(websocket)
        except TimeoutError:
            seconds = self._settings.hello_seconds
            await _close(websocket, CLOSE_NO_TOKEN, f"No hello within {seconds:g} s.")
            return None
        command = session.receive(data, binary=binary, now=monotonic())
        if isinstance(command, Hello):
            return command
        await _close(websocket, CLOSE_NO_TOKEN, command.reason if isinstance(command, Refused) else "")
        return None

    def _admit(self, token: str, show: str, host: str) -> Identity:
        identity = self._tokens.verify(token)
        if not identity.covers(show, host):
            raise Problem(Code.NOT_ALLOWED, f"The token is not for show {show}.")
        identity.require(Right.WATCH)
        return identity

    async def _join(self, session: Session, viewer: Viewer, caller: Caller, since: Since | None) -> None:
        """Enter the room first and let events wait, look at the log, tell what was missed, then go live."""
        try:
            limit = await self._hub.enter(caller.show, viewer)
            joined = await self._look(caller, since)
        except TooManySocketsError as error:
            viewer.close(error.close, str(error))
            return
        except (Problem, TimeoutError) as error:
            viewer.close(CLOSE_POSITION_LOST, f"cannot join now: {error}", retry_after_ms=1000)
            return
        session.go_live(limit)
        viewer.send(_welcome(joined, caller))
        _go_live(viewer, joined)

    async def _look(self, caller: Caller, since: Since | None) -> recovery.Joined:
        """Look at the log for a viewer; who has missed more than they could take at once gets the full picture."""
        show, subject = caller.show, caller.identity.subject
        if since is not None:
            joined = await recovery.join(self._scripts, show, subject, since.epoch, since.offset)
            if sum(len(entry.packed) for entry in joined.missed) <= self._settings.viewer_buffer_bytes // 4:
                return joined
        return await recovery.join(self._scripts, show, subject, "", 0)

    async def _listen(
        self, websocket: WebSocket, session: Session, viewer: Viewer, caller: Caller, host: str
    ) -> None:
        while True:
            try:
                async with asyncio.timeout(_seconds_left(caller.identity)):
                    data, binary = await _receive(websocket)
            except TimeoutError:
                viewer.close(CLOSE_TOKEN_EXPIRED, "the token has expired", retry_after_ms=0)
                return
            command = session.receive(data, binary=binary, now=monotonic())
            if isinstance(command, Refused):
                if command.answer is not None:
                    viewer.send(command.answer)
                    metrics.COMMANDS.labels("refused", command.answer["code"]).inc()
                if command.close is not None:
                    viewer.close(command.close, command.reason, 1000 if command.close.reconnects else None)
                    return
            elif isinstance(command, Token):
                viewer.send(self._renew(command.token, caller, host))
            else:
                answer = await self._dispatch.answer(caller, command)
                if answer is not None:
                    viewer.send(answer)

    def _renew(self, token: str, caller: Caller, host: str) -> dict[str, Any]:
        """Take a fresh token of the same subject; a bad one changes nothing."""
        try:
            identity = self._admit(token, caller.show, host)
        except Problem as problem:
            return error_message(problem)
        if identity.subject != caller.identity.subject or identity.role is not caller.identity.role:
            return error_message(Problem(Code.NOT_ALLOWED, "The fresh token is somebody else's."))
        caller.identity = identity
        return {"type": "ok"}


class BadHandshakeError(Problem):
    """A handshake that cannot become a conversation: answered with 400."""

    @property
    def status(self) -> int:
        """Return 400: the request itself is wrong."""
        return 400


def require_origin(websocket: WebSocket, allowed: tuple[str, ...]) -> None:
    """Refuse a browser page of a foreign origin; exact match, or the very host that was asked.

    Programs that are no browsers send no Origin and are let through: their token decides.
    """
    origin = websocket.headers.get("origin")
    if origin is None or origin in allowed or "*" in allowed:
        return
    with suppress(ValueError):  # no address at all
        parts = urlsplit(origin)
        if parts.scheme in {"http", "https"} and parts.netloc == websocket.headers.get("host"):
            return
    raise Problem(Code.NOT_ALLOWED, "This origin may not connect; name it in LIVEDROP_ALLOWED_ORIGINS.")


def _welcome(joined: recovery.Joined, caller: Caller) -> dict[str, Any]:
    welcome: dict[str, Any] = {
        "type": "welcome",
        "session": new_session(),
        "viewer": caller.identity.subject,
        "epoch": joined.epoch,
        "offset": joined.offset,
        "server_time_at": joined.server_time_at,
        "recovered": joined.recovered,
    }
    if joined.recovered:
        return {**welcome, "missed": len(joined.missed), "reservations": joined.reservations}
    return {**welcome, "snapshot": joined.snapshot}


def _go_live(viewer: Viewer, joined: recovery.Joined) -> None:
    """Deliver what was missed, then what came while joining; no await in between, so nothing slips in."""
    viewer.offset = joined.offset - len(joined.missed)
    viewer.revisions = joined.revisions
    for entry in joined.missed:
        viewer.deliver(Frame(entry.packed, entry.offset))
    for stock in joined.stocks:
        viewer.send({"type": "stock.updated", **stock})
    early, viewer.early = viewer.early, []
    for frame in early:
        viewer.deliver(frame)


def _seconds_left(identity: Identity) -> float:
    return max(0.0, (identity.expires_at - now_ms()) / 1000)


async def _receive(websocket: WebSocket) -> tuple[bytes, bool]:
    """Return the next message's bytes and whether it was binary; raises WebSocketDisconnect at the end."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    return (text.encode(), False) if text is not None else (message["bytes"], True)


async def _close(websocket: WebSocket, code: Close, text: str) -> None:
    metrics.CLOSED.labels(str(int(code))).inc()
    await websocket.close(code, close_reason(code, text, 1000 if code.reconnects else None))
