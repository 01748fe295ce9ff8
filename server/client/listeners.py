"""Who is called back with what, in the order in which they asked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Callback = Callable[[Any], object]


class Listeners:
    """Callbacks by kind. What one raises goes to the loop's exception handler and keeps nothing from the others."""

    def __init__(self) -> None:
        self._callbacks: defaultdict[str, list[Callback]] = defaultdict(list)

    def add(self, kind: str, callback: Callback) -> Callable[[], None]:
        """Call back with everything of this kind; the function that is returned ends it."""
        self._callbacks[kind].append(callback)

        def remove() -> None:
            if callback in self._callbacks[kind]:
                self._callbacks[kind].remove(callback)

        return remove

    def tell(self, kind: str, news: object) -> None:
        """Call all of a kind."""
        for callback in tuple(self._callbacks.get(kind, ())):
            try:
                callback(news)
            except Exception as error:  # noqa: BLE001  the program's own function may raise anything
                context = {"message": f"A callback of {kind} failed.", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
