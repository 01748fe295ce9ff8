"""`python -m loadtests.bench.lua_figures`: what each choice in the scripts is worth, as lua/README.md quotes it.

Each choice is taken back in a copy of the scripts, and both are measured in turns, round by round. A block is a fresh
drop of a fresh show and a fixed number of reservations, each by a viewer of its own; the cost is the CPU time of the
Valkey process, all of it, so that neither this program nor others on the machine are in it.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgpack
import typer

from loadtests.bench.meter import Figure, cpu_seconds
from server import ids
from server.inventory import asks
from server.inventory.batch import Terms, packed
from server.store.answers import ask
from server.store.embedded import Embedded
from server.store.keys import key
from server.store.lua import lua_folder
from server.store.redis import connect
from server.store.scripts import Scripts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from server.store.redis import Redis

SIZES = (1, 8, 32, 64, 128, 256)  # operations in one step
USUAL = 128  # of them in a step, where a choice is looked at
TERMS = Terms(claim_ms=30_000, most_waiting=10_000, skip_absent=False, addresses=False)
HEAD = "| choice | instead of | µs of Redis each | without it | bytes per hold | notes | messages told |"
KEPT = ("holds", "mine", "expiry", "awards")  # what a hold lies in


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice: in which file it is made, and the text that takes it back, or the ids that do (`prefix` before each).

    `size` is the step in which it matters.
    """

    name: str
    without: str
    include: str = ""
    edits: tuple[tuple[str, str], ...] = ()
    prefix: str = ""
    size: int = USUAL


CHOICES = (
    Choice(
        "one HMGET for all holds of a step, one for all viewers",
        "an HGET for each",
        "batch_open",
        (
            (
                "  desk.known = redis.call('HMGET', keys.holds, unpack(batch.ids))",
                (
                    "  desk.known, desk.listed = {}, {}\n"
                    "  for i, own in ipairs(batch.ids) do desk.known[i] = redis.call('HGET', keys.holds, own) end"
                ),
            ),
            (
                "  desk.listed = redis.call('HMGET', keys.mine, unpack(batch.viewers))",
                "  for i, who in ipairs(batch.viewers) do desk.listed[i] = redis.call('HGET', keys.mine, who) end",
            ),
        ),
    ),
    Choice(
        "a short way for a reservation that nothing speaks against",
        "the long way for all",
        "batch_award",
        (("  if not drop or quantity > desk_free(drop) then", "  if true then"),),
    ),
    Choice(
        "records put together from a stamp",
        "from a table each",
        "desk_take",
        (
            (
                "    record = '\\151' .. record",
                (
                    "    record = cmsgpack.pack("
                    "{ drop.number, viewer, quantity, 1, drop.terms.unit_price, expires_at, rank })"
                ),
            ),
        ),
    ),
    Choice(
        "one HSET for all records of a kind",
        "an HSET for each",
        "desk_write",
        (
            ("for first = 1, #holds, 1000", "for first = 1, #holds, 2"),
            ("first + 999, #holds", "first + 1, #holds"),
            ("for first = 1, #mine, 1000", "for first = 1, #mine, 2"),
            ("first + 999, #mine", "first + 1, #mine"),
        ),
    ),
    Choice(
        "one entry of the expiry index for a step",
        "one for each hold",
        "desk_write",
        (
            (
                "    redis.call('ZADD', keys.expiry, at, table.concat(own, ' '))",
                "    for _, one in ipairs(own) do redis.call('ZADD', keys.expiry, at, one) end",
            ),
        ),
    ),
    Choice(
        "one note of the award log for a step",
        "one for each award",
        "desk_note",
        (("if not note or note.kind ~= kind then", "if true then"),),
    ),
    Choice(
        "a hold's record as a row without names",
        "as a map with names",
        "desk_take",
        (
            (
                "    record = '\\151' .. record",
                (
                    "    record = cmsgpack.pack({ number = drop.number, viewer = viewer, quantity = quantity,"
                    " state = 1, unit_price = drop.terms.unit_price, expires_at = expires_at, rank = rank })"
                ),
            ),
        ),
    ),
    Choice(
        "a hold known by its own part of the id",
        "by the whole id",
        prefix=f"rs_{'x' * 12}_",
    ),
    Choice(
        "numbers told at most every 100 ms",
        "with every step",
        "stock_due",
        ((">= 100", ">= 0"),),
        size=8,
    ),
)


@dataclass(slots=True)
class Measured:
    """What blocks of one kind cost: µs of Valkey's CPU per operation, and what a thousand operations leave behind."""

    micros: list[float] = field(default_factory=list)
    kept_bytes: float = 0.0  # per hold, in all records
    told: float = 0.0  # messages of the live stock per 1,000 operations
    notes: float = 0.0  # of the award log per 1,000 operations

    @property
    def figure(self) -> Figure:
        """The median and the spread of its blocks."""
        return Figure.of(self.micros)


def taken_back(choice: Choice, into: Path) -> Path:
    """Return a copy of the scripts without a choice. Raises ValueError where the scripts have changed since."""
    folder = into / choice.without.replace(" ", "-")
    shutil.copytree(lua_folder(), folder)
    if not choice.edits:
        return folder
    path = folder / "includes" / f"{choice.include}.lua"
    text = path.read_text(encoding="utf-8")
    for old, new in choice.edits:
        if text.count(old) != 1:
            raise ValueError(f"{choice.include}.lua does not say {old!r} once")
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return folder


class Bench:
    """One Valkey, and the blocks on it; `operations` is how many reservations a block has."""

    def __init__(self, client: Redis, pid: int, operations: int) -> None:
        self._client = client
        self._pid = pid
        self._operations = operations

    async def block(self, scripts: Scripts, size: int, measured: Measured, prefix: str = "") -> None:
        """Reserve in steps of `size`, with ids that open with `prefix`, and add what it cost."""
        show = ids.new_show()
        drop = await self._opened(scripts, show)
        steps = list(self._steps(show, drop, size, prefix))
        await scripts.run("hold_batch", {"show": show}, batch=steps.pop())
        calls, began = await self._calls(), cpu_seconds(self._pid)
        for step in steps:
            await scripts.run("hold_batch", {"show": show}, batch=step)
        done = len(steps) * size
        measured.micros.append(1e6 * (cpu_seconds(self._pid) - began) / done)
        after = await self._calls()
        measured.told = 1000 * (after["spublish"] - calls["spublish"]) / done
        measured.notes = 1000 * (after["xadd"] - calls["xadd"]) / done
        measured.kept_bytes = await self._bytes(show) / (done + size)
        await self._client.delete(
            *[key(name, show=show) for name in (*KEPT, "show", "drops", "numbers", "stock")]
        )

    async def _opened(self, scripts: Scripts, show: str) -> str:
        """Return a drop that never sells out, in a show that is live."""
        drop, at = ids.new_drop(show), {"show": show}
        named = {"id": show, "title": "Figures", "currency": "EUR", "host": "bench"}
        await ask(scripts, "show_create", at, terms=named, epoch="first", log_length=100)
        await ask(scripts, "show_start", at)
        terms = {
            "id": drop,
            "show": show,
            "sku": "MUG",
            "title": "Mug",
            "unit_price": 1250,
            "currency": "EUR",
            "limit_per_viewer": 5,
            "hold_seconds": 120,
            "mode": "fifo",
            "waitlist": True,
        }
        await ask(scripts, "drop_create", at, drop=drop, terms=terms, quantity=10**9, most=500)
        await ask(scripts, "drop_open", at, drop=drop, countdown_ms=0, by="host", seed="", seed_hash="")
        return drop

    def _steps(self, show: str, drop: str, size: int, prefix: str) -> Iterable[bytes]:
        """Yield what the steps say, packed beforehand."""
        for first in range(0, self._operations + size, size):
            viewers = [f"viewer-{number:06d}" for number in range(first, first + size)]
            wanted = [asks.reserve(show, viewer, "operation", drop, 1) for viewer in viewers]
            step = packed(wanted, TERMS)
            step["ids"] = [prefix + own for own in step["ids"]]
            yield bytes(msgpack.packb(step, use_bin_type=False))

    async def _calls(self) -> dict[str, int]:
        """Return how often Redis ran the commands that tell and note."""
        told: dict[str, Any] = await self._client.info("commandstats")
        return {name: told.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("spublish", "xadd")}

    async def _bytes(self, show: str) -> int:
        """Return what the show's holds take of memory, in all their records."""
        sizes = [await self._client.memory_usage(key(name, show=show), samples=0) for name in KEPT]
        return sum(size or 0 for size in sizes)


async def measure(
    rounds: int, operations: int
) -> tuple[dict[int, Measured], list[tuple[Choice, Measured, Measured]]]:
    """Return the cost by size of the step, and each choice with the cost as it is and without it."""
    with tempfile.TemporaryDirectory() as data, Embedded.start(Path(data)) as valkey:
        client = connect(valkey.url)
        bench = Bench(client, valkey.pid or 0, operations)
        own = Scripts(client)
        sizes = {size: Measured() for size in SIZES}
        choices = [(choice, Measured(), Measured()) for choice in CHOICES]
        others = {choice.name: Scripts(client, taken_back(choice, Path(data))) for choice in CHOICES}
        turns = [(own, size, measured, "") for size, measured in sizes.items()]
        for choice, kept, without in choices:
            turns.append((own, choice.size, kept, ""))
            turns.append((others[choice.name], choice.size, without, choice.prefix))
        for number in range(rounds + 1):
            for scripts, size, measured, prefix in turns if number % 2 else turns[::-1]:
                await bench.block(scripts, size, measured, prefix)
            if number == 0:  # it warmed up
                for _, _, measured, _ in turns:
                    measured.micros.clear()
        await client.aclose()
    return sizes, choices


def main(
    rounds: Annotated[int, typer.Option(min=1, help="times that each gets its turn")] = 9,
    operations: Annotated[int, typer.Option(min=256, help="reservations in a block")] = 8192,
) -> None:
    """Measure the choices in the scripts and print them as the tables of lua/README.md.

    Of two numbers the second is without the choice; notes and what is told are per 1,000 operations.
    """
    sizes, choices = asyncio.run(measure(rounds, operations))
    typer.echo("| operations in a step | µs of Redis each | a core does, per second |\n|---|---|---|")
    for size, measured in sizes.items():
        typer.echo(f"| {size} | {_spread(measured.figure, 1)} | {1e6 / measured.figure.middle:,.0f} |")
    typer.echo(f"\n{HEAD}\n{'|---' * 7}|")
    for choice, kept, without in choices:
        pairs = zip(kept.micros, without.micros, strict=True)
        times = Figure.of([other / one for one, other in pairs])
        numbers = [
            (kept.kept_bytes, without.kept_bytes),
            (kept.notes, without.notes),
            (kept.told, without.told),
        ]
        cells = [f"{kept.figure.middle:.1f}", f"{_spread(times, 2)} times"]
        cells += [f"{one:,.0f} · {other:,.0f}" for one, other in numbers]
        typer.echo(f"| {choice.name} | {choice.without} | {' | '.join(cells)} |")
    typer.echo(f"\nMedians (least … most) of {rounds} blocks of {operations:,} reservations each.")


def _spread(figure: Figure, digits: int) -> str:
    return f"{figure.middle:.{digits}f} ({figure.least:.{digits}f} … {figure.most:.{digits}f})"


if __name__ == "__main__":
    typer.run(main)
