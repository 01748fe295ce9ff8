"""The token of a viewer: given once, or fetched whenever one is needed and renewed before it expires."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from inspect import isawaitable
from typing import TYPE_CHECKING

import msgspec

from server import ids

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Source = str | Callable[[], str | Awaitable[str]]

SPARE_SECONDS = 5.0  # of a token's time: with less it is not worth saying hello with
FETCH_SECONDS = 20.0  # for the function that fetches one
EARLY_SECONDS = 60.0  # before its end a token is renewed, of a short one in its last quarter
LEAST_SECONDS = 0.5  # between two renewals
AGAIN_SECONDS = 1.0  # after a renewal that failed, and up to twice that


class _Claims(msgspec.Struct):
    exp: int | float


def expiry_of(token: str) -> float | None:
    """Return when a JWT ends, Unix ms; None where it does not tell. Nothing is verified: that is the server's part."""
    body = token.split(".")[1] if token.count(".") == 2 else ""  # noqa: PLR2004  RFC 7519: three parts
    try:
        raw = b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=_Claims).exp * 1000
    except (ValueError, msgspec.MsgspecError):
        return None


class Credential:
    """A token from `source`: a text, or a function (async or not) that returns a fresh one.

    The function is called by one at a time, and has 20 s. What it raises goes to who asked. A cancellation that it
    swallows (as `asyncio.wait_for` may, before Python 3.12) is raised all the same: a client that is left must end.
    """

    def __init__(self, source: Source, chance: Callable[[], float] = ids.chance) -> None:
        self._source = source
        self._chance = chance
        self._lock = asyncio.Lock()
        self._token = source if isinstance(source, str) else ""
        self._used = 0  # how often the present token was given out
        self._ends: float | None = None
        self._renew_at: float | None = None

    @property
    def fetched(self) -> bool:
        """Whether another token can be had."""
        return not isinstance(self._source, str)

    @property
    def present(self) -> str:
        """The token that was had last; empty where it is known to be of no use."""
        return self._token

    async def token(self, now: float) -> str:
        """Return a token that is good for a while yet; `now` is the server's time, Unix ms."""
        async with self._lock:
            if not self._token or (self._ends is not None and self._ends - now < SPARE_SECONDS * 1000):
                await self._fetch(now)
            self._used += 1
            return self._token

    async def fresh(self, now: float) -> str:
        """Return a token that was fetched for this call."""
        async with self._lock:
            self._renew_at = now + AGAIN_SECONDS * 1000 * (1 + self._chance())  # unless this succeeds
            await self._fetch(now)
            self._used = 1
            return self._token

    def replace(self, token: str) -> None:
        """Go on with another token, and fetch none any more."""
        self._source = self._token = token
        self._ends = self._renew_at = None
        self._used = 0

    def refused(self, token: str) -> bool:
        """Forget a token that the server did not take; whether another try makes sense.

        It does if there is another by now, or if this one was not fetched for this very try: it may have grown old.
        """
        if token != self._token:
            return True
        grown_old = self.fetched and self._used > 1
        self.spoilt()
        return grown_old

    def spoilt(self) -> None:
        """Forget the token: it has expired."""
        if self.fetched:
            self._token = ""

    def renew_in(self, now: float) -> float | None:
        """Return after how many seconds to fetch the next one; None where there is no next one, or no end."""
        if not self.fetched or self._renew_at is None:
            return None
        return max(0.0, (self._renew_at - now) / 1000)

    async def _fetch(self, now: float) -> None:
        if isinstance(self._source, str):
            return
        before = _cancellations()
        async with asyncio.timeout(FETCH_SECONDS):
            given = self._source()
            self._token = await given if isawaitable(given) else given
        if _cancellations() > before:
            raise asyncio.CancelledError
        self._used = 0
        self._ends = self._renew_at = expiry_of(self._token)
        if self._ends is not None:
            # At moments of their own, for viewers whose tokens were minted together.
            early = min(EARLY_SECONDS * 1000, (self._ends - now) / 4)
            own = self._ends - early * (1 + self._chance()) / 2
            self._renew_at = max(own, now + LEAST_SECONDS * 1000)


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0
