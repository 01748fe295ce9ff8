"""Several gateways on one store and one ledger, each a process that can be killed and comes back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.store.embedded import Embedded
from tests.flows.named.broken import repertoire
from tests.houses import house_at
from tests.sandbox import private_sandbox
from tests.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from server.house import House
    from tests.chaos.plan import Plan

SETTINGS = {
    "LIVEDROP_PROVIDER_SECONDS": "2",
    "LIVEDROP_MESSAGES_PER_SECOND": "1000",
    "LIVEDROP_MESSAGE_BURST": "1000",
    "LIVEDROP_DRAIN_SECONDS": "2",
    "LIVEDROP_UNITS_PER_ADDRESS": "1000",  # so that they are counted
    "LIVEDROP_LOG_LEVEL": "warning",
}


@dataclass(slots=True)
class Estate:
    """The gateways, and rooms of our own on the same store and ledger. Each gateway also sweeps and resumes orders."""

    store: Embedded
    house: House
    gateways: list[ServerProcess]
    _returning: set[asyncio.Task[None]] = field(default_factory=set)

    async def kill(self, number: int) -> None:
        """Kill a gateway at once, and return when another has taken its place at the same port."""
        returning = asyncio.create_task(asyncio.to_thread(self._replace, self.gateways[number]))
        self._returning.add(returning)
        returning.add_done_callback(self._returning.discard)
        await asyncio.shield(returning)  # a thread goes on in any case: `stop` waits for it

    @staticmethod
    def _replace(gateway: ServerProcess) -> None:
        gateway.kill()
        gateway.start()

    async def stop(self) -> list[int]:
        """Ask all to leave; return their exit codes."""
        await asyncio.gather(*self._returning, return_exceptions=True)
        return await asyncio.gather(*(asyncio.to_thread(each.stop) for each in self.gateways))

    def troubles(self) -> list[str]:
        """Return what the gateways said that a healthy one does not say: bugs."""
        lines = (line for gateway in self.gateways for line in gateway.log.read_text().splitlines())
        return sorted({line[:300] for line in lines if "Traceback" in line or '"error"' in line})


@asynccontextmanager
async def estate(folder: Path, plan: Plan) -> AsyncIterator[Estate]:
    """Start the gateways of a plan; they must leave in good order."""
    size, fault, skip = plan.gateways, plan.fault, plan.skip_absent
    with Embedded.start(folder / "store") as store, private_sandbox(folder / "ledger") as bank:
        async with house_at(
            store.url, folder / "ledger", provider_seconds=2, waitlist_skip_absent=skip
        ) as house:
            listed = folder / "faults"
            if fault:
                repertoire(fault)  # the line that it replaces is still there
                await asyncio.to_thread(listed.write_text, fault)
            settings = {
                **SETTINGS,
                "LIVEDROP_WAITLIST_SKIP_ABSENT": str(skip).lower(),
                "FAULTS": str(listed),
                "REDIS_URL": store.url,
                "LIVEDROP_SANDBOX_URL": bank,
                "DATABASE_URL": f"sqlite:///{folder / 'ledger' / 'livedrop.sqlite3'}",
            }
            gateways = [
                ServerProcess(
                    folder / f"gateway-{number}",
                    settings=settings,
                    module="tests.flows.named.broken" if fault else "server",
                )
                for number in range(size)
            ]
            one = Estate(store, house, gateways)
            try:
                await asyncio.gather(*(asyncio.to_thread(each.start) for each in gateways))
                yield one
            finally:
                codes = await one.stop()
            assert codes == [0] * size, f"gateways left with {codes}"
