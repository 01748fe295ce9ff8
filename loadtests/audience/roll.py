"""Who is who: which numbers of the plan's viewers go to which user of Locust. No Locust in here.

One roll for a whole run, kept where the run is led from, so no number is given twice however many processes there
are, and all of the plan's are given. Who is asked for beyond the plan gets the numbers after it.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

from loadtests.audience.intents import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.plan import Plan


class Roll:
    """Gives out the numbers of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._blocks = itertools.count()
        self._by_kind: dict[str, Iterator[int]] = {}

    def block(self) -> range:
        """Return the numbers of the next audience; the last of the plan may be smaller."""
        size, block = max(1, self._plan.audience), next(self._blocks)
        whole = math.ceil(self._plan.viewers / size)
        end = (block + 1) * size
        return range(block * size, min(end, self._plan.viewers) if block < whole else end)

    def of_kind(self, kind: str) -> range:
        """Return the next number of a viewer of a kind; whoever is next where the plan's mix has none of it."""
        if kind not in self._by_kind:
            thousand = [n for n in range(1000) if kind_of(self._plan.mix, n) == kind]
            self._by_kind[kind] = (
                start + n for start in itertools.count(0, 1000) for n in thousand or range(1000)
            )
        number = next(self._by_kind[kind])
        return range(number, number + 1)


def users(plan: Plan) -> Counter[str]:
    """Return how many users of Locust a plan needs, by kind of viewer; `audience` for those who share one."""
    if plan.audience:
        return Counter({"audience": math.ceil(plan.viewers / plan.audience)})
    return Counter(kind_of(plan.mix, number) for number in range(plan.viewers))
