"""`python -m tests.contract`: two minutes of made-up requests to a server of our own, held against its document.

Words go to schemathesis behind ours, where the last one counts: `--max-time 600`, `--seed 7`, `--include-path …`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.contract.checks import LEFT_OUT
from tests.contract.hooks import ADDRESS
from tests.server import own_server

SECONDS = 120


def main() -> int:
    """Run schemathesis against a server of our own, and return its exit code."""
    with tempfile.TemporaryDirectory(prefix="ld-contract-") as folder, own_server(Path(folder)) as server:
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{server.url}/openapi.json",
            f"--max-time={SECONDS}",
            f"--exclude-checks={','.join(LEFT_OUT)}",
            "--continue-on-failure",
            "--generation-database=none",
            "--warnings=off",
            *sys.argv[1:],
        ]
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.contract.hooks", ADDRESS: server.url}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
