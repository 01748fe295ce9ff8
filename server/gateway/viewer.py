"""One viewer's connection: hello, joining the show, commands in order, and a farewell.

A command that changes the stock or a queue goes into its show's line, where one viewer's take effect in the order in
which they came; several may be under way at once. Whatever else their sender says meanwhile waits behind them. What
is under way when the connection goes is carried out all the same; its sender repeats it by its id and learns the
outcome. While nothing is under way, a count of zero is all that there is.
"""

from __future__ import annotations

import asyncio
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
    CLOSE_TOO_MANY_MESSAGES,
    Code,
    Problem,
    unavailable,
)
from server.gateway.frames import CODECS, message_frame
from server.gateway.socket import Socket
from server.protocol.commands import AnyCommand, Hello, Ping, StockCommand, Token
from server.protocol.events import error_message
from server.protocol.session import RateLimit, Refused, Session

if TYPE_CHECKING:
    from server.challenge import Challenge
    from server.gateway.door import Gateway
    from server.gateway.frames import Format
    from server.gateway.room import Person, Room
    from server.inventory.outcomes import Reservation
    from server.protocol.commands import Since
    from server.protocol.events import Message

MAX_WAITING = 64  # commands under way or behind those; more are refused as rate-limited
MAX_EARLY = 64  # private messages before the welcome; with more the viewer joins anew
WAIT_MS = 1000  # to come back after, where nobody knows better
MOST_CHALLENGES = 3  # that a connection may be answered with
CHALLENGE_SECONDS = 60.0  # to answer one in


class Viewer(Socket):
    """A connection to one show; `host` is who made the show, `address` the network address it comes from."""

    __slots__ = (
        "_answers",
        "_early",
        "_farewell_ms",
        "_gateway",
        "_session",
        "_under_way",
        "_waiting",
        "address",
        "expires_at",
        "host",
        "issued_at",
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
        self._under_way = 0  # commands whose answers are to come
        self._waiting: deque[AnyCommand] | None = None  # behind those, or for the welcome; None: none does
        self._answers = b""  # that leave at the end of this turn of the loop
        self._early: list[bytes] = []  # private messages that came before the welcome
        self._farewell_ms: int | None = None
        self.show = show
        self.host = host
        self.address = address
        self.role = Role.SERVICE  # which may neither watch nor buy: hello says more
        self.expires_at = self.issued_at = 0  # of its token, Unix ms
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
        return self._under_way > 0 or self._waiting is not None

    def send(self, message: Message) -> None:
        """Send a message to this viewer alone."""
        self.write(message_frame(CODECS[self.form].encode(message), self.form))

    # What the socket tells.

    def take_over(self, transport: asyncio.Transport, connections: set[Any]) -> None:
        """Become the protocol of a transport, and expect a hello."""
        super().take_over(transport, connections)
        self._timers.deadline(self, self._gateway.settings.hello_seconds)

    def message(self, data: bytes, *, binary: bool) -> None:
        """Take a message; commands take effect one after the other."""
        command = self._session.receive(data, binary=binary, now=monotonic())
        if isinstance(command, Refused):
            self._refused(command)
        elif isinstance(command, Hello):
            self._hello(command)
        elif self.person is None:
            self._in_line(command)
        elif self._farewell_ms is not None:
            self._send_away(command)
        elif self._waiting is None and self._may_go(command):
            self._take(command)
        else:
            self._wait_behind(command)

    def overdue(self) -> None:
        """Meet the deadline: for hello, of the token, or of the close."""
        if self.closing:
            super().overdue()
        elif not self.expires_at:
            challenged, seconds = self._session.challenges, self._gateway.settings.hello_seconds
            sentence = (
                "No answer to the challenge in time." if challenged else f"No hello within {seconds:g} s."
            )
            self.close(CLOSE_NO_TOKEN, sentence)
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

    def come_in(self, subject: str, since: Since | None) -> None:
        """Join the show: by now there is a seat."""
        limit = self._gateway.settings.sockets_per_viewer
        if not self._gateway.hub.enter(self, subject, since):
            self.close(
                CLOSE_CONNECTION_LIMIT, f"{limit} connections are open for this viewer, more are not taken."
            )
            return
        assert self.person is not None  # noqa: S101  the hub has put them into the room
        self._session.go_live(self.person.limit)
        self._waiting = deque()  # what they say before they are welcomed waits for it

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

    def knows(self, *reservations: Reservation) -> None:
        """Remember that this viewer is told of these."""
        if self.person is not None:
            for reservation in reservations:
                self.person.know(reservation)

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
            identity = self._gateway.admit(hello.token, self.show, self.host, self.address)
            challenge = self._gateway.challenge(identity, self.show, hello.proof)
            if challenge is None:
                self._gateway.require_join(identity.role, self.show)
        except Problem as problem:
            self._turned_away(problem)
            return
        if challenge is not None:
            self._challenge(challenge)
            return
        self.role = identity.role
        self.expires_at, self.issued_at = identity.expires_at, identity.issued_at
        self._watch_expiry()
        lobby = self._gateway.lobby
        if lobby is not None and self.counts:
            self._session.wait()
            lobby.enter(self, identity.subject, hello.since)
        else:
            self.come_in(identity.subject, hello.since)

    def _challenge(self, challenge: Challenge) -> None:
        """Ask for work; who answers wrongly again and again is sent away."""
        self._session.challenges += 1
        if self._session.challenges > MOST_CHALLENGES:
            self.close(CLOSE_NO_TOKEN, "The proof is not what the challenge asks for.")
            return
        self._timers.deadline(self, CHALLENGE_SECONDS)
        self.send(
            {
                "type": "challenge",
                "nonce": challenge.nonce,
                "bits": challenge.bits,
                "answer_by_at": self._gateway.now_ms() + int(CHALLENGE_SECONDS * 1000),
                "expires_at": challenge.expires_at,
            }
        )

    def _in_line(self, command: AnyCommand) -> None:
        """Take what can be said while waiting for a seat."""
        if isinstance(command, Ping):
            answer = self._gateway.dispatch.answer_at_once(self, command)
        elif isinstance(command, Token):
            answer = self._renewed(command.token)
        else:
            sentence = "You are in the waiting room; what you do counts once you are in the show."
            self._deny(command, Problem(Code.RATE_LIMITED, sentence, retry_after_ms=WAIT_MS))
            return
        if answer is not None:
            self.send(answer)

    def _turned_away(self, problem: Problem) -> None:
        if problem.code is Code.RATE_LIMITED:
            self.close(CLOSE_TOO_MANY_MESSAGES, problem.detail, problem.extras["retry_after_ms"])
        elif problem.code is Code.UNAVAILABLE:  # the token's key is being looked for
            self.refuse(problem)
        else:
            denied = problem.code is Code.NOT_ALLOWED
            self.close(CLOSE_NOT_ALLOWED if denied else CLOSE_NO_TOKEN, problem.detail)

    def _watch_expiry(self) -> None:
        self._timers.deadline(self, max(0.0, (self.expires_at - now_ms()) / 1000))

    # Commands.

    def _refused(self, refused: Refused) -> None:
        if refused.answer is not None:
            self.send(refused.answer)
            metrics.COMMANDS.count("refused", refused.answer["code"])
        if refused.close is not None:
            self.close(refused.close, refused.reason, 1000 if refused.close.reconnects else None)

    def answered(self, answer: Message) -> None:
        """Send the answer to a command that was under way, and go on; who has gone hears nothing.

        Where more answers are to come it waits for the end of this turn of the loop, because those of one step come
        together: one write for all of them.
        """
        self._under_way -= 1
        try:
            if not self.closing:
                self._answer(message_frame(CODECS[self.form].encode(answer), self.form))
        finally:
            if not self._under_way and (self._waiting is not None or self._farewell_ms is not None):
                self._go_on()

    def _answer(self, data: bytes) -> None:
        if self._under_way:
            if not self._answers:
                asyncio.get_running_loop().call_soon(self._send_answers)
            self._answers += data
        else:
            self._send_answers(data)

    def _send_answers(self, more: bytes = b"") -> None:
        data, self._answers = self._answers + more, b""
        if data:
            self.write(data)

    def _may_go(self, command: AnyCommand) -> bool:
        """Whether a command need not wait for those under way."""
        return not self._under_way or (isinstance(command, StockCommand) and self._under_way < MAX_WAITING)

    def _wait_behind(self, command: AnyCommand) -> None:
        """Let a command wait, or refuse it where too many wait."""
        waiting = deque() if self._waiting is None else self._waiting
        if self._under_way + len(waiting) < MAX_WAITING:
            waiting.append(command)
            self._waiting = waiting
        else:
            busy = f"{MAX_WAITING} of your commands are waiting already."
            self._deny(command, Problem(Code.RATE_LIMITED, busy, retry_after_ms=WAIT_MS))

    def _take(self, command: AnyCommand) -> None:
        """Carry a command out: at once where nobody has to be asked, else as one of those under way."""
        if isinstance(command, StockCommand):
            answer = self._gateway.dispatch.submit(self, command)
            self._under_way += answer is None
        elif isinstance(command, Token):
            answer = self._renewed(command.token)
        else:
            answer = self._gateway.dispatch.answer_at_once(self, command)
        if answer is not None:
            self.send(answer)

    def _go_on(self) -> None:
        """Carry out what waits, up to the next command that has to wait for those under way."""
        waiting = self._waiting or deque()
        while waiting and not self.closing and self._may_go(waiting[0]):
            self._take(waiting.popleft())
        self._waiting = waiting if waiting and not self.closing else None
        if self._farewell_ms is not None:
            self.farewell(self._farewell_ms)

    def _send_away(self, command: AnyCommand) -> None:
        """Take no new command: its sender repeats it where they go next."""
        self._deny(command, unavailable("This server is leaving.", self._farewell_ms or 0))

    def _deny(self, command: AnyCommand, problem: Problem) -> None:
        self.send(error_message(problem, getattr(command, "id", None)))

    def _renewed(self, token: str) -> dict[str, Any]:
        """Take a fresh token of the same subject and role; a bad one changes nothing."""
        try:
            identity = self._gateway.admit(token, self.show, self.host, self.address)
        except Problem as problem:
            return error_message(problem)
        lobby = self._gateway.lobby
        subject = self.subject or (lobby.subject_of(self) if lobby is not None else "")
        if identity.subject != subject or identity.role is not self.role:
            return error_message(Problem(Code.NOT_ALLOWED, "The fresh token is somebody else's."))
        self.expires_at, self.issued_at = identity.expires_at, identity.issued_at
        self._watch_expiry()
        return {"type": "ok"}
