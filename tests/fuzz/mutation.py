"""Bytes made from other bytes by chance; the same chance makes the same bytes, on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

MOST_CHANGES = 6  # of one input
NUMBERS = (b"0", b"-1", b"1", b"127", b"128", b"255", b"256", b"65535", b"65536", b"4294967295", b"1" * 40)
EDGES = (0x00, 0x01, 0x0A, 0x0D, 0x20, 0x22, 0x7E, 0x7F, 0x80, 0x81, 0xC1, 0xFE, 0xFF)
REPEATS = (2, 3, 10, 100, 1_000)
MOST_REPEATED = 2**20  # bytes


def changed(chance: Random, kept: Sequence[bytes], words: Sequence[bytes], most: int) -> bytes:
    """Return one of the kept inputs after a few changes, at most `most` bytes of it.

    `words` are what the format is made of; they are put in as they are.
    """
    data = bytearray(chance.choice(kept))
    for _ in range(chance.randint(1, MOST_CHANGES)):
        chance.choice(CHANGES)(chance, data, kept, words)
        del data[most:]  # here: changes multiply
    return bytes(data)


def _place(chance: Random, data: bytearray) -> tuple[int, int]:
    """Return where a stretch of the data begins and ends: mostly short, sometimes all that follows."""
    start = chance.randint(0, len(data))
    length = chance.choice((1, 2, 4, 8, 16, 64, len(data)))
    return start, min(len(data), start + length)


def _flip(chance: Random, data: bytearray, _kept: Sequence[bytes], _words: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _edge(chance: Random, data: bytearray, _kept: Sequence[bytes], _words: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice(EDGES)


def _word(chance: Random, data: bytearray, _kept: Sequence[bytes], words: Sequence[bytes]) -> None:
    start, end = _place(chance, data)
    data[start : chance.choice((start, end))] = chance.choice(words)


def _number(chance: Random, data: bytearray, _kept: Sequence[bytes], _words: Sequence[bytes]) -> None:
    """Put another number in the place of one, where there is any."""
    digits = [at for at, byte in enumerate(data) if 0x30 <= byte <= 0x39]
    if digits:
        start = chance.choice(digits)
        end = start
        while end < len(data) and 0x30 <= data[end] <= 0x39:
            end += 1
        data[start:end] = chance.choice(NUMBERS)


def _noise(chance: Random, data: bytearray, _kept: Sequence[bytes], _words: Sequence[bytes]) -> None:
    start, end = _place(chance, data)
    data[start : chance.choice((start, end))] = chance.randbytes(chance.randint(1, 8))


def _without(chance: Random, data: bytearray, _kept: Sequence[bytes], _words: Sequence[bytes]) -> None:
    start, end = _place(chance, data)
    del data[start:end]


def _again(chance: Random, data: bytearray, _kept: Sequence[bytes], _words: Sequence[bytes]) -> None:
    """Repeat a stretch, so that depth and length come about."""
    start, end = _place(chance, data)
    data[end:end] = data[start:end] * min(chance.choice(REPEATS), MOST_REPEATED // max(1, end - start) + 1)


def _crossed(chance: Random, data: bytearray, kept: Sequence[bytes], _words: Sequence[bytes]) -> None:
    """Put a stretch of another input in."""
    other = bytearray(chance.choice(kept))
    start, end = _place(chance, other)
    at = chance.randint(0, len(data))
    data[at:at] = other[start:end]


def _joined(chance: Random, data: bytearray, kept: Sequence[bytes], _words: Sequence[bytes]) -> None:
    """Go on with the end of another input."""
    other = chance.choice(kept)
    data[chance.randint(0, len(data)) :] = other[chance.randint(0, len(other)) :]


CHANGES: tuple[Callable[[Random, bytearray, Sequence[bytes], Sequence[bytes]], None], ...] = (
    _flip, _edge, _word, _word, _number, _noise, _without, _again, _crossed, _joined,
)  # fmt: skip
