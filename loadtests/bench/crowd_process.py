"""The process behind `crowd`: thousands of viewers on one epoll loop, who read, count, and say little.

It shares the machine with the server that is measured, so a receipt costs it a read and a count. Viewers belong to
groups, each at one address. The process obeys commands that come over its control connection, one at a time, and
answers each with (done, what came of it) when it is; it ends when that connection does.
"""

from __future__ import annotations

import gc
import select
import socket
import struct
import sys
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from loadtests.bench.framing import BINARY, CLOSE, PING, PONG, TEXT, answered, frames, masked, upgrade
from server.protocol.codec import unpack_event

if TYPE_CHECKING:
    from collections.abc import Callable

OPENING_AT_ONCE = 128
READ_BYTES = 1 << 14  # more would be a fresh mapping of memory each time
POLL_SECONDS = 0.1
SWITCHING = 101
SOURCES = 8  # loopback addresses that connections come from in turn: one has only some 28,000 ports
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: dropped, not ended, so no port waits for late packets
WELCOME = b"\xa7welcome"


class Seat:
    """One viewer's connection; `take` is what its bytes mean now, `offset` the newest event it has."""

    __slots__ = ("group", "hello", "offset", "rest", "sock", "take")

    def __init__(self, group: Group, hello: bytes | None, since: int) -> None:
        self.group = group
        self.hello = hello
        self.offset = since
        self.rest = b""
        self.sock: socket.socket
        self.take: Callable[[Seat, bytes], None] = group.handshake


class Group:
    """Viewers at one address, and what they have received together.

    `seen` counts the messages that hold `mark`. Where the viewers come with a place in the log, each must get every
    event after it exactly once: `recovered` counts those who were let in there, `broken` the events out of order.
    """

    def __init__(self, mark: bytes, subprotocol: str | None, *, follows: bool) -> None:
        self.mark = mark
        self.subprotocol = subprotocol
        self.seats: list[Seat] = []
        self.begun = self.ready = self.messages = self.reads = 0
        self.seen = self.recovered = self.broken = 0
        self.refused = self.lost = 0
        self.pumping = False
        self.frame = b""
        self.under_way = 0
        self._message = self._follow if follows else self._count

    def counters(self) -> dict[str, int]:
        """Return the counts so far."""
        names = ("ready", "messages", "reads", "seen", "recovered", "broken", "lost")
        return {name: getattr(self, name) for name in names}

    def handshake(self, seat: Seat, data: bytes) -> None:
        """Take the handshake's answer and say hello."""
        seat.rest += data
        answer = answered(seat.rest)
        if answer is None:
            return
        status, seat.rest = answer
        if status != SWITCHING:
            self.refused += 1
            return
        seat.take = self.read
        if seat.hello is None:
            self.ready += 1
        else:
            seat.sock.send(masked(seat.hello))
            seat.hello = None
        if seat.rest:
            self.read(seat, b"")

    def read(self, seat: Seat, data: bytes) -> None:
        """Take frames."""
        self.reads += 1
        found, seat.rest = frames(seat.rest + data if seat.rest else data)
        for opcode, payload in found:
            if opcode in {BINARY, TEXT}:
                self._message(seat, payload)
            elif opcode == PING:
                seat.sock.send(masked(payload, PONG))
            elif opcode == CLOSE:
                self.lost += 1

    def pump(self, seat: Seat, data: bytes) -> None:
        """Send the next message for an answer, as long as it goes on; whatever else comes is no answer."""
        if self.mark in data:
            self.seen += 1
            if self.pumping:
                seat.sock.send(self.frame)
            else:
                self.under_way -= 1

    def _count(self, _seat: Seat, payload: bytes) -> None:
        self.messages += 1
        if self.mark in payload:
            self.seen += 1
        elif WELCOME in payload:
            self.ready += 1

    def _follow(self, seat: Seat, payload: bytes) -> None:
        self.messages += 1
        message = unpack_event(payload)
        if message["type"] == "welcome":
            self.ready += 1
            self.recovered += message["recovered"]
        elif "offset" in message:
            self.broken += message["offset"] != seat.offset + 1
            seat.offset = message["offset"]


class Crowd:
    """The loop. A command names a method here; it is answered with what the method returns, or waits for."""

    def __init__(self, control: Connection) -> None:
        self._control = control
        self._poll = select.epoll()
        self._poll.register(control.fileno(), select.EPOLLIN)
        self._seats: dict[int, Seat] = {}
        self._groups: list[Group] = []
        self._queue: deque[tuple[Seat, tuple[str, int], bytes]] = deque()
        self._awaited: tuple[Group, Callable[[], bool], Callable[[], Any]] | None = None

    def run(self) -> None:
        """Work until the control connection ends."""
        control = self._control.fileno()
        while True:
            for descriptor, _ in self._poll.poll(POLL_SECONDS):
                if descriptor == control:
                    try:
                        name, words = self._control.recv()
                    except EOFError:
                        return
                    getattr(self, name)(**words)
                elif descriptor in self._seats:
                    self._receive(descriptor)
            self._connect()
            self._answer()

    def open(self, **words: Any) -> None:
        """Open a group: answered with (its number, seconds) when all are in, the welcome included."""
        began = time.monotonic()
        group = Group(words["mark"], words["subprotocol"], follows=words["since"] is not None)
        number = len(self._groups)
        self._groups.append(group)
        parts = urlsplit(words["address"])
        request = upgrade(parts.netloc, parts.path or "/", group.subprotocol)
        for hello in words["hellos"]:
            seat = Seat(group, hello, words["since"] or 0)
            group.seats.append(seat)
            self._queue.append((seat, (parts.hostname or "", parts.port or 80), request))
        wanted = len(group.seats)
        self._await(group, lambda: group.ready == wanted, lambda: (number, time.monotonic() - began))

    def reached(self, group: int, seen: int) -> None:
        """Answer when a group has seen so many marks, with the moment of the last one."""
        one = self._groups[group]
        self._await(one, lambda: one.seen >= seen, time.monotonic)

    def caught_up(self, group: int, offset: int) -> None:
        """Answer when everybody in a group has the event at an offset."""
        one = self._groups[group]
        self._await(one, lambda: all(seat.offset >= offset for seat in one.seats), one.counters)

    def counters(self, group: int) -> None:
        """Answer with a group's counts."""
        self._control.send((True, self._groups[group].counters()))

    def pump(self, group: int, payload: bytes, mark: bytes, seconds: float) -> None:
        """Let each viewer send a message, and the next with its answer; answer with (answers, seconds)."""
        one, began = self._groups[group], time.monotonic()
        one.mark, one.seen, one.frame, one.pumping = mark, 0, masked(payload), True
        one.under_way = len(one.seats)
        for seat in one.seats:
            seat.take = one.pump
            seat.sock.send(one.frame)

        def over() -> bool:
            one.pumping = time.monotonic() - began < seconds
            return not one.under_way

        self._await(one, over, lambda: (one.seen, time.monotonic() - began))

    def drop(self, group: int) -> None:
        """Drop a group's connections."""
        for seat in self._groups[group].seats:
            del self._seats[seat.sock.fileno()]
            seat.sock.close()
        self._groups[group].seats.clear()
        self._control.send((True, None))

    def _await(self, group: Group, reached: Callable[[], bool], answer: Callable[[], Any]) -> None:
        self._awaited = (group, reached, answer)

    def _answer(self) -> None:
        if self._awaited is None:
            return
        group, reached, answer = self._awaited
        if reached():
            self._control.send((True, answer()))
        elif group.refused or group.lost:
            text = f"{group.refused} of {len(group.seats)} viewers were refused, {group.lost} sent away."
            self._control.send((False, text))
        else:
            return
        self._awaited = None

    def _connect(self) -> None:
        """Open more of what is queued; the server has only so many handshakes under way."""
        while self._queue:
            seat, address, request = self._queue[0]
            group = seat.group
            if group.begun - group.ready >= OPENING_AT_ONCE:
                return
            self._queue.popleft()
            group.begun += 1
            sock = seat.sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.bind((f"127.0.0.{1 + group.begun % SOURCES}", 0))
            sock.connect(address)
            sock.setblocking(False)
            sock.send(request)
            self._seats[sock.fileno()] = seat
            self._poll.register(sock.fileno(), select.EPOLLIN)

    def _receive(self, descriptor: int) -> None:
        seat = self._seats[descriptor]
        try:
            data = seat.sock.recv(READ_BYTES)
        except ConnectionError:
            data = b""
        if data:
            seat.take(seat, data)
        else:
            seat.group.lost += 1
            self._poll.unregister(descriptor)


def main() -> None:
    """Connect to who commands, and obey until they are gone."""
    gc.disable()  # it runs for minutes and makes no cycles; a collection would look like a slow server
    control = socket.socket(socket.AF_UNIX)
    control.connect(sys.argv[1])
    Crowd(Connection(control.detach())).run()


if __name__ == "__main__":
    main()
