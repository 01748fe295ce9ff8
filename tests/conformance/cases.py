"""Which of the suite's cases run, what their verdicts must be, and kosoku as the client that plays them.

kosoku changes the interpreter that imports it (`sys.path`, `binascii`), so it runs in one of its own.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

GROUPS = {
    "framing": ["1.*"],
    "pings and pongs": ["2.*"],
    "reserved bits": ["3.*"],
    "opcodes": ["4.*"],
    "fragmentation": ["5.*"],
    "UTF-8": ["6.*"],
    "closing": ["7.*"],
    "limits": ["9.*"],
    "automatic fragmentation": ["10.*"],
    "compression of JSON": ["12.1.*"],
    "compression of a bitmap": ["12.2.*"],
    "compression of text": ["12.3.*"],
    "compression of HTML": ["12.4.*"],
    "compression of a PDF": ["12.5.*"],
    "negotiation of compression": ["13.*"],
}
FAST = [
    *(case for group, cases in GROUPS.items() if "compression" not in group for case in cases),
    *("12.1.11", "12.2.7"),  # fragments of 256 bytes; 16 KiB that hardly shrink
    *(f"12.{data}.1" for data in range(1, 6)),
    *(f"13.{offer}.1" for offer in range(1, 8)),
]

GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}  # kosoku's, and the suite's, idea of a pass
EXPECTED = {
    # A close frame inside a fragmented message: the suite wants 1000 back, the library and we say 1002.
    "7.1.5": "FAILED",
}
AT_ONCE = 4  # cases that run at the same time; some only wait
START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case: the messages, the close, and how long it took."""

    case: str
    behavior: str
    close: str
    milliseconds: int
    reason: str

    @property
    def good(self) -> bool:
        """Whether the case passed, or ended as declared."""
        for case, behavior in EXPECTED.items():
            if fnmatch(self.case, case):
                return self.behavior == behavior
        return self.behavior in GOOD and self.close in {"OK", "INFORMATIONAL"}


@asynccontextmanager
async def echo_server() -> AsyncIterator[str]:
    """Run the echo server in a process of its own; gives its address."""
    command = [sys.executable, "-m", "tests.conformance.echo"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        assert port, "the echo server has not started"
        yield f"ws://127.0.0.1:{int(port)}"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), START_SECONDS) == 0, "the echo server did not end well"


async def play(address: str, cases: Sequence[str], seconds: float) -> list[Verdict]:
    """Have kosoku play cases against a server; patterns such as `9.*` are welcome. Raises TimeoutError."""
    command = [sys.executable, "-m", "tests.conformance.player", address, str(AT_ONCE), *cases]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, "kosoku did not come to its end"
    return [Verdict(*fields) for fields in json.loads(output)]
