"""Thousands of viewers in one process: one epoll loop, no task, no future and no library per viewer.

A delivery costs about two system calls' worth of this process: one read, one look at a remembered result. Viewers
read as soon as there is something, unless they are told to stall. Their source addresses are spread over
127.0.0.2 and up, so that ports last and a limit per address sees many.
"""

from __future__ import annotations

import heapq
import select
import time
from array import array
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING

from loadtests.audience.wire import (
    CLOSE,
    PING,
    PONG,
    FrameError,
    Reader,
    answered,
    frame,
    hello,
    refusal,
    request,
)
from loadtests.multitude.figures import MS, NS, Census, measured
from loadtests.multitude.viewer import Phase, Viewer
from loadtests.multitude.witness import Book
from server.protocol.codec import Codec

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from loadtests.audience.wire import Told
    from loadtests.multitude.figures import Deliveries

AT_ONCE = 4096  # sockets per turn
IDLE_NS = NS // 2  # longest wait for something to happen
VANISHED = 1006  # ended without a close frame, RFC 6455 section 7.4.1
WELCOME_SECONDS = 5  # who is not welcomed by then tries again: the kernel alone would wait up to a minute
MAY_RETURN = range(3000, 3500)  # the contract's close codes after which a client comes back


class Audience:
    """The viewers of one show at `host`:`port`. Call `turn` for ever; the rest says what they do."""

    def __init__(self, host: str, port: int, show: str) -> None:
        self.book = Book()
        self._address = (host, port)
        self._requests = {codec: request(f"{host}:{port}", show, codec) for codec in Codec}
        self._readers = {codec: Reader() for codec in Codec}
        self._viewers: list[Viewer] = []
        self._by_socket: dict[int, Viewer] = {}
        self._others: dict[int, Callable[[], None]] = {}
        self._due: list[tuple[int, int]] = []  # (moment in monotonic ns, viewer) of connections to be made
        self._patience: deque[tuple[int, Viewer, socket.socket]] = deque()  # and of those on the way, its end
        self._stamps: dict[int, array[int]] = defaultdict(lambda: array("q"))  # offset -> moments
        self._epoll = select.epoll()

    def close(self) -> None:
        """End everything."""
        for viewer in self._viewers:
            self._cut(viewer)
        self._epoll.close()

    def attend(self, descriptor: int, act: Callable[[], None]) -> None:
        """Call `act` whenever there is something to read on a descriptor that is no viewer's."""
        self._others[descriptor] = act
        self._epoll.register(descriptor, select.EPOLLIN)

    # What they are told to do; groups are numbers of viewers.

    def enlist(self, tokens: Sequence[str], *, narrow: bool) -> None:
        """Add a viewer for each token; every other one speaks msgpack. Narrow ones take little at once."""
        for token in tokens:
            self._viewers.append(Viewer(len(self._viewers), token, self.book, narrow=narrow))

    def arrive(self, group: Sequence[int], seconds: float) -> None:
        """Connect those of a group who are away, evenly over so long, each with their place in the log."""
        away = [number for number in group if self._viewers[number].phase is Phase.AWAY]
        began = time.monotonic_ns()
        for turn, number in enumerate(away):
            heapq.heappush(self._due, (began + int(seconds * NS * turn / len(away)), number))

    def vanish(self, group: Iterable[int]) -> None:
        """Cut the connections of a group off, as a dead network does."""
        for number in group:
            self._cut(self._viewers[number])

    def stall(self, group: Iterable[int]) -> None:
        """Let a group stop reading."""
        self._listen_for(group, 0)

    def resume(self, group: Iterable[int]) -> None:
        """Let a group read on."""
        self._listen_for(group, select.EPOLLIN)

    def mislead(self, group: Iterable[int], events: int) -> None:
        """Let a group believe to be so many events further than they are: what follows must look wrong to them."""
        for number in group:
            self._viewers[number].witness.place += events

    def keep_time(self, group: Iterable[int]) -> None:
        """Keep the moments of events for this group, and for nobody else; earlier ones are forgotten."""
        self._stamps.clear()
        for viewer in self._viewers:
            viewer.timed = False
        for number in group:
            self._viewers[number].timed = True

    # What is to be known about them.

    def census(self, group: Sequence[int]) -> Census:
        """Return how a group stands."""
        viewers = [self._viewers[number] for number in group]
        here = [viewer.witness for viewer in viewers if viewer.phase is Phase.HERE]
        places = [witness.place for witness in here]
        return Census(
            size=len(viewers),
            here=len(here),
            lowest=min(places, default=0),
            highest=max(places, default=0),
            stocks=Counter(witness.stock for witness in here),
            stock_at=max((witness.stock_at for witness in here), default=0),
            closes=Counter(viewer.code for viewer in viewers if viewer.phase is Phase.AWAY),
        )

    def delivered(self, offset: int) -> int:
        """Return how many of the timed group have an event."""
        return len(self._stamps[offset])

    def deliveries(self, asked: Mapping[int, int]) -> Deliveries:
        """Return how long events took to the timed group; `asked` is when each offset was asked for."""
        return measured(self._stamps, asked)

    # The loop.

    def turn(self) -> None:
        """Wait until something happens, at most for a moment, and do it."""
        now = time.monotonic_ns()
        self._keep_appointments(now)
        for descriptor, mask in self._epoll.poll(self._wait(now), AT_ONCE):
            viewer = self._by_socket.get(descriptor)
            if viewer is None:
                self._others.get(descriptor, lambda: None)()  # or somebody cut off earlier in this very turn
            elif mask & select.EPOLLIN:
                self._read(viewer)
            elif mask & select.EPOLLOUT:
                self._epoll.modify(descriptor, select.EPOLLIN)
                self._send(viewer, self._requests[viewer.codec])
            else:
                self._lose(viewer, VANISHED)

    def _keep_appointments(self, now: int) -> None:
        """Connect who is due, and let those try again whom the server has not welcomed in time."""
        while self._due and self._due[0][0] <= now:
            self._open(self._viewers[heapq.heappop(self._due)[1]], now)
        while self._patience and self._patience[0][0] <= now:
            _, viewer, sock = self._patience.popleft()
            if viewer.sock is sock and viewer.phase is not Phase.HERE:
                self._again(viewer, f"no welcome within {WELCOME_SECONDS} s", 0)

    def _wait(self, now: int) -> float:
        """Return the seconds until something is due."""
        moments = [queue[0][0] for queue in (self._due, self._patience) if queue]
        return max(0, min([now + IDLE_NS, *moments]) - now) / NS

    def _open(self, viewer: Viewer, now: int) -> None:
        if viewer.phase is not Phase.AWAY:
            return
        sock = viewer.open(self._address)
        self._by_socket[sock.fileno()] = viewer
        self._epoll.register(sock, select.EPOLLOUT)
        self._patience.append((now + WELCOME_SECONDS * NS, viewer, sock))

    def _read(self, viewer: Viewer) -> None:
        data = viewer.read()
        if data is None:
            return
        if not data:
            self._lose(viewer, VANISHED)
            return
        try:
            self._take(viewer, data, time.monotonic_ns())
        except FrameError as error:
            self.book.wrong += 1
            self.book.note(f"viewer {viewer.number}: {error}")
            self._cut(viewer)

    def _take(self, viewer: Viewer, data: bytes, now: int) -> None:
        if viewer.phase is Phase.OPENING:
            self._shake(viewer, data)
            return
        frames, viewer.rest = self._readers[viewer.codec].read(data)
        for told in frames:
            if told.opcode >= CLOSE:
                self._control(viewer, told)
                continue
            viewer.witness.take(told, now)
            if viewer.timed and told.offset:
                self._stamps[told.offset].append(now)
        if viewer.phase is Phase.GREETING and viewer.witness.welcomed:
            viewer.phase = Phase.HERE

    def _shake(self, viewer: Viewer, data: bytes) -> None:
        answer = answered(data, viewer.codec)
        viewer.rest = data if answer is None else answer[1]
        if answer is None:
            return
        if not answer[0]:
            status, retry_ms = refusal(data)
            self._again(viewer, f"HTTP {status}", retry_ms)
            return
        viewer.phase = Phase.GREETING
        viewer.witness.begin()
        self._send(viewer, hello(viewer.token, viewer.witness.since, viewer.codec))

    def _control(self, viewer: Viewer, told: Told) -> None:
        if told.opcode == PING:
            self._send(viewer, frame(PONG, told.payload))
        elif told.opcode == CLOSE:
            if viewer.phase is Phase.GREETING and told.code in MAY_RETURN:
                self._again(viewer, f"close {told.code}", told.retry_ms)
            else:
                self._send(viewer, frame(CLOSE, told.payload[:2]))
                self._lose(viewer, told.code)

    def _send(self, viewer: Viewer, data: bytes) -> None:
        if not viewer.send(data):
            self._lose(viewer, VANISHED)

    def _lose(self, viewer: Viewer, code: int) -> None:
        """Know that the server or the network has ended a connection; one that never began is tried again."""
        if viewer.phase in {Phase.OPENING, Phase.GREETING} and code == VANISHED:
            self._again(viewer, "hung up", 1000)
        elif viewer.phase is not Phase.AWAY:
            self._cut(viewer)
            viewer.code = code

    def _again(self, viewer: Viewer, reason: str, after_ms: int) -> None:
        self.book.refused[reason] += 1
        self._cut(viewer)
        heapq.heappush(self._due, (time.monotonic_ns() + after_ms * MS, viewer.number))

    def _cut(self, viewer: Viewer) -> None:
        if viewer.sock is not None:
            del self._by_socket[viewer.sock.fileno()]  # epoll forgets it by itself
        viewer.close()

    def _listen_for(self, group: Iterable[int], mask: int) -> None:
        for number in group:
            viewer = self._viewers[number]
            if viewer.sock is not None:
                self._epoll.modify(viewer.sock, mask)
