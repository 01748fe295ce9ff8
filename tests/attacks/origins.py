"""Pages of other sites, and of what looks like ours: an Origin counts to the letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.attacks.answers import handshake

if TYPE_CHECKING:
    from tests.attacks.answers import Answers
    from tests.stage import Stage

FIGURE = 'livedrop_handshakes_total{outcome="not-allowed"}'
SITES = {
    "another site": "https://evil.example",
    "no site at all": "null",
    "our name and more": "{own}.evil.example",
    "our name within another": "http://evil.example/{own}",
    "another port": "{own}1",
    "with a path": "{own}/",
    "with a user": "http://evil@{host}",
    "in capitals": "HTTP://{host}",
    "another scheme": "ftp://{host}",
}
EXPECTED: Answers = dict.fromkeys(SITES, "403 not-allowed") | {"our own": "101"}


async def attack(stage: Stage) -> Answers:
    """Open a viewer's socket from each of the sites, and from our own."""
    own = stage.server.url
    host = own.partition("://")[2]
    sites = {name: site.format(own=own, host=host) for name, site in SITES.items()} | {"our own": own}
    return {name: await handshake(stage, origin=site) for name, site in sites.items()}
