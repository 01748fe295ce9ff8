"""A drop's four numbers wherever a message carries them, and whether they can be true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Message = dict[str, Any]


def stocks_in(message: Message) -> Iterator[tuple[str, Message]]:
    """Yield (drop, its numbers) for every place where a message of the live socket carries stock."""
    if message["type"] == "stock.updated":
        yield message["drop_id"], message
    if "stock" in message:
        yield message["stock"]["drop_id"], message["stock"]
    if isinstance(message.get("drop"), dict):
        yield message["drop"]["id"], message["drop"]
    for drop in message.get("snapshot", {}).get("drops", ()):
        yield drop["id"], drop


def wrong_stock(drop: str, stock: Message) -> list[str]:
    """Return what is wrong with four numbers, as sentences."""
    available, held, sold, quantity = (stock[name] for name in ("available", "held", "sold", "quantity"))
    wrong = []
    if available + held + sold != quantity:
        wrong.append(f"{drop}: available {available} + held {held} + sold {sold} is not quantity {quantity}")
    if min(available, held, sold) < 0:
        wrong.append(f"{drop}: a number is below zero: {available}, {held}, {sold}")
    return wrong
