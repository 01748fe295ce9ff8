"""How the simulated people behave: every weight, share and pause of the load test, in one place.

Shares are probabilities from 0 to 1, pauses are (shortest, longest) in seconds and drawn evenly. How many of which
kind come, when what is sold and what goes wrong is the plan's (`loadtests/plan.py`); who decides what with these is
`loadtests/audience/intents.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

Pause = tuple[float, float]

# A buyer, each time that something is sold.
TOO_EARLY = 0.08  # taps while the countdown still runs
THROUGH_HTTP = 0.1  # reserves through the HTTP door
ASKS_FOR_TWO = 0.15
ASKS_TOO_MUCH = 0.04  # one unit more than the limit per viewer
REPEATS = 0.1  # sends the same operation again, as after a lost answer
TRIES_PER_DROP = 3  # sold out so often, and a buyer gives this drop up
HESITATION: Pause = (0.0, 0.4)  # from seeing that units are back to tapping again

# What becomes of a buyer's reservation; the rest of the probability pays.
RELEASES = 0.12
LETS_LAPSE = 0.10
DECLINED_FIRST = 0.08  # pays with a card that is declined, then with another
THINKING: Pause = (0.2, 2.0)  # between taking and paying or giving back

# Buyers and lurkers, between all that; seconds from one time to the next, on average.
CHEERS_EVERY = 60.0
COMES_BACK_EVERY = 240.0  # leaves, and returns with its place in the log
AWAY: Pause = (0.2, 1.5)

# A hoarder takes the limit, lets it lapse, and takes it again.
RESTS: Pause = (0.05, 0.5)  # between a lapse, or a refusal, and the next attempt
HASTE = 0.5  # it taps after this share of the time that a buyer in its place would take

# A bot does one of these at a time, by weight, for as long as it lives.
ASKS_BEYOND_THE_LIMIT = 5
SENDS_NONSENSE = 3
FLOODS = 1
BOT_BREATH: Pause = (0.5, 2.0)  # between two of its attacks
BOT_AWAY: Pause = (1.0, 3.0)  # before it returns after it was thrown out
FLOOD_MESSAGES = 90  # in one go: more than the server's usual burst of 60
NONSENSE_IN_A_ROW = 3  # fewer than the five that the server takes before it ends the connection

# Who reads slowly takes a little, then nothing.
READS: Pause = (0.05, 0.3)
STARES: Pause = (0.5, 2.0)

# The host.
PAUSED_AFTER_RESTOCK = 0.2  # share of restocked drops that are paused for a moment
PAUSE_SECONDS = 0.5

# Everybody.
LAPSE_GRACE_SECONDS = 3.0  # how late the news of a lapse may come before it counts as lost
STOP_SECONDS = 12.0  # after the run's end, for what people have begun


def chance(random: Random, share: float) -> bool:
    """Return True with the given probability."""
    return random.random() < share


def drawn(random: Random, pause: Pause) -> float:
    """Return seconds of a pause."""
    return random.uniform(*pause)
