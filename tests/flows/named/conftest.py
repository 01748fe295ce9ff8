"""One live show per module of these tests, and one server that can be given faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flows.named.broken import TALKATIVE
from tests.server import ServerProcess
from tests.shared_show import show, stage

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["faulty", "show", "stage"]


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Give a server for negative controls; what it leaves behind is nobody's business."""
    folder = tmp_path_factory.mktemp("faulty")
    listed = folder / "faults"
    listed.touch()
    settings = {"FAULTS": str(listed), **TALKATIVE}
    process = ServerProcess(folder / "data", module="tests.flows.named.broken", settings=settings).start()
    yield process
    process.stop()
