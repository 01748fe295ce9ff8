"""Keeps the private store there for as long as its server runs.

Another process may own it (a second server, a command that came first) and leave, or it may die: then this process
starts it again, on the same data and at the same socket. Clients reconnect by themselves.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import structlog

from server.store.embedded import Embedded, EmbeddedError

if TYPE_CHECKING:
    from server.settings import Settings

LOOK_SECONDS = 0.5

log = structlog.get_logger(__name__)


class StoreKeeper(threading.Thread):
    """Looks at the store until `leave`. A thread of its own: starting a store blocks until that has loaded its data."""

    def __init__(self, embedded: Embedded, settings: Settings) -> None:
        super().__init__(name="store-keeper", daemon=True)
        self._embedded = embedded
        self._settings = settings
        self._leaving = threading.Event()

    def run(self) -> None:
        """Look, and start the store again where it is gone."""
        while not self._leaving.wait(LOOK_SECONDS):
            if not self._embedded.lives():
                self._restart()

    def leave(self) -> None:
        """Stop looking, and end the store if it is ours."""
        self._leaving.set()
        self.join()
        self._embedded.stop()

    def _restart(self) -> None:
        log.warning("store.gone", owned=self._embedded.owned)
        url = self._embedded.url
        self._embedded.stop()
        try:
            self._embedded = Embedded.start(self._settings.data, self._settings.appendfsync)
        except EmbeddedError as error:
            log.exception("store.not_restarted", reason=str(error))
            return
        if self._embedded.url != url:
            # Nobody here would ever find it: better to leave and be started anew than to be up and useless.
            log.error("store.moved")
            os.kill(os.getpid(), signal.SIGTERM)
