"""One viewer's connection: hello, joining the show, commands in order, and a farewell.

A command that has to ask Redis runs as a task; what its sender says meanwhile waits behind it, so that one viewer's
commands take effect in the order in which they came. Nothing exists for that while nothing is under way. What is
under way when the connection goes is carried out all the same; its sender repeats it by its id and learns the outcome.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from server import metrics
from server.auth import Role
from server.clock import monotonic, now_ms
from server.errors import (
    CLOSE_CONNECTION_LIMIT,
    CLOSE_LEAVING,
    CLOSE_NO_TOKEN,
    CLOSE_NOT_ALLOWED,
    CLOSE_POSITION_LOST,
    CLOSE_TOKEN_EXPIRED,
    Code,
    Problem,
    unavailable,
)
from server.gateway.frames import CODECS, message_frame
from server.gateway.socket import Socket
from server.protocol.commands import AnyCommand, Hello, Token
from server.protocol.events import error_message
from server.protocol.session import RateLimit, Refused, Session

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from server.gateway.door import Gateway
    from server.gateway.frames import Format
    from server.gateway.room import Person, Room
    from server.protocol.events import Message

MAX_WAITING = 64  # commands behind the one under way; more are refused as rate-limited
MAX_EARLY = 64  # private messages before the welcome; with more the viewer joins anew
WAIT_MS = 1000  # to come back after, where nobody knows better


class Viewer(Socket):
    """A connection to one show; `host` is who made the show, `address` the network address it comes from."""

    __slots__ = (
        "_early",
        "_farewell_ms",
        "_gateway",
        "_session",
        "_waiting",
        "address",
        "expires_at",
        "host",
        "offset",
        "owed",
        "person",
        "role",
        "room",
        "show",
    )

    def __init__(  # noqa: PLR0913  what the handshake has found
        self, gateway: Gateway, form: Format, show: str, *, inflate: bool, host: str, address: str
    ) -> None:
        limits = gateway.settings
        super().__init__(
            gateway.timers,
            form,
            inflate=inflate,
            message_bytes=limits.message_bytes,
            high_mark=limits.viewer_buffer_bytes,
        )
        self._gateway = gateway
        self._session = Session(CODECS[form], RateLimit(limits.messages_per_second, limits.message_burst))
        self._waiting: deque[AnyCommand] | None = None  # None: no command is under way
        self._early: list[bytes] = []  # private messages that came before the welcome
        self._farewell_ms: int | None = None
        self.show = show
        self.host = host
        self.address = address
        self.role = Role.SERVICE  # which may neither watch nor buy: hello says more
        self.expires_at = 0  # Unix ms
        self.offset = -1  # the newest event it has; -1 until it has joined
        self.owed = False  # live numbers were skipped
        self.person: Person | None = None
        self.room: Room | None = None

    @property
    def subject(self) -> str:
        """Who said hello; empty before that."""
        return self.person.subject if self.person else ""

    @property
    def counts(self) -> bool:
        """Whether this is one of the show's audience: hosts and moderators are not."""
        return self.role is Role.VIEWER

    @property
    def busy(self) -> bool:
        """Whether a command is under way, or the welcome to come."""
        return self._waiting is not None

    def send(self, message: Message) -> None:
        """Send a message to this viewer alone."""
        self.write(message_frame(CODECS[self.form].encode(message), self.form))

    # What the socket tells.

    def take_over(self, transport: asyncio.Transport, connections: set[Any]) -> None:
        """Become the protocol of a transport, and expect a hello."""
        super().take_over(transport, connections)
        self._timers.deadline(self, self._gateway.settings.hello_seconds)

    def message(self, data: bytes, *, binary: bool) -> None:
        """Take a message; commands run one after the other."""
        command = self._session.receive(data, binary=binary, now=monotonic())
        if isinstance(command, Refused):
            self._refused(command)
        elif isinstance(command, Hello):
            self._hello(command)
        elif self._farewell_ms is not None:
            self._send_away(command)
        elif self._waiting is None:
            self._take(command)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(command)
        else:
            busy = f"{MAX_WAITING} of your commands are waiting already."
            self._deny(command, Problem(Code.RATE_LIMITED, busy, retry_after_ms=WAIT_MS))

    def overdue(self) -> None:
        """Meet the deadline: for hello, of the token, or of the close."""
        if self.closing:
            super().overdue()
        elif self.person is None:
            seconds = self._gateway.settings.hello_seconds
            self.close(CLOSE_NO_TOKEN, f"No hello within {seconds:g} s.")
        elif self.expires_at <= now_ms():
            self.close(CLOSE_TOKEN_EXPIRED, "the token has expired", retry_after_ms=0)
        else:
            self._watch_expiry()

    def caught_up(self) -> None:
        """Give the newest of all live numbers to a viewer who was behind and missed some."""
        if self.owed and self.room is not None:
            self.owed = False
            self.write(b"".join(shared.frame(self.form) for shared in self.room.latest.values()))

    def lost(self) -> None:
        """Leave the show and the count of connections."""
        self._gateway.left(self)

    # Hello and farewell.

    def welcome(self, *frames: bytes, offset: int) -> None:
        """Be live: with these frames, at this place of the log."""
        self.offset = offset
        early, self._early = self._early, []
        self.write(b"".join((*frames, *early)))
        self._go_on()

    def tell(self, data: bytes) -> None:
        """Send a private message, behind the welcome if that is still to come: it may not know of it."""
        if self.offset >= 0:
            self.write(data)
        elif len(self._early) < MAX_EARLY:
            self._early.append(data)
        else:
            self.refuse(unavailable(f"{MAX_EARLY} messages came before the show could be joined"))

    def refuse(self, problem: Problem) -> None:
        """Close because the show cannot be joined."""
        if problem.code is Code.NOT_FOUND:
            self.close(CLOSE_NOT_ALLOWED, problem.detail)
        else:
            wait_ms = problem.extras.get("retry_after_ms", WAIT_MS)
            self.close(CLOSE_POSITION_LOST, f"cannot join now: {problem.detail}", wait_ms)

    def farewell(self, retry_after_ms: int) -> None:
        """Close because this process leaves, after the commands under way are answered."""
        if self.offset < 0 or not self.busy:
            self.close(CLOSE_LEAVING, "server is leaving", retry_after_ms)
        else:
            self._farewell_ms = retry_after_ms

    def _hello(self, hello: Hello) -> None:
        try:
            identity = self._gateway.admit(hello.token, self.show, self.host)
        except Problem as problem:
            denied = problem.code is Code.NOT_ALLOWED
            self.close(CLOSE_NOT_ALLOWED if denied else CLOSE_NO_TOKEN, problem.detail)
            return
        self.role = identity.role
        self.expires_at = identity.expires_at
        limit = self._gateway.settings.sockets_per_viewer
        if not self._gateway.hub.enter(self, identity.subject, hello.since):
            self.close(
                CLOSE_CONNECTION_LIMIT, f"{limit} connections are open for this viewer, more are not taken."
            )
            return
        assert self.person is not None  # noqa: S101  the hub has put them into the room
        self._session.go_live(self.person.limit)
        self._waiting = deque()  # what they say before they are welcomed waits for it
        self._watch_expiry()

    def _watch_expiry(self) -> None:
        self._timers.deadline(self, max(0.0, (self.expires_at - now_ms()) / 1000))

    # Commands.

    def _refused(self, refused: Refused) -> None:
        if refused.answer is not None:
            self.send(refused.answer)
            metrics.COMMANDS.count("refused", refused.answer["code"])
        if refused.close is not None:
            self.close(refused.close, refused.reason, 1000 if refused.close.reconnects else None)

    def _take(self, command: AnyCommand) -> None:
        """Carry a command out: at once where nobody has to be asked, else as the task under way."""
        if isinstance(command, Token):
            self.send(self._renewed(command.token))
        elif self._gateway.dispatch.asks(command):
            self._waiting = deque()
            self._gateway.start(self._work(command))
        else:
            answer = self._gateway.dispatch.answer_at_once(self, command)
            if answer is not None:
                self.send(answer)

    async def _work(self, command: AnyCommand) -> None:
        """Carry out one command and go on."""
        answer = await self._gateway.dispatch.answer(self, command)
        if answer is not None:
            self.send(answer)
        self._go_on()

    def _go_on(self) -> None:
        """Carry out what waits, up to the next command that has to ask somebody."""
        waiting, self._waiting = self._waiting, None
        while waiting and not self.busy and not self.closing:
            self._take(waiting.popleft())
        self._wait_behind(waiting or ())
        if self._farewell_ms is not None:
            self.farewell(self._farewell_ms)

    def _wait_behind(self, commands: Iterable[AnyCommand]) -> None:
        if self._waiting is not None:
            self._waiting.extend(commands)

    def _send_away(self, command: AnyCommand) -> None:
        """Take no new command: its sender repeats it where they go next."""
        self._deny(command, unavailable("This server is leaving.", self._farewell_ms or 0))

    def _deny(self, command: AnyCommand, problem: Problem) -> None:
        self.send(error_message(problem, getattr(command, "id", None)))

    def _renewed(self, token: str) -> dict[str, Any]:
        """Take a fresh token of the same subject and role; a bad one changes nothing."""
        try:
            identity = self._gateway.admit(token, self.show, self.host)
        except Problem as problem:
            return error_message(problem)
        if identity.subject != self.subject or identity.role is not self.role:
            return error_message(Problem(Code.NOT_ALLOWED, "The fresh token is somebody else's."))
        self.expires_at = identity.expires_at
        self._watch_expiry()
        return {"type": "ok"}
