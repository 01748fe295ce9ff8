"""The bank's books: bounded, and each piece of work whole or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from server.payments.bank.books import Asked, Books, RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASKED = Asked(1, "EUR", "card", "tok_ok")


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    one = Books(tmp_path / "books.sqlite3", kept=3, told_limit=4)
    yield one
    one.close()


async def orders(books: Books) -> list[str]:
    """Return the orders that the books know."""
    payments, _ = await books.do(partial(books.since, 0, 0))
    return [each.order for each in payments]


async def test_they_are_bounded(books: Books) -> None:
    """The oldest payment is forgotten for one too many, and the oldest webhook that nobody wanted."""
    books.tells = True
    for number in range(6):
        await books.do(partial(books.authorize, f"or_{number}", ASKED))
    assert await orders(books) == ["or_3", "or_4", "or_5"]
    assert len(books.due(100)) == 4


async def test_what_breaks_undoes_itself_alone(books: Books) -> None:
    """Work that came in together shares a flush; a piece that breaks takes nothing of the others along."""

    def breaks() -> None:
        books.authorize("or_broken", ASKED)
        raise RuntimeError

    outcomes = await asyncio.gather(
        books.do(partial(books.authorize, "or_1", ASKED)),
        books.do(breaks),
        books.do(partial(books.authorize, "or_2", ASKED)),
        books.do(partial(books.find, "or_none")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], RuntimeError)
    assert isinstance(outcomes[3], RefusalError)
    assert await orders(books) == ["or_1", "or_2"]


async def test_an_answer_is_on_the_disk(books: Books, tmp_path: Path) -> None:
    """What was answered is there for whoever opens the file; what came in together took one flush."""
    assert books._database.execute("PRAGMA synchronous").fetchone()[0] == 2
    before = books._database.total_changes
    await asyncio.gather(*(books.do(partial(books.authorize, f"or_{number}", ASKED)) for number in range(3)))
    assert books._database.total_changes > before
    with sqlite3.connect(tmp_path / "books.sqlite3") as other:
        assert other.execute("SELECT count(*) FROM payments").fetchone() == (3,)
    other.close()


async def test_a_flush_that_fails_is_no_answer(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk refuses the flush nobody is answered, and nothing of it is there."""
    database = books._database

    class Full:
        """A connection whose disk is full."""

        in_transaction = property(lambda _self: database.in_transaction)

        def execute(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
            if statement == "COMMIT":
                raise sqlite3.OperationalError("database or disk is full")
            return database.execute(statement, values)

    with monkeypatch.context() as patched:
        patched.setattr(books, "_database", Full())
        for outcome in await asyncio.gather(
            *(books.do(partial(books.authorize, f"or_{number}", ASKED)) for number in range(2)),
            return_exceptions=True,
        ):
            assert isinstance(outcome, sqlite3.OperationalError)
    assert await orders(books) == []
