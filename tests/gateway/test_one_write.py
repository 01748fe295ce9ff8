"""Answers of one step leave a viewer's connection in one write, as the kernel counts it."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
import uvloop

from tests.gateway.scene import unframed
from tests.gateway.seats import Hall, held

ANSWERS = 10
DATA_SEGMENTS_IN = 152  # where they stand in Linux' struct tcp_info


def segments(connection: socket.socket) -> int:
    """Return in how many segments data has come."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, DATA_SEGMENTS_IN + 4)
    return int(struct.unpack_from("I", info, DATA_SEGMENTS_IN)[0])


async def segments_of_answers(*, together: bool) -> int:
    """Let a viewer reserve ten times at once, answer in one step or in ten, and return the segments that came."""
    loop, hall = asyncio.get_running_loop(), Hall()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        connection, _address = listener.accept()
    peer.setblocking(False)
    with peer:
        transport, _protocol = await loop.create_connection(asyncio.Protocol, sock=connection)
        seat, data = hall.sit(wire=transport), b""
        seat.reserve(*map(str, range(ANSWERS)))
        if together:
            hall.lines.answer()
        for number in range(1, ANSWERS + 1):
            if not together:
                hall.lines.answer(held(hall.lines.asks[number - 1]))
            while len(unframed(data)) < number:
                data += await loop.sock_recv(peer, 65_536)
        count = segments(peer)
        transport.abort()
        return count


@pytest.mark.parametrize("factory", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_answers_of_one_step_leave_together(factory: object) -> None:
    """Ten answers of one step are one write; ten steps are ten, and no answer waits for the step behind it."""
    with asyncio.Runner(loop_factory=factory) as runner:  # type: ignore[arg-type]  # a factory of loops
        assert runner.run(segments_of_answers(together=True)) == 1
        assert runner.run(segments_of_answers(together=False)) == ANSWERS
