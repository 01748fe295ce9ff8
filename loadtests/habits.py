"""How the simulated people behave: every weight, share and pause of the load test, in one place.

Shares are probabilities from 0 to 1, pauses are (shortest, longest) in seconds and drawn evenly.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

Pause = tuple[float, float]

# What a viewer does next: weights of Locust tasks.
SHOPS = 20
COMES_BACK = 1  # leaves, and returns with its place in the log
CHEERS = 2

# Between two of a viewer's tasks.
BREATH: Pause = (0.1, 0.6)

# A viewer who shops.
PATIENCE_SECONDS = 2.0  # waits so long for something to take before it does something else
HESITATION: Pause = (0.0, 0.4)  # from seeing the drop to tapping
TOO_EARLY = 0.08  # taps while the countdown still runs
THROUGH_HTTP = 0.1  # reserves through the HTTP door
ASKS_FOR_TWO = 0.15
ASKS_TOO_MUCH = 0.04  # one unit more than the limit per viewer
REPEATS = 0.1  # sends the same operation again, as after a lost answer
TRIES_PER_DROP = 3  # sold out so often, and a viewer gives this drop up

# What becomes of a reservation; the rest of the probability pays.
RELEASES = 0.12
LETS_LAPSE = 0.10
DECLINED_FIRST = 0.08  # pays with a card that is declined, then with another
THINKING: Pause = (0.2, 2.0)  # between taking and paying or giving back
AWAY: Pause = (0.2, 1.5)  # between leaving and coming back

# How a lapse may look to its viewer.
LAPSE_GRACE_SECONDS = 3.0  # how late the news may come before it counts as lost


@dataclass(frozen=True, slots=True)
class Programme:
    """What the host does with each drop."""

    limit_per_viewer: int = 2
    hold_seconds: int = 5
    countdown_ms: int = 1_000
    sale_seconds: float = 6.0  # how long a drop is on sale before it is restocked, unless it sells out sooner
    restock_share: float = 0.25  # of the drop's quantity
    second_sale_seconds: float = 3.0
    pause_share: float = 0.2  # of drops that are paused for a moment after the restock
    pause_seconds: float = 0.5
    look_seconds: float = 0.5  # between two looks at the numbers


PROGRAMME = Programme()


def chance(share: float) -> bool:
    """Return True with the given probability."""
    return random.random() < share


def drawn(pause: Pause) -> float:
    """Return seconds of a pause."""
    return random.uniform(*pause)
