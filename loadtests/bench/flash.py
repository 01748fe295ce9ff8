"""The load test as a part: everybody wants a drop within 200 ms of its opening, on a server in two processes.

It is the load test's own command, with its generator and its gate, in a process of its own; what it leaves is read.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import msgspec

from loadtests.bench.ground import BenchError
from loadtests.run import Run
from loadtests.stagehand import ROOT, clean_environment, log_tail
from server.store.leash import leashed

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.bench.ground import Ground
    from loadtests.bench.sizes import Sizes

SHAPE = "flash"
WORKERS = 2
SEED = 1
OUTCOMES = (0, 1)  # the run is there: it passed, or the gate found something


async def measure(ground: Ground, sizes: Sizes) -> Run:
    """Return the run. Raises BenchError where it could not be carried out."""
    folder = ground.folder / SHAPE
    ground.say(f"{sizes.flash:,} viewers take {sizes.flash_units:,} units")
    command = [sys.executable, "-m", "loadtests", "load", SHAPE, "--out", str(folder)]
    numbers = {"viewers": sizes.flash, "drop": sizes.flash_units, "workers": WORKERS, "seed": SEED}
    command += [word for name, number in numbers.items() for word in (f"--{name}", str(number))]
    return await carried_out(command, folder, ground.folder / "load.log")


async def carried_out(command: list[str], folder: Path, log: Path) -> Run:
    """Run a load test and return what it left in its folder; cancelled, it takes the test down with it."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *leashed(command),
            cwd=ROOT,
            env=clean_environment(),
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
    if code not in OUTCOMES:
        raise BenchError(f"The load test could not be carried out ({code}):\n{log_tail(log)}")
    try:
        return msgspec.json.decode((folder / "run.json").read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError) as error:
        raise BenchError(f"The load test left no run: {error}\n{log_tail(log)}") from None
