"""The worlds that the machine is let loose on, and how long: briefly in the suite, for hours in the soak."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.flows.machine import LiveShow
from tests.flows.world import Rules, world, world_on
from tests.store.cluster.nodes import three_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.flows.world import World

STEPS = 30  # of an example
WORLDS = {
    "exact": Rules(),  # every answer is the model's
    "absent": Rules(skip_absent=True),  # queues pass over who is not here
    "gate": Rules(gate=True),  # processes refuse what they have just seen to be gone
    "cluster": Rules(),  # on three nodes
}
LOOKS = "state.promises_are_kept()"  # after every step: of no use in a list of steps

BRIEFLY = settings(
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=False,
    print_blob=True,
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.generate, Phase.shrink],  # to explain is to trace every line: that takes many times as long
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
UNTIL_THE_FIRST = settings(BRIEFLY, max_examples=1000, phases=[Phase.generate])


@contextmanager
def world_of(name: str, folder: Path) -> Iterator[World]:
    """Give one of the worlds, with its data in a folder."""
    if name != "cluster":
        with world(folder, WORLDS[name]) as here:
            yield here
        return
    with three_nodes(folder / "nodes") as nodes, world_on(nodes.url, folder, WORLDS[name]) as here:
        yield here


def play(
    here: World, how: settings, began: Callable[[], None] = lambda: None, chance: int | None = None
) -> None:
    """Let examples happen in a world; `began` is called at each, and the same `chance` makes the same examples.

    Where one fails, the error's notes tell its steps, as few as could be found.
    """

    class Example(LiveShow):
        world = here

        def __init__(self) -> None:
            super().__init__()
            began()

    try:
        run_state_machine_as_test(Example if chance is None else seed(chance)(Example), settings=how)
    except Exception as error:
        notes = [note.splitlines() for note in getattr(error, "__notes__", ())]
        error.__notes__ = ["\n".join(line for line in note if line.strip() != LOOKS) for note in notes]
        raise
