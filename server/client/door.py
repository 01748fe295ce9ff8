"""The HTTP door for a viewer's program: one request, or a checkout that keeps its key until the answer is known."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from server import ids
from server.client.backoff import pause
from server.client.failures import LiveDropError
from server.clock import monotonic
from server.errors import Code

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.client.credential import Credential
    from server.client.server_clock import ServerClock
    from server.protocol.events import Message

ANSWER_SECONDS = 20.0
CHECKOUT_SECONDS = 60.0
MOST_UNANSWERED = 100  # checkouts whose keys are kept; one more is refused before it is sent

_canonical = msgspec.json.Encoder(order="deterministic").encode


class Door:
    """Requests with the viewer's token. Close it with `aclose`."""

    def __init__(
        self, url: str, credential: Credential, clock: ServerClock, chance: Callable[[], float] = ids.chance
    ) -> None:
        self._url = url
        self._credential = credential
        self._clock = clock
        self._chance = chance
        self._http: httpx.AsyncClient | None = None
        self._closed = False
        self._unanswered: dict[bytes, str] = {}  # body -> key, of checkouts that may have happened

    async def aclose(self) -> None:
        """Close the connections; no request is made any more."""
        self._closed = True
        if self._http is not None:
            await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        key: str | None = None,
        within: float = ANSWER_SECONDS,
    ) -> Any:
        """Return the decoded answer to one request; raises LiveDropError, `unavailable` where none came.

        A token that was refused is fetched anew once: what is refused has not happened.
        """
        try:
            async with asyncio.timeout(within):
                token = await self._token()
                answer = await self._send(method, path, body, key, token)
                if answer.status_code == httpx.codes.UNAUTHORIZED and self._credential.refused(token):
                    answer = await self._send(method, path, body, key, await self._token())
        except TimeoutError:
            raise LiveDropError(Code.UNAVAILABLE, f"No answer came within {within:g} s.") from None
        except httpx.HTTPError as error:
            raise LiveDropError(Code.UNAVAILABLE, f"The server could not be reached: {error}") from error
        return _content(answer)

    async def checkout(
        self, body: Message, key: str | None = None, within: float = CHECKOUT_SECONDS
    ) -> Message:
        """Return the order that reservations became; asks with one key until the answer is known.

        An error with `unknown`, or a cancellation, keeps the key: the same body again asks about the same payment.
        """
        name = _canonical(body)
        key = self._key(name, key)
        deadline = monotonic() + within
        for attempt in itertools.count(1):
            left = min(ANSWER_SECONDS, max(0.0, deadline - monotonic()))
            try:
                answer = await self.request("POST", "/v1/checkout", body=body, key=key, within=left)
            except LiveDropError as error:
                wait = pause(error, attempt, self._chance)
                # A refused token says nothing about an attempt that was made before it expired.
                if not error.unknown and error.code != Code.UNAUTHENTICATED:
                    self._unanswered.pop(name, None)
                if not error.unknown or monotonic() + wait >= deadline:
                    error.operation = key
                    raise
            else:
                self._unanswered.pop(name, None)
                order: Message = answer["order"]
                return order
            await asyncio.sleep(wait)
        raise AssertionError

    def _key(self, name: bytes, given: str | None) -> str:
        key = given or self._unanswered.get(name) or ids.secret(16)
        if name not in self._unanswered and len(self._unanswered) >= MOST_UNANSWERED:
            text = f"{MOST_UNANSWERED} checkouts have no answer yet; ask for one of those again."
            raise LiveDropError(Code.IN_PROGRESS, text, operation=key)
        self._unanswered[name] = key
        return key

    async def _token(self) -> str:
        try:
            return await self._credential.token(self._clock.now())
        except Exception as error:
            raise LiveDropError(Code.UNAVAILABLE, f"No token was to be had: {error!r}") from error

    async def _send(self, method: str, path: str, body: Any, key: str | None, token: str) -> httpx.Response:
        if self._closed:
            raise LiveDropError(Code.UNAVAILABLE, "The client has left.")
        headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        if self._http is None:
            # Without TLS no certificates are loaded, which takes a while.
            secure = self._url.startswith("https:")
            self._http = httpx.AsyncClient(base_url=self._url, timeout=ANSWER_SECONDS, verify=secure)
        return await self._http.request(method, path, headers=headers, json=body)


def _content(answer: httpx.Response) -> Any:
    try:
        content = msgspec.json.decode(answer.content) if answer.content else None
    except msgspec.DecodeError:
        content = None  # something between us and the server has answered
        if answer.is_success:
            raise LiveDropError(Code.UNAVAILABLE, "The answer could not be read.") from None
    if answer.is_success:
        return content
    problem: Message = content if isinstance(content, dict) else {}
    # Without a code it was not the server that spoke, and what became of the request is not known.
    busy = answer.status_code == httpx.codes.TOO_MANY_REQUESTS
    code = problem.get("code", Code.RATE_LIMITED if busy else Code.UNAVAILABLE)
    text = problem.get("detail", f"The server answered {answer.status_code}.")
    hidden = {"type", "title", "status", "code", "detail"}
    raise LiveDropError(code, text, {name: value for name, value in problem.items() if name not in hidden})
