"""Everything that is fuzzed, by the name that the command line takes."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from server.protocol.codec import Codec
from tests.fuzz.target_codec import Messages
from tests.fuzz.target_feed import Files
from tests.fuzz.target_head import heads
from tests.fuzz.target_parser import Streams
from tests.fuzz.target_scripts import calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.fuzz.engine import Target


@contextmanager
def _heads(_folder: Path) -> Iterator[Target]:
    with heads() as target:
        yield target


TARGETS: dict[str, Callable[[Path], AbstractContextManager[Target]]] = {
    "parser": lambda _: nullcontext(Streams()),
    "msgpack": lambda _: nullcontext(Messages(Codec.MSGPACK)),
    "json": lambda _: nullcontext(Messages(Codec.JSON)),
    "feed": lambda _: nullcontext(Files()),
    "head": _heads,
    "scripts": calls,
}
