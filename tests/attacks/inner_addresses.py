"""Receivers of webhooks that would lead the server into its own network, or to a cloud's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.attacks.answers import told

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = ""  # nothing was made, nothing was tried
URLS = {
    "metadata": "http://169.254.169.254/latest/meta-data",
    "metadata by https": "https://169.254.169.254/",
    "metadata, mapped": "https://[::ffff:169.254.169.254]/",
    "metadata by NAT64": "https://[64:ff9b::a9fe:a9fe]/",
    "metadata as a number": "https://2852039166/",
    "link-local": "https://[fe80::1]/",
    "unspecified": "https://0.0.0.0/",
    "unspecified, IPv6": "https://[::]/",
    "multicast": "https://224.0.0.1/",
    "a private network": "https://10.0.0.1/",
    "a file": "file:///etc/passwd",
    "gopher": "gopher://127.0.0.1:6379/_FLUSHALL",
    "a user": "https://user:password@shop.example/",
    "a line break": "https://shop.example/\r\nX: y",
}
EXPECTED: Answers = dict.fromkeys(URLS, "422 invalid-message")


async def attack(stage: Stage) -> Answers:
    """Ask for a webhook at each of them."""
    return {
        name: told(await stage.host("POST", "/v1/webhooks", json={"url": url})) for name, url in URLS.items()
    }
