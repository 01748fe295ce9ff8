"""What tests of paying share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.till import Till, share

if TYPE_CHECKING:
    from server.house import House


@pytest.fixture
def till(house: House) -> Till:
    """Give the house's till."""
    one = Till()
    share(one, house)
    return one
