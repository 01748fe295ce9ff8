"""What a client told its program, and whether that keeps the promise: each event once and in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.waiting import wait_for

if TYPE_CHECKING:
    from server.client import Connection, LiveDrop
    from tests.stage import Stage

Message = dict[str, Any]


class Told:
    """Everything that a client calls back with."""

    def __init__(self, live: LiveDrop) -> None:
        self.messages: list[Message] = []
        self.connections: list[Connection] = []
        live.on("message", self.messages.append)
        live.on("connection", self.connections.append)

    @property
    def welcomes(self) -> list[Message]:
        """The welcomes, of which those with a snapshot are new starts."""
        return [message for message in self.messages if message["type"] == "welcome"]

    @property
    def states(self) -> list[str]:
        """How the connection stood."""
        return [connection.state for connection in self.connections]

    @property
    def offset(self) -> int:
        """The last event or new start."""
        offsets: list[int] = [
            message["offset"]
            for message in self.messages
            if "offset" in message and not message.get("recovered")
        ]
        return offsets[-1] if offsets else -1

    def of(self, kind: str) -> list[Message]:
        """Return the messages of a type."""
        return [message for message in self.messages if message["type"] == kind]

    async def live_again(self, breaks: int) -> None:
        """Wait until the connection has come back so many times."""
        await wait_for(lambda: self.states.count("live") > breaks, f"{breaks} returns", 30)

    async def catches_up(self, stage: Stage) -> None:
        """Wait until it has been told of an event that is written now, and then of nothing wrong."""
        drop = await stage.drop(1, opened=False)
        await wait_for(lambda: drop in str(self.of("drop.scheduled")), "the newest event", 30)
        assert holes(self.messages) == []


def holes(messages: list[Message]) -> list[str]:
    """Return a sentence for each event that is missing, or came twice, without a new start before it."""
    found = []
    offset = -1
    for message in messages:
        if message["type"] == "welcome":
            if not message["recovered"]:
                offset = message["offset"]
        elif "offset" in message:
            if message["offset"] != offset + 1:
                found.append(f"{message['offset']} after {offset}")
            offset = message["offset"]
    return found
