"""What all viewers of one process share: the show, the plan, both clocks, the HTTP connections, the measures."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from loadtests.audience.http import HttpError, Pool
from loadtests.audience.measures import TOKEN, UNKNOWN_CLOCK_MS, Measures
from loadtests.audience.wire import Reader, request
from server.client.server_clock import ServerClock
from server.protocol.codec import Codec

if TYPE_CHECKING:
    from loadtests.audience.asking import Asked
    from loadtests.audience.http import Answer
    from loadtests.audience.numbers import Message
    from loadtests.audience.wire import Told
    from loadtests.plan import Plan, Sale

ADDRESSES = 50  # source addresses on loopback: ports last, and a limit per address sees many
TOKEN_SECONDS = 24 * 3600
TOKEN_TRIES = 5
MINTING = 8  # tokens asked for at a time
SALE_SLACK_SECONDS = 30.0  # a drop that opens further from every sale of the plan is somebody else's
CREATED = 201


class Terms(NamedTuple):
    """What a drop promises."""

    limit_per_viewer: int
    hold_seconds: int


class Venue:
    """A run as one process sees it, on the show `show` at `url`; begun at `began_at`, this machine's Unix seconds."""

    def __init__(self, url: str, show: str, plan: Plan, host_token: str, began_at: float) -> None:
        place = urlsplit(url)
        self.url = url.rstrip("/")
        self.show = show
        self.plan = plan
        self.host_token = host_token
        self.began_at = began_at
        self.began = time.monotonic() + began_at - time.time()
        self.measures = Measures(self.began)
        self.clock = ServerClock()
        self.pool = Pool(self.url)
        self.tls = self.pool.tls
        self.host, self.port = self.pool.host, self.pool.port
        self.requests = {codec: request(place.netloc, show, codec) for codec in Codec}
        self.readers = {codec: Reader() for codec in Codec}
        self.terms: dict[str, Terms] = {}
        self.opened_at: dict[str, float] = {}  # Unix seconds of the server's clock
        self.drops: dict[int, str] = {}  # by sale of the plan, once they are announced
        self.asked: deque[Asked] = deque()  # commands that wait for their answers, oldest first
        self.closing = False  # the run is over: what ends now has ended well
        self._ahead = began_at - self.began
        self._minting = asyncio.Semaphore(MINTING)

    # Clocks: `now` counts in seconds of this process's monotonic clock, as all intended moments do.

    @property
    def clock_error(self) -> float:
        """By how many seconds the server's time may be wrong here."""
        return min(self.clock.uncertainty_ms, UNKNOWN_CLOCK_MS) / 1000

    def elapsed(self) -> float:
        """Return the seconds since the run's begin."""
        return time.monotonic() - self.began

    def server_time(self, moment: float | None = None) -> float:
        """Return the server's time, Unix seconds, now or at a moment of the monotonic clock."""
        return (time.monotonic() if moment is None else moment) + self._ahead

    def local(self, server_time: float) -> float:
        """Return the monotonic moment of a time of the server's clock."""
        return server_time - self._ahead

    def heard_time(self, server_time_at: int, asked_at: float) -> None:
        """Learn from a pong to a ping that was sent at the monotonic moment `asked_at`."""
        self.clock.heard(server_time_at, asked_at * 1000)
        self._ahead = self.clock.now() / 1000 - time.monotonic()

    async def until(self, moment: float) -> None:
        """Sleep until a moment of the monotonic clock."""
        left = moment - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)

    # The show.

    def learn(self, told: Told) -> None:
        """Note the terms of the drops that a message tells of, when they opened, and which sales they are."""
        drops = told.message.get("snapshot", {}).get("drops", ())
        if isinstance(told.message.get("drop"), dict):
            drops = (told.message["drop"],)
        for drop in drops:
            name = drop["id"]
            if name not in self.terms:
                self.terms[name] = Terms(drop["limit_per_viewer"], drop["hold_seconds"])
            if name in self.opened_at:
                continue
            if told.kind == "drop.countdown":
                self._match(name, told.message["opens_at"] / 1000)
            elif told.kind == "drop.opened" or drop["status"] == "open":
                at = told.message.get("at", drop.get("opens_at"))
                self.opened_at[name] = self.server_time() if at is None else at / 1000
                self._match(name, self.opened_at[name])

    def sale_of(self, drop: str) -> Sale | None:
        """Return the plan's sale that an announced drop is, or None."""
        return next((self.plan.sales[sale] for sale, known in self.drops.items() if known == drop), None)

    def _match(self, drop: str, opens_at: float) -> None:
        """Know which sale a drop is: the one that names it, or the nearest in time of those that still have none."""
        if drop in self.drops.values():
            return
        after = self.local(opens_at) - self.began
        free = [(number, sale) for number, sale in enumerate(self.plan.sales) if number not in self.drops]
        named = [(0.0, number) for number, sale in free if sale.drop == drop]
        near = [(abs(sale.at - after), number) for number, sale in free if not sale.drop]
        off, sale = min(named or near, default=(SALE_SLACK_SECONDS + 1, 0))
        if off <= SALE_SLACK_SECONDS:
            self.drops[sale] = drop

    # Doors.

    async def call(
        self, method: str, path: str, token: str = "", body: Any = None, *, key: str | None = None
    ) -> Answer:
        """Send a request with a viewer's token, or the host's; see `Pool.call`. Raises HttpError."""
        return await self.pool.call(method, path, token or self.host_token, body, key=key)

    def source(self, number: int) -> tuple[str, int] | None:
        """Return the address that a viewer connects from; None: what the system chooses."""
        return (f"127.0.0.{2 + number % ADDRESSES}", 0) if self.host.startswith("127.") else None

    async def token(self, name: str) -> str:
        """Return a token for a viewer of that name, minted by the host; empty where there was none to have."""
        body = {"sub": name, "role": "viewer", "shows": [self.show], "ttl_seconds": TOKEN_SECONDS}
        async with self._minting:
            began = time.monotonic()
            said = ""
            for tries in range(TOKEN_TRIES):
                try:
                    answer = await self.call("POST", "/v1/tokens", body=body)
                except HttpError as error:
                    said = str(error)
                else:
                    if answer.status in {200, CREATED}:
                        self.measures.took(TOKEN, time.monotonic() - began)
                        return str(answer.body["token"])
                    said = problem(answer)
                await asyncio.sleep(0.2 * 2**tries)
        self.measures.failed(TOKEN, said)
        return ""

    def close(self) -> None:
        """End the kept connections."""
        self.pool.close()


def problem(answer: Answer) -> str:
    """Return what a refusal says."""
    return f"{answer.status} {answer.code}: {answer.body.get('detail', '')}".rstrip(": ")


def error_of(message: Message) -> str:
    """Return what an error on the live socket says."""
    return f"{message['code']}: {message.get('message', '')}"
