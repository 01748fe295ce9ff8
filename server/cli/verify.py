"""`livedrop verify-draw` and `livedrop verify-receipt`: what the server said, checked without believing the server.

They end with 0 where all is right, with 1 where something is not, and with 2 where it could not be looked at.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import msgspec
import typer
from msgspec import UNSET
from rich.markup import escape
from rich.table import Table

from server import receipts
from server.cli.home import console, errors
from server.inventory import draw
from server.inventory.draw_log import Draw

if TYPE_CHECKING:
    from server.inventory.draw_log import Entry

WRONG, UNREADABLE = 1, 2  # exit codes
FETCH_SECONDS = 30.0
MAX_ROWS = 100  # of the table, beyond which it is cut
LEFT_OUT = "…"
LIMITED = (
    "got less than their turn would give. The show limits what a viewer or a network address may have, and only the "
    "server sees how much that was: this part cannot be checked."
)
UNPROMISED = "Was the seed fixed before? Compare it with --seed-hash, as it was told at the opening."

T = TypeVar("T")


def verify_draw(source: str, told_hash: str | None, token: str | None) -> bool:
    """Print a draw as it comes out when it is drawn again, and return whether the record says the same."""
    record = _decoded(_read(source, token), Draw, "a draw")
    if record.status != "closed" or not record.drawn:
        raise _unreadable(
            f"There is nothing to check yet: drop {record.drop} is {record.status} and not drawn."
        )
    verdict = draw.check(record, told_hash)
    if verdict.order:
        console.print(_table(record, verdict.order))
    for difference in verdict.differences:
        console.print(f"[red]{_plain(difference)}[/]", highlight=False, soft_wrap=True)
    if verdict.limited:
        console.print(f"{verdict.limited} {LIMITED}", soft_wrap=True)
    right = not verdict.differences
    verdict_words = "[green]The draw is right.[/]" if right else "[bold red]The draw is not right.[/]"
    console.print(
        f"{len(record.entries)} entries, {record.units} units, {len(record.winners)} winners. {verdict_words}"
    )
    if told_hash is None and right:
        console.print(UNPROMISED, soft_wrap=True)
    return right


def verify_receipt(source: str, jwks: dict[str, Any]) -> bool:
    """Print what a receipt says and return whether one of the keys signed it."""
    text = _read(source, None).decode(errors="replace")
    try:
        receipt = receipts.verify(text.strip(), jwks)
    except receipts.ReceiptError as error:
        console.print(f"[bold red]This is no receipt of that server.[/] {_plain(str(error))}", soft_wrap=True)
        return False
    table = Table("fact", "value", title="The receipt")
    for name, value in msgspec.to_builtins(receipt).items():
        table.add_row(name, _plain(str(value)))
    console.print(table)
    console.print(_plain(receipts.sentence(receipt)), highlight=False, soft_wrap=True)
    console.print("[green]The signature is right.[/]")
    return True


def keys_at(source: str) -> dict[str, Any]:
    """Return the JWK set in a file or at an address."""
    return _decoded(_read(source, None), dict[str, Any], "a JWK set")


def _read(source: str, token: str | None) -> bytes:
    try:
        if source == "-":
            return sys.stdin.buffer.read()
        if source.startswith(("http://", "https://")):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = httpx.get(source, headers=headers, timeout=FETCH_SECONDS)
            if answer.status_code != httpx.codes.OK:
                raise _unreadable(f"{source} answered {answer.status_code}: {answer.text[:300]}")
            return answer.content
        return Path(source).read_bytes()
    except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreadable(f"{source} could not be read: {error}") from None


def _decoded(raw: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable(f"This is not {what} as the server gives it: {error}") from None


def _unreadable(sentence: str) -> typer.Exit:
    errors.print(f"[bold red]livedrop:[/] {_plain(sentence)}", highlight=False, soft_wrap=True)
    return typer.Exit(UNREADABLE)


def _plain(text: str) -> str:
    """Return what somebody else wrote so that it cannot command the terminal."""
    return escape("".join(letter if letter.isprintable() else "?" for letter in text))


def _table(record: Draw, ordered: list[Entry]) -> Table:
    """Return the head of the order as a table: all who got units, as far as they fit, and who came next."""
    got = {winner.entry: winner.quantity for winner in record.winners}
    table = Table(title=f"The draw of {_plain(record.drop)}")
    for name in ("place", "entry number", "entry", "asked for", "got"):
        table.add_column(name, justify="left" if name == "entry" else "right", overflow="fold")
    shown = ordered[: min(len(got) + 1, MAX_ROWS)]
    for place, entry in enumerate(shown, 1):
        numbers = (str(entry.quantity), str(got.get(entry.entry, 0)))
        table.add_row(str(place), str(entry.n), _plain(entry.entry), *numbers)
    if len(shown) < len(ordered):
        table.add_row(LEFT_OUT, LEFT_OUT, f"{len(ordered) - len(shown)} more", LEFT_OUT, LEFT_OUT)
    gone = sum(entry.left is not UNSET for entry in record.entries)
    table.caption = f"{gone} left the draw before it closed" if gone else None
    return table
