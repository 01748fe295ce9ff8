"""What the sandbox's tests ask for, and a `livedrop sandbox` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import httpx

from server.payments.bank.signature import key_of
from server.payments.provider import Charge
from tests.server import SECRET, ServerProcess, free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

KEY = {"Authorization": f"Bearer {key_of(SECRET).hex()}"}


def charge(token: str = "tok_ok", order: str = "or_1", **other: Any) -> Charge:  # noqa: S107  a published test token
    """Return what is asked for an order of 12.50 EUR."""
    return Charge(
        **{"order": order, "amount": 1250, "currency": "EUR", "method": "card", "token": token, **other}
    )


@dataclass(slots=True)
class SandboxProcess:
    """One `livedrop sandbox`; `start` it, `kill` it at once, or `stop` it in good order."""

    data: Path
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it and return when it answers."""
        command = [
            sys.executable,
            "-m",
            "server",
            "sandbox",
            "--port",
            str(self.port),
            "--data",
            str(self.data),
        ]
        self.process = subprocess.Popen(
            [*command, *self.options],
            env=ServerProcess(self.data).environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        wait_until(self._answers, "the sandbox answers")
        return self

    def stop(self) -> tuple[int, str]:
        """Ask it to leave; return its exit code and what it printed."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it at once."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> tuple[int, str]:
        if self.process is None:
            return 0, ""
        process, self.process = self.process, None
        os.kill(process.pid, number)
        told, _ = process.communicate(timeout=20)
        return process.returncode, told

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the sandbox ended"
        try:
            return httpx.get(f"{self.url}/payments/none", timeout=2).status_code == httpx.codes.UNAUTHORIZED
        except httpx.TransportError:
            return False
