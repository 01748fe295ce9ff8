"""Try every attack on a server: `python -m tests.attacks`, or with `--host URL` on one that runs already.

Without a URL it starts a server of its own. Of another one it needs the secret, in LIVEDROP_SECRET: a show is made
there, and viewers get tokens; a server that believes others' tokens cannot be tried. Its log cannot be read from here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from rich.console import Console
from rich.table import Table

from server.auth import Tokens
from tests.attacks.answers import differences
from tests.attacks.trial import ATTACKS, tried
from tests.server import ServerProcess, own_server
from tests.stage import Stage

if TYPE_CHECKING:
    from tests.attacks.trial import Trial

# The tests' own server is quick to lose its patience, inflates what is compressed, and has a limit per address.
SETTINGS = {
    "LIVEDROP_HELLO_SECONDS": "1",
    "LIVEDROP_HANDSHAKE_SECONDS": "1",
    "LIVEDROP_DEFLATE": "true",
    "LIVEDROP_UNITS_PER_ADDRESS": "2",
}


class Elsewhere(ServerProcess):
    """A server that runs already, at an address and with a secret of its own."""

    __slots__ = ("address", "secret")

    def __init__(self, address: str, secret: str) -> None:
        super().__init__(Path(os.devnull))
        self.address, self.secret = address.rstrip("/"), secret

    @property
    def url(self) -> str:
        return self.address

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.secret)


async def all_tried(server: ServerProcess, log: Path | None) -> list[Trial]:
    """Carry every attack out, one after the other, on a show of their own."""
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        stage = Stage(server, http)
        await stage.open()
        try:
            return [await tried(stage, attack, log) for attack in ATTACKS]
        finally:
            await stage.close()


def table_of(trials: list[Trial]) -> Table:
    """Return what came of it, a line for each thing that was tried."""
    table = Table(title="What strangers send, and what comes of it")
    for column in ("attack", "tried", "expected", "seen", "counted", "log"):
        table.add_column(column, overflow="fold")
    for trial in trials:
        for number, (name, expected) in enumerate(trial.expected.items()):
            seen = trial.seen.get(name, "nothing")
            colour = "red" if differences({name: expected}, {name: seen}) else "green"
            counted = "yes" if trial.counted else "[red]no[/red]"
            lines = (
                "not read" if trial.lines is None else f"{trial.lines} lines, {len(trial.unclean)} unclean"
            )
            first = (trial.name, counted, lines) if number == 0 else ("", "", "")
            table.add_row(first[0], name, expected, f"[{colour}]{seen}[/{colour}]", *first[1:])
    return table


def main() -> int:
    """Try, print, and return 1 where anything came out otherwise than expected."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument(
        "--host", metavar="URL", help="a server that runs already; its secret is in LIVEDROP_SECRET"
    )
    chosen = parser.parse_args()
    if chosen.host:
        secret = os.environ.get("LIVEDROP_SECRET", "")
        trials = asyncio.run(all_tried(Elsewhere(chosen.host, secret), None))
    else:
        with (
            tempfile.TemporaryDirectory(prefix="livedrop-attacks-") as folder,
            own_server(Path(folder), SETTINGS) as server,
        ):
            trials = asyncio.run(all_tried(server, server.log))
    Console().print(table_of(trials))
    return 0 if all(trial.passed for trial in trials) else 1


if __name__ == "__main__":
    sys.exit(main())
