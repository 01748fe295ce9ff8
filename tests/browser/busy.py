"""A busy show of two hours, told to one page in a few minutes: the page's clock and the server's are wound on together.

The show is a real one; its server answers the page's hello, and from then on what happens in it is made up here:
forty drops one after the other with stock that changes four times a second, applause, and a viewer who buys some.
"""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from server.protocol.codec import Codec, pack, unpack_event
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.stage import Stage

STOCK_PER_SECOND = 4  # as often as a server lets one drop's number change
SECONDS_OF_A_DROP = 180
COUNTDOWN_SECONDS = 10
ON_SALE_SECONDS = 150
RESTOCKED_AFTER_SECONDS = 90
HOLD_MS = 120_000
BUYS_EACH = 3  # the viewer wants something of every third drop

Message = dict[str, Any]
SPOKEN = [Subprotocol(Codec.MSGPACK.value)]
# Sends the page's socket elsewhere; nothing else of the page is touched.
ELSEWHERE = """
globalThis.WebSocket = class extends WebSocket {{
  constructor(url, protocols) {{ super("{url}", protocols); }}
}};
"""


class BusyShow:
    """Tells a page what happens, a simulated second after the other."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._socket: ServerConnection | None = None
        self._offset = 0
        self._drops: list[Message] = []
        self._viewer_units = itertools.count(1)
        self.second = 0
        self.sent = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Listen for the page on a free port."""
        async with serve(self._greet, "127.0.0.1", 0, subprotocols=SPOKEN, ping_interval=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.script = ELSEWHERE.format(url=f"ws://127.0.0.1:{port}")
            yield self

    async def begun(self) -> None:
        """Wait until the page has come."""
        await wait_for(lambda: self._socket is not None, "the page has connected")

    async def play(self, seconds: int) -> int:
        """Tell of so many seconds and return the number of viewers that the page has to show afterwards."""
        assert self._socket is not None
        for _ in range(seconds):
            for message in self._of(self.second):
                await self._socket.send(pack(message))
                self.sent += 1
            self.second += 1
        return self._viewers(self.second - 1)

    async def _greet(self, socket: ServerConnection) -> None:
        """Let the real server welcome the page; answer nothing but pings from then on."""
        hello = await socket.recv(decode=False)
        url = f"{self._stage.server.url.replace('http', 'ws')}/v1/shows/{self._stage.show}/live"
        async with connect(url, subprotocols=SPOKEN) as real:
            await real.send(hello)
            welcome = unpack_event(await real.recv(decode=False))
        self._drops = [dict(drop) for drop in welcome["snapshot"]["drops"]]
        self._products = welcome["snapshot"]["pinned"]
        self._offset, self._began = welcome["offset"], welcome["server_time_at"]
        await socket.send(pack(welcome))
        self._socket = socket
        try:
            while True:
                said = unpack_event(await socket.recv(decode=False))
                if said["type"] == "ping":
                    await socket.send(
                        pack({"type": "pong", "id": said.get("id"), "server_time_at": self._now})
                    )
        except ConnectionClosed:
            self._socket = None

    @property
    def _now(self) -> int:
        return int(self._began + self.second * 1000)

    def _viewers(self, second: int) -> int:
        """Another number each second, so that a page that shows it has heard everything before."""
        return 1_000 + second

    def _event(self, kind: str, **fields: Any) -> Message:
        self._offset += 1
        return {"type": kind, "offset": self._offset, "at": self._now, **fields}

    def _of(self, second: int) -> Iterator[Message]:
        """Yield what happens in one second of the show."""
        number, at = divmod(second, SECONDS_OF_A_DROP)
        drop = self._drops[number % len(self._drops)]
        yield from self._moves(drop, at)
        if COUNTDOWN_SECONDS < at < ON_SALE_SECONDS:
            for _ in range(STOCK_PER_SECOND):
                yield self._sold(drop, at)
        if number % BUYS_EACH == 0:
            yield from self._own(drop, at)
        if second % 30 == 0:
            pinned = [self._products[(second // 30 + each) % len(self._products)] for each in range(2)]
            yield self._event("product.pinned", products=pinned)
        yield {"type": "reactions", "counts": {"heart": second * 3}}
        yield {"type": "viewers.updated", "count": self._viewers(second)}

    def _moves(self, drop: Message, at: int) -> Iterator[Message]:
        if at == 0:
            drop["status"], drop["opens_at"] = "countdown", self._now + COUNTDOWN_SECONDS * 1000
            yield self._event("drop.countdown", drop=dict(drop), opens_at=drop["opens_at"])
        elif at == COUNTDOWN_SECONDS:
            drop["status"] = "open"
            yield self._event("drop.opened", drop=dict(drop))
        elif at == RESTOCKED_AFTER_SECONDS:
            drop["quantity"] += 50
            drop["available"] += 50
            yield self._event("drop.restocked", drop_id=drop["id"], stock=self._stock(drop))
        elif at == ON_SALE_SECONDS:
            drop["status"] = "closed"
            yield self._event("drop.closed", drop_id=drop["id"], stock=self._stock(drop))

    def _sold(self, drop: Message, at: int) -> Message:
        """Take, pay for or give back a unit, in turn."""
        if drop["available"] and at % 3:
            drop["available"], drop["held"] = drop["available"] - 1, drop["held"] + 1
        elif drop["held"]:
            drop["held"], drop["sold"] = drop["held"] - 1, drop["sold"] + 1
        return {"type": "stock.updated", "drop_id": drop["id"], **self._stock(drop)}

    def _stock(self, drop: Message) -> Message:
        drop["revision"] += 1
        return {name: drop[name] for name in ("available", "held", "sold", "quantity", "revision")}

    def _own(self, drop: Message, at: int) -> Iterator[Message]:
        """Let the viewer wait, hold, and pay or be late."""
        place = {"type": "waitlist", "drop": drop["id"], "quantity": 1, "length": 9}
        if 20 <= at < 28:
            yield {**place, "position": 28 - at}
        elif at in {30, 60}:
            self._unit = {
                "id": f"rs_busy{next(self._viewer_units)}",
                "expires_at": self._now + HOLD_MS,
                **{name: drop[name] for name in ("sku", "unit_price", "currency")},
                "drop": drop["id"],
                "quantity": 1,
            }
            yield {"type": "reservation", "reservation": {**self._unit, "state": "held"}, "replayed": False}
        elif at == 50:
            yield {
                "type": "reservation",
                "reservation": {**self._unit, "state": "expired"},
                "replayed": False,
            }
        elif at == 80:
            yield {"type": "order.updated", "order": self._order(drop)}

    def _order(self, drop: Message) -> Message:
        unit = self._unit
        line = {
            "reservation": unit["id"],
            **{name: unit[name] for name in ("drop", "sku", "quantity", "unit_price")},
        }
        return {
            "id": f"or_busy{unit['id']}",
            "show": self._stage.show,
            "status": "paid",
            "lines": [{**line, "title": drop["title"]}],
            "total": unit["unit_price"],
            "currency": unit["currency"],
            "payment": {"provider": "sandbox", "status": "paid"},
            "created_at": self._now,
        }
