"""Clients of a show, for asyncio programs: `LiveDrop` stays for as long as it is wanted, `live` is one connection.

`LiveDrop` comes back by itself, keeps the order of events, repeats what has no answer, and pays. `live` shows one
connection as it is, to tests, load and simulated audiences.
"""

from server.client.connection import LiveClient, live
from server.client.failures import ClosedError, LiveDropError
from server.client.keeper import Connection
from server.client.livedrop import LiveDrop

__all__ = ["ClosedError", "Connection", "LiveClient", "LiveDrop", "LiveDropError", "live"]
