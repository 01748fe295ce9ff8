"""What a page weighs: the bytes that come over the wire for it, as they are encoded, file by file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

MOST_BYTES = 120 * 1024  # of the viewer's page, without pictures and video
# Chromium's names for what belongs to the show and not to the page.
SHOWN = frozenset({"Image", "Media"})


@dataclass(frozen=True, slots=True)
class File:
    """One answer: its address, what Chromium takes it for, and its bytes with their head."""

    url: str
    kind: str
    size: int

    @property
    def counts(self) -> bool:
        """Whether it is part of the page and not of what the page shows."""
        return self.kind not in SHOWN


@dataclass
class Scales:
    """Weighs everything that a page loads from now on."""

    files: list[File] = field(default_factory=list)
    _asked: dict[str, tuple[str, str]] = field(default_factory=dict)

    async def under(self, page: Page) -> CDPSession:
        """Put the scales under a page that has no address yet; nothing may be kept from earlier."""
        session = await page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.loadingFinished", self._finished)
        await session.send("Network.enable")
        await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        return session

    @property
    def total(self) -> int:
        """The weight of the page in bytes."""
        return sum(file.size for file in self.files if file.counts)

    def _sent(self, event: dict[str, Any]) -> None:
        self._asked[event["requestId"]] = (event["request"]["url"], event.get("type", "Other"))

    def _finished(self, event: dict[str, Any]) -> None:
        url, kind = self._asked[event["requestId"]]
        self.files.append(File(url, kind, int(event["encodedDataLength"])))
