"""One viewer of the multitude: a socket that never blocks, and what came through it."""

from __future__ import annotations

import socket
from enum import IntEnum
from typing import TYPE_CHECKING

from loadtests.multitude.witness import Witness
from server.protocol.codec import Codec

if TYPE_CHECKING:
    from loadtests.multitude.witness import Book

CHUNK_BYTES = 32_768  # per read
ADDRESSES = 50  # source addresses
NARROW_BUFFER, NARROW_SEGMENT = 4096, 536  # bytes: a phone on a bad line, which little can be sent to ahead
NO_PORT_YET = 24  # IP_BIND_ADDRESS_NO_PORT, Linux: the port is chosen with the connection
RESET = (1).to_bytes(4, "little") + bytes(4)  # struct linger: on, 0 s


class Phase(IntEnum):
    """How far a viewer's connection is."""

    AWAY = 0
    OPENING = 1  # TCP, then the handshake
    GREETING = 2  # hello has been said
    HERE = 3


class Viewer:
    """One viewer: their connection and what they have witnessed."""

    __slots__ = ("code", "codec", "narrow", "number", "phase", "rest", "sock", "timed", "token", "witness")

    def __init__(self, number: int, token: str, book: Book, *, narrow: bool) -> None:
        self.number = number
        self.token = token
        self.codec = Codec.MSGPACK if number % 2 else Codec.JSON
        self.narrow = narrow
        self.witness = Witness(f"viewer {number}", book, binary=self.codec.binary)
        self.phase = Phase.AWAY
        self.sock: socket.socket | None = None
        self.rest = b""
        self.timed = False  # whether the moment of each event is kept
        self.code = 0  # with which the server ended the newest connection; 0 where it did not

    def open(self, address: tuple[str, int]) -> socket.socket:
        """Begin to connect; the socket becomes writable when that is done."""
        sock = self.sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if self.narrow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW_BUFFER)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, NARROW_SEGMENT)
        sock.setsockopt(socket.IPPROTO_IP, NO_PORT_YET, 1)
        sock.bind((f"127.0.0.{2 + self.number % ADDRESSES}", 0))
        sock.connect_ex(address)
        self.phase, self.code, self.rest = Phase.OPENING, 0, b""
        return sock

    def read(self) -> bytes | None:
        """Return what there is to read, after the rest of the last time; nothing at the end, None if it is not yet."""
        if self.sock is None:
            return None
        try:
            data = self.sock.recv(CHUNK_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        return self.rest + data if self.rest and data else data

    def send(self, data: bytes) -> bool:
        """Send a few hundred bytes; False where the socket does not take them whole: it is as good as dead."""
        if self.sock is None:
            return True
        try:
            return self.sock.send(data) == len(data)
        except OSError:
            return False

    def close(self) -> None:
        """Cut the connection off, if there is one."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None
        self.phase = Phase.AWAY
