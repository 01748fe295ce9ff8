"""The machine: any order of moves, wishes, lapses and payments, from several houses, against the model.

Each part has its file: what the host and the clock do (`machine_drops`), what viewers ask (`machine_buying`,
`machine_crowds`), how they pay (`machine_money`), and what must hold after every step (`promises`).
"""

from __future__ import annotations

from tests.flows.machine_money import Till


class LiveShow(Till):
    """A show of which everything that can happen to its inventory happens."""
