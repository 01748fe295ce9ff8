"""`python -m tests.outside`: the tests of stock, orders and ledger on a Valkey and a PostgreSQL that run already.

Both are plain processes on free ports of loopback, Valkey with compose's own options; the tests only get their URLs.
Words go to pytest: `tests/checkout -k refund`. Without any it is the folders below, by two workers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.stagehand import leave_on_sigterm
from tests.composed import valkey
from tests.postgres import start_postgres
from tests.server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS = [
    "api",
    "checkout",
    "eventlog",
    "flows",
    "inventory",
    "ledger",
    "lua",
    "orders",
    "outside",
    "payments",
    "webhooks",
    "workers",
]
USUAL = ["--numprocesses=2", "--dist=loadfile", *(f"tests/{folder}" for folder in FOLDERS)]


@contextmanager
def stores() -> Iterator[dict[str, str]]:
    """Run both and give what tells the tests about them."""
    folder = Path(tempfile.mkdtemp(prefix="ld-out-"))  # its path must be short, for a socket
    try:
        folder.chmod(0o755)
        for part in ("valkey", "postgres"):
            (folder / part).mkdir()
        with valkey(folder / "valkey") as address:
            server = start_postgres(folder / "postgres", port=free_port())
            try:
                yield {"TEST_REDIS_URL": f"redis://{address}/0", "TEST_DATABASE_URL": server.url}
            finally:
                server.stop()
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Run the tests and return pytest's exit code."""
    leave_on_sigterm()
    with stores() as settings:
        print("On", *settings.values(), flush=True)  # noqa: T201  a program that prints
        command = [sys.executable, "-m", "pytest", "-q", *(sys.argv[1:] or USUAL)]
        return subprocess.run(command, env={**os.environ, **settings}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
