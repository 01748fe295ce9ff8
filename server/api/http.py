"""From a request to a use case and back: who calls, with what body, under which key; errors as RFC 9457 problems.

Every endpoint is an `Operation` of a table. The routes and the OpenAPI document are both made from it, so they
cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from server import ids, metrics, tracing
from server.api.trail import Trail
from server.auth import Identity, Right, Role
from server.checkout.idempotency import Idempotency, Run, Stored
from server.errors import TABLE, Code, Problem
from server.protocol.codec import explained, invalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from server.api.rooms import Rooms

MAX_BODY_BYTES = 65_536
MAX_DIGITS = 10  # of a number in a query
JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
# Operations that settle what a viewer holds: an address that others crowd does not keep them from being carried out.
PRESSING = frozenset({"checkout", "release", "waitlist_leave"})
# Operations of which hundreds may come in one moment and each asks much of the store: they wait for turns there.
LINED = frozenset({"checkout"})
NAMES = frozenset({"provider", "sku"})  # parts of a path that others have named; all others are ids of ours
# Answers that a key does not keep: nothing was decided, or only who asked was looked at.
UNDECIDED = frozenset(
    {Code.UNAVAILABLE, Code.RATE_LIMITED, Code.IN_PROGRESS, Code.IDEMPOTENCY_MISMATCH, Code.NOT_ALLOWED}
)

# Who calls an operation that asks for no token.
STRANGER = Identity(subject="", role=Role.SERVICE, shows=frozenset(), expires_at=0)

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Keyed(Enum):
    """What an operation thinks of the Idempotency-Key header."""

    NO = "no"
    ACCEPTED = "accepted"
    REQUIRED = "required"


@dataclass(slots=True)
class Call:
    """One request, checked: the caller, the path's ids, the query, the body, the key and the network address."""

    identity: Identity
    path: dict[str, str]
    query: dict[str, str]
    body: Any
    key: str | None
    address: str  # the caller's own where proxies are trusted to tell it; empty where it is not known
    rooms: Rooms
    headers: Mapping[str, str]
    touched: list[str] = field(default_factory=list)  # shows that it turned out to be about

    async def show(self) -> dict[str, Any]:
        """Return the show in the path; raise `not-found`, or `not-allowed` where the token is not for it."""
        view, _host = await self.owned_show(self.path["show"])
        return view

    async def owned_show(self, show: str) -> tuple[dict[str, Any], str]:
        """Return a show and its host, if the caller's token speaks for it."""
        view, host = await self.rooms.shows.find(show)
        self.touched.append(show)
        if not self.identity.covers(show, host):
            raise Problem(Code.NOT_ALLOWED, f"The token is not for show {show}.")
        return view, host

    async def seated_show(self) -> dict[str, Any]:
        """Return the show in the path to a viewer who takes something there; `rate-limited` where it has no seat."""
        view = await self.show()
        if self.rooms.waiting_room is not None:
            await self.rooms.waiting_room.require_seat(self.path["show"], self.identity.subject)
        return view

    def require_show(self, show: str) -> None:
        """Refuse a buyer whose token is for other shows: a subject is somebody only where the token says so.

        Whoever may mint tokens for one show could otherwise act for the same subject in another.
        """
        if not self.identity.covers(show):
            raise Problem(Code.NOT_ALLOWED, f"The token is not for show {show}.")

    async def require_own(self, viewer: str, show: str, what: str) -> None:
        """Refuse everybody but the viewer whose it is, and who runs the show that it belongs to."""
        if self.identity.role is Role.VIEWER and viewer == self.identity.subject:
            self.require_show(show)
            return
        if self.identity.may(Right.RUN):
            await self.require_books(show)
            return
        raise Problem(Code.NOT_ALLOWED, f"This {what} is somebody else's.")

    async def require_books(self, show: str) -> None:
        """Refuse who does not run this show; one that the store has let go of is known by the ledger."""
        try:
            await self.owned_show(show)
        except Problem as problem:
            if problem.code is not Code.NOT_FOUND:
                raise
            host = await self.rooms.orders.host_of(show)
            if host is None:
                raise
            if not self.identity.covers(show, host):
                raise Problem(Code.NOT_ALLOWED, f"The token is not for show {show}.") from None

    def number(self, name: str, default: int, most: int) -> int:
        """Return a whole number of the query between 1 and `most`."""
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdecimal() and len(text) < MAX_DIGITS and 1 <= int(text) <= most):
            raise invalid(f"{name}: a whole number from 1 to {most} is expected, given {text[:20]!r}.")
        return int(text)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer: a status, a body that encodes as JSON, None for none, and headers."""

    content: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint: how it is called, by whom, what goes in and out, and who answers.

    `right` is what the caller's token must give; None: no token is asked for, the handler finds out who calls.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Callable[[Call], Awaitable[Answer]]
    right: Right | None
    answer: Any
    body: Any = None  # a struct, `bytes` for a file, None where there is no body
    optional_body: bool = False
    status: int = 200
    also: dict[int, Any] = field(default_factory=dict)  # further good statuses and their shapes
    keyed: Keyed = Keyed.NO
    query: dict[str, str] = field(default_factory=dict)  # parameter -> meaning
    problems: tuple[Code, ...] = ()


def endpoint(operation: Operation, rooms: Rooms) -> Callable[[Request], Awaitable[Response]]:
    """Return the Starlette endpoint of an operation."""

    async def respond(request: Request) -> Response:
        outcome, response, trail = "ok", None, Trail()
        try:
            with tracing.request(operation.name, request.headers):
                response = await _carry_out(operation, rooms, request, trail)
                return response
        except Problem as problem:
            outcome = problem.code.value
            return problem_response(problem)
        except Exception:
            outcome = "bug"
            log.exception("request.failed", operation=operation.name)
            raise
        finally:
            metrics.COMMANDS.count(f"http.{operation.name}", outcome)
            trail.close(operation, rooms, request, response, outcome)

    return respond


def problem_response(problem: Problem) -> Response:
    """Return a problem as its HTTP response."""
    headers = {}
    if "retry_after_ms" in problem.extras and problem.status in {429, 503}:
        headers["Retry-After"] = str(-(-problem.extras["retry_after_ms"] // 1000))
    if problem.code is Code.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    body = msgspec.json.encode(problem.document())
    return Response(body, problem.status, headers, media_type=PROBLEM_JSON)


async def _carry_out(operation: Operation, rooms: Rooms, request: Request, trail: Trail) -> Response:
    identity = STRANGER
    address = request.client.host if request.client else ""
    if operation.right is not None:
        if operation.name not in PRESSING:
            rooms.limits.require_address(address)
        identity = _authenticated(request, rooms, address)
        rooms.limits.require_caller(identity, _scope(identity))
        trail.identity = identity
        identity.require(operation.right)
    path = _path(request)
    key = request.headers.get("idempotency-key")
    if key is None and operation.keyed is Keyed.REQUIRED:
        raise Problem(
            Code.IDEMPOTENCY_KEY_REQUIRED, f"{operation.method} {operation.path} needs an Idempotency-Key."
        )
    limit = rooms.settings.import_bytes if operation.body is bytes else MAX_BODY_BYTES
    raw = await _read(request, limit)
    call = trail.call = Call(
        identity=identity,
        path=path,
        query=dict(request.query_params),
        body=_body(operation, raw),
        key=key if operation.keyed is not Keyed.NO else None,
        address=address,
        rooms=rooms,
        headers=request.headers,
    )
    if call.key is None:
        return _response(await operation.handler(call))
    run = await rooms.idempotency.begin(
        _scope(identity),
        operation.method,
        request.url.path,
        call.key,
        _canonical(operation, call.query, raw),
        lined=operation.name in LINED,
    )
    if isinstance(run, Stored):
        if "show" in call.path:
            await call.show()  # a repeat is told no more than its token allows
        kind = JSON if run.status < min(meaning.status for meaning in TABLE.values()) else PROBLEM_JSON
        return Response(run.body, run.status, {"Idempotent-Replayed": "true"}, media_type=kind)
    return await _run_once(operation, call, run, rooms.idempotency)


def _scope(identity: Identity) -> str:
    """Return who a key belongs to: a namesake in another role, or for other shows, must not get its answers."""
    return "\n".join([identity.role, identity.subject, *sorted(identity.shows)])


async def _run_once(operation: Operation, call: Call, run: Run, idempotency: Idempotency) -> Response:
    """Run under the key and store what was decided; free the key where nothing was."""
    try:
        response = _response(await operation.handler(call))
    except Problem as problem:
        if problem.code in UNDECIDED:
            await idempotency.finish(run, 0, b"")
        else:
            await idempotency.finish(run, problem.status, msgspec.json.encode(problem.document()))
        raise
    await idempotency.finish(run, response.status_code, bytes(response.body))
    return response


def _response(answer: Answer) -> Response:
    if answer.content is None:
        return Response(status_code=answer.status, headers=answer.headers)
    return Response(msgspec.json.encode(answer.content), answer.status, answer.headers, media_type=JSON)


def _authenticated(request: Request, rooms: Rooms, address: str) -> Identity:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem(Code.UNAUTHENTICATED, "An Authorization header with a Bearer token is needed.")
    return rooms.limits.sign_in(rooms.tokens.verify, token.strip(), address)


def _path(request: Request) -> dict[str, str]:
    """Return the path's parts. What cannot be an id is `not-found` here: PostgreSQL, for one, takes no NUL at all."""
    path: dict[str, str] = dict(request.path_params)
    for part, value in path.items():
        if part not in NAMES and not ids.is_id(value):
            raise Problem(Code.NOT_FOUND, f"There is no {part} {value[:64]!r}.")
    return path


async def _read(request: Request, limit: int) -> bytes:
    """Return the body; refuse it as soon as it is known to be larger than `limit` bytes."""
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise Problem(Code.PAYLOAD_TOO_LARGE, f"The body is larger than {limit} bytes.")
            chunks.append(chunk)
    except ClientDisconnect:
        raise invalid(f"The caller left after {size} bytes of the body.") from None
    return b"".join(chunks)


def _body(operation: Operation, raw: bytes) -> Any:
    if operation.body is None or operation.body is bytes:
        return raw
    if not raw.strip() and operation.optional_body:
        return operation.body()
    return decoded(raw, operation.body)


def decoded(raw: bytes, kind: type[T]) -> T:
    """Return the struct in a JSON body, or raise `invalid-message` that names the field and the value."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise invalid(f"The body is not valid JSON: {error}.") from None
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise explained(error, value) from None


def _canonical(operation: Operation, query: dict[str, str], raw: bytes) -> bytes:
    """Return what is asked in a form that is equal for equal JSON, whatever its spaces and the order of its fields."""
    asked = msgspec.json.encode(query, order="sorted") if query else b""
    if operation.body in {None, bytes} or not raw.strip():
        return asked + raw
    return asked + msgspec.json.encode(msgspec.json.decode(raw), order="sorted")
