"""A bank on a socket that its parent has bound: `python -m server.payments.bank DESCRIPTOR FOLDER`, key on stdin."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from server import logs
from server.payments.bank.process import run

if __name__ == "__main__":
    logs.configure("warning")
    run(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]), sys.stdin.buffer.read())
