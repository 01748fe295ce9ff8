"""The command `livedrop`."""

from server.cli.main import main

__all__ = ["main"]
