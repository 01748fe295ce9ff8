"""A store that is not there."""

from __future__ import annotations

from typing import Any, NoReturn

from server.errors import unavailable


class Gone:
    """Stands in for the scripts: none of them can be run."""

    async def run(self, name: str, _ids: Any, /, **_args: Any) -> NoReturn:
        raise unavailable(f"{name}: the connection to the store failed; whether it was applied is unknown")
