"""How much each part measures: all of it, or a quick look that shows that everything runs."""

from __future__ import annotations

from dataclasses import dataclass

MIX_BLOCKS = 7  # a live mix takes so many times the seconds of another block


@dataclass(frozen=True, slots=True)
class Sizes:
    """Counts and seconds of a run."""

    viewers: int = 2_000  # who are told: the fan-out and the live mix, of each way
    crowd: int = 10_000  # who are told once, come back, and weigh something
    talkers: int = 500  # connections with one message under way each
    buyers: int = 500  # connections that reserve
    callers: int = 256  # who reserve at once within a process
    batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # reservations at once
    holds: int = 10_000  # of a show before it grows tenfold
    rounds: int = (
        5  # in which shows of all sizes take turns: each is short, and the median of few would be chance
    )
    blocks: int = 3  # times that each way gets its turn
    seconds: float = 1.5  # of a block that ends by time
    warm_up: float = 0.2  # seconds of open arrivals whose latency does not count
    events: int = 16  # per block of the fan-out
    payers: int = 100  # buyers who pay at once
    checkouts: int = 300  # of a block, each with a reservation of its own
    delays: tuple[float, ...] = (0.0, 0.2)  # of each call of the payment provider, s; a checkout makes two
    hanging: int = 200  # checkouts that wait for their provider while others reserve
    pairs: int = 24  # of blocks with and without them: one p99 has few waits to stand on
    flash: int = 5_000  # viewers of a load test, all there when a drop opens
    flash_units: int = 500  # that they take within 200 ms

    @property
    def weighed(self) -> list[int]:
        """The numbers of idle viewers whose memory is measured."""
        return [self.crowd // 10, self.crowd // 2, self.crowd, self.crowd * 3 // 2]

    @property
    def mix_seconds(self) -> float:
        """The length of a live mix: 10 s where nothing else is said."""
        return round(self.seconds * MIX_BLOCKS)


FULL = Sizes()
QUICK = Sizes(
    viewers=300,
    crowd=1_000,
    talkers=100,
    buyers=20,
    callers=16,
    batches=(1, 256),
    holds=500,
    rounds=1,
    blocks=1,
    seconds=0.5,
    warm_up=0.02,
    events=4,
    payers=10,
    checkouts=20,
    delays=(0.0,),
    hanging=20,
    pairs=1,
    flash=50,
    flash_units=20,
)
