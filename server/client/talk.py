"""One connection of a client from hello to its end: what is heard, what is said, and signs of life."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import structlog

from server.client.failures import ClosedError, not_connected

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.client.credential import Credential
    from server.client.outbox import Outbox
    from server.client.server_clock import ServerClock
    from server.client.wire import Wire
    from server.client.work import Work
    from server.protocol.events import Message

    Take = Callable[[Message], None]

SIGN_OF_LIFE_SECONDS = 8.0  # after anything that wants an answer
FIRST_PINGS, FIRST_PINGS_EVERY_SECONDS = 5, 0.2  # for the clock
PING_EVERY_SECONDS = 20.0
ENTRANCES = frozenset({"welcome", "waiting"})  # what may answer hello, after the work that may be asked for

log = structlog.get_logger(__name__)


class Talk:
    """The tasks of one connection. `take` gets every message but pongs; a ClosedError that it raises ends the talk."""

    def __init__(  # noqa: PLR0913  what outlives a connection
        self,
        wire: Wire,
        take: Take,
        *,
        outbox: Outbox,
        clock: ServerClock,
        credential: Credential,
        work: Work,
        chance: Callable[[], float],
    ) -> None:
        self._wire = wire
        self._take = take
        self._outbox = outbox
        self._clock = clock
        self._credential = credential
        self._work = work
        self._chance = chance
        self._life: asyncio.TimerHandle | None = None
        self._asked: dict[str, float] = {}  # pings without their pong, and when they left
        self._silent = False

    async def run(self, hello: Message) -> ClosedError:
        """Say hello, go on until the connection ends, and return why it did."""
        try:
            self._take(await self._enter(hello))
            return await self._go_on()
        except ClosedError as closed:
            return not_connected("no sign of life") if self._silent else closed
        finally:
            self._life_seen()

    async def _enter(self, hello: Message) -> Message:
        """Say hello, with work where that is asked for; return the welcome, or that it is to be waited for."""
        while True:
            hello_at = self._clock.local()
            self._expect_life()
            await self._wire.send(hello)
            answer = await self._wire.receive()
            self._life_seen()
            if answer["type"] != "challenge":
                break
            self._take(answer)
            hello = {**hello, "proof": await self._worked(answer)}
        if answer["type"] not in ENTRANCES:
            raise not_connected(f"{answer['type']} came in place of a welcome")
        if answer["type"] == "welcome":
            self._clock.heard(answer["server_time_at"], hello_at)
        return answer

    async def _worked(self, challenge: Message) -> Message:
        """Do the work and return its proof, unless the connection ends meanwhile: then that is raised."""
        working = asyncio.create_task(self._work.do(challenge))
        hearing = asyncio.create_task(self._wire.receive())
        try:
            await asyncio.wait({working, hearing}, return_when=asyncio.FIRST_COMPLETED)
            if hearing.done():
                raise not_connected(f"{hearing.result()['type']} came in place of a welcome")
            return working.result()
        finally:
            working.cancel()
            hearing.cancel()
            await asyncio.gather(working, hearing, return_exceptions=True)

    async def _go_on(self) -> ClosedError:
        async with asyncio.TaskGroup() as group:
            duties = [group.create_task(duty) for duty in (self._speak(), self._ping(), self._renew())]
            closed = await self._listen()
            for duty in duties:
                duty.cancel()
        return closed

    async def _listen(self) -> ClosedError:
        try:
            while True:
                self._life_seen()
                self._hear(await self._wire.receive())
        except ClosedError as closed:
            return not_connected("no sign of life") if self._silent else closed

    def _hear(self, message: Message) -> None:
        if message["type"] != "pong":
            self._take(message)
        elif (asked_at := self._asked.pop(message.get("id", ""), None)) is not None:
            self._clock.heard(message["server_time_at"], asked_at)

    async def _speak(self) -> None:
        while True:
            message = await self._outbox.next()
            if "id" in message:
                self._expect_life()
            await self._wire.send(message)

    async def _ping(self) -> None:
        for number in itertools.count(1):
            self._asked[str(number)] = self._clock.local()
            self._expect_life()
            await self._wire.send({"type": "ping", "id": str(number)})
            usual = PING_EVERY_SECONDS * (1 + self._chance()) / 2
            await asyncio.sleep(FIRST_PINGS_EVERY_SECONDS if number < FIRST_PINGS else usual)

    async def _renew(self) -> None:
        """Bring a fresh token before the old one expires; where none can be had, the server will end the talk."""
        while (wait := self._credential.renew_in(self._clock.now())) is not None:
            await asyncio.sleep(wait)
            try:
                token = await self._credential.fresh(self._clock.now())
            except Exception as error:  # noqa: BLE001  whatever the program's own function may raise
                log.warning("token.not_renewed", error=repr(error))
            else:
                await self._wire.send({"type": "token", "token": token})

    def _expect_life(self) -> None:
        if self._life is None:
            self._life = asyncio.get_running_loop().call_later(SIGN_OF_LIFE_SECONDS, self._give_up)

    def _life_seen(self) -> None:
        if self._life is not None:
            self._life.cancel()
            self._life = None

    def _give_up(self) -> None:
        self._silent = True
        self._wire.abort()
