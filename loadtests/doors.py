"""Both doors of the server as one simulated person uses them; every call becomes a line of Locust's table.

An expected refusal (sold out, too early, a declined card) is a success under a name of its own, such as
`reserve (out-of-stock)`; everything else that is not the wanted answer is a failure with the server's own words.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from loadtests.transport import Wire, WireClosedError

if TYPE_CHECKING:
    from collections.abc import Collection

    from loadtests.watch import Message

SOCKET = "WS"
IDLE_SECONDS = 2.0  # after so long a kept connection is not used again: the server may be about to end it
NO_REFUSAL: frozenset[str] = frozenset()
CREATED, ACCEPTED, MULTIPLE_CHOICES = 201, 202, 300


class BreachError(Exception):
    """Something that the server promises never to do."""


class Fire(Protocol):
    """Locust's request event: one call is one line in its statistics, a failure where `exception` is given."""

    def __call__(  # noqa: PLR0913  the fields of Locust's event
        self,
        *,
        request_type: str,
        name: str,
        response_time: float,
        response_length: int,
        exception: Exception | None,
        context: dict[str, Any],
    ) -> None:
        """Record one request; `response_time` in milliseconds."""


@dataclass(slots=True)
class Tally:
    """What all simulated people of this process have seen together, beside Locust's own statistics."""

    orders: list[str] = field(default_factory=list)  # that a 201 has acknowledged
    messages: int = 0  # of live sockets, each held against the promises
    reservations: int = 0


class Doors:
    """One person's way in: `client` is Locust's HTTP session, `fire` its request event, `token` a JWT."""

    def __init__(self, url: str, client: Any, fire: Fire, tally: Tally, token: str = "") -> None:
        self.url = url
        self.token = token
        self.tally = tally
        self._client = client
        self._fire = fire
        self._used_at = time.monotonic()

    def score(self, name: str, seconds: float, error: Exception | None = None) -> None:
        """Record something that happened on the live socket."""
        self._fire(
            request_type=SOCKET,
            name=name,
            response_time=seconds * 1000,
            response_length=0,
            exception=error,
            context={},
        )

    def ask(self, wire: Wire, message: Message, refusals: Collection[str] = NO_REFUSAL) -> Message | None:
        """Send a command over the socket; return its answer, also an expected refusal, or None after a failure."""
        kind: str = message["type"]
        began = time.perf_counter()
        try:
            answer = wire.request(message)
        except (WireClosedError, TimeoutError) as error:
            self.score(kind, time.perf_counter() - began, error)
            return None
        seconds = time.perf_counter() - began
        if answer["type"] != "error":
            self.score(kind, seconds)
            return answer
        if answer["code"] in refusals:
            self.score(f"{kind} ({answer['code']})", seconds)
            return answer
        self.score(kind, seconds, BreachError(f"{answer['code']}: {answer['message']}"))
        return None

    def call(  # noqa: PLR0913  what a request is made of
        self,
        method: str,
        path: str,
        name: str,
        *,
        body: Any = None,
        data: bytes | None = None,
        key: str | None = None,
        refusals: Collection[str] = NO_REFUSAL,
    ) -> Message | None:
        """Send a request; return the answer's body, also of an expected refusal (it has a `code`), else None."""
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Idempotency-Key": key} if key else {})
        options = {"json": body, "data": data, "headers": headers, "name": name, "catch_response": True}
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._client.client.close()
        with self._client.request(method, path, **options) as response:
            self._used_at = time.monotonic()
            fields = _fields(response.content)
            code = str(fields.get("code", ""))
            if response.status_code in range(200, MULTIPLE_CHOICES):
                if response.status_code == ACCEPTED:
                    response.request_meta["name"] += " (accepted)"
                response.success()
                return fields
            if code in refusals:
                response.request_meta["name"] += f" ({code})"
                response.success()
                return fields
            response.failure(
                BreachError(f"{response.status_code} {code}: {fields.get('detail', response.error)}")
                if response.status_code
                else response.error
            )
        return None


def _fields(content: bytes | None) -> Message:
    """Return a JSON object's fields, or an empty map where the body is none."""
    try:
        fields = msgspec.json.decode(content or b"{}")
    except msgspec.DecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}
