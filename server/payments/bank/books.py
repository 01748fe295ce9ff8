"""The bank's books: what was asked for each order, what became of it, and what is still to be told. One SQLite file.

Every change is flushed to the disk before it is answered; changes that come in together share a flush. The books
belong to one event loop of one process, and nothing in them waits for anybody else.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from server.clock import now_ms
from server.payments.bank.plays import Play, play_of
from server.payments.bank.ways import moves_at_once
from server.payments.provider import Payment, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    T = TypeVar("T")

KEPT = 1_000_000  # payments; the oldest is forgotten for a new one
TOLD_LIMIT = 10_000  # webhooks that wait to be sent; beyond, the oldest is dropped: a webhook is only a hint
PAGE = 200  # payments in one answer of a list

TABLES = """
CREATE TABLE IF NOT EXISTS payments (
  place INTEGER PRIMARY KEY AUTOINCREMENT,
  number TEXT NOT NULL UNIQUE,      -- the order's id, which is the key of every repeat
  reference TEXT NOT NULL UNIQUE,
  asked TEXT NOT NULL,              -- amount, currency, method and token: a repeat must ask for the same
  amount INTEGER NOT NULL, currency TEXT NOT NULL, token TEXT NOT NULL, return_url TEXT NOT NULL,
  status TEXT NOT NULL, reason TEXT NOT NULL,
  captured INTEGER NOT NULL DEFAULT 0, refunded INTEGER NOT NULL DEFAULT 0,
  capture_tries INTEGER NOT NULL DEFAULT 0, changes INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL, decided_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS refunds (
  id TEXT PRIMARY KEY, reference TEXT NOT NULL, amount INTEGER NOT NULL, created_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS refunds_of ON refunds (reference);
CREATE TABLE IF NOT EXISTS told (
  place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, body BLOB NOT NULL,
  due INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0
);
"""


class RefusalError(Exception):
    """The bank will not: `code` says why in a word, the sentence in a sentence. Nothing has changed."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Asked:
    """What an authorization asks for."""

    amount: int
    currency: str
    method: str
    token: str
    return_url: str = ""

    @property
    def fingerprint(self) -> str:
        """What a repeat must not change."""
        return msgspec.json.encode([self.amount, self.currency, self.method, self.token]).decode()


@dataclass(frozen=True, slots=True)
class Visit:
    """What a buyer's page is about: the payment, the method that pays it, and where its buyer comes back to."""

    payment: Payment
    method: str
    return_url: str


@dataclass(frozen=True, slots=True)
class Message:
    """A webhook that is due."""

    place: int
    id: str
    body: bytes
    tries: int


class Books:
    """The open books. `do` runs a piece of work and returns its result once it is on the disk."""

    def __init__(self, file: Path | str, *, kept: int = KEPT, told_limit: int = TOLD_LIMIT) -> None:
        self._kept, self._told_limit = kept, told_limit
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(TABLES)
        self._flush: asyncio.Future[None] | None = None
        self.tells = False  # whether anybody wants to hear of changes

    def close(self) -> None:
        """Close the file; what was not answered for may be lost."""
        self._database.close()

    async def do(self, work: Callable[[], T]) -> T:
        """Run the work and return its result after the flush that it shares with whatever came in with it."""
        if not self._database.in_transaction:
            self._database.execute("BEGIN IMMEDIATE")
        flush = self._flushed()
        self._database.execute("SAVEPOINT piece")
        try:
            result = work()
        except BaseException:
            self._database.execute("ROLLBACK TO piece")  # its own alone: others share the transaction
            raise
        finally:
            self._database.execute("RELEASE piece")
        await asyncio.shield(flush)
        return result

    def _flushed(self) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        if self._flush is None or self._flush.get_loop() is not loop:
            self._flush = loop.create_future()
            loop.call_soon(self._commit, self._flush)
        return self._flush

    def _commit(self, flush: asyncio.Future[None]) -> None:
        self._flush = None
        try:
            if self._database.in_transaction:
                self._database.execute("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            flush.set_exception(error)
            flush.exception()  # looked at here too: who asked may have gone
        else:
            flush.set_result(None)

    # What follows runs inside `do`: it looks first, and refuses before it writes.

    def authorize(self, order: str, asked: Asked, decline: str = "") -> tuple[Payment, int, bool]:
        """Return the payment, the ms until it is decided, and whether it is new."""
        found = self._row(order)
        if found is not None:
            if found["asked"] != asked.fingerprint:
                raise RefusalError(
                    "conflict", "This order was asked for with another amount, currency or token."
                )
            payment = self._decided(found)
            return payment, max(0, found["decided_at"] - now_ms()), False
        play = Play(Status.DECLINED, decline) if decline else play_of(asked.token, asked.method)
        self._insert(order, asked, play)
        payment = self._told(order)
        return payment, play.thinks_ms, True

    def find(self, order: str) -> Payment:
        """Return the payment of an order as it is now."""
        return self._decided(self._known(order))

    def of_reference(self, reference: str) -> Visit:
        """Return the payment by the bank's own name for it, as its buyer comes to it."""
        row = self._one("SELECT * FROM payments WHERE reference = ?", reference)
        if row is None:
            raise RefusalError("not-found", "There is no such payment.")
        return Visit(self._decided(row), _method(row), row["return_url"])

    def since(self, at: int, after: int) -> tuple[list[Payment], int]:
        """Return a page of the payments made since a time, after a place; and the place to go on from, 0 at the end."""
        rows = self._database.execute(
            "SELECT * FROM payments WHERE created_at >= ? AND place > ? ORDER BY place LIMIT ?",
            (at, after, PAGE + 1),
        ).fetchall()
        page = rows[:PAGE]
        return [self._decided(row) for row in page], page[-1]["place"] if len(rows) > PAGE else 0

    def capture(self, order: str) -> Payment | None:
        """Move the reserved amount and return the payment; None where the token plays that it fails this once.

        What has moved when its buyer paid is looked at: it must not have been given back meanwhile.
        """
        row = self._known(order)
        payment = self._decided(row)
        if payment.status in {Status.REQUIRES_ACTION, Status.PENDING}:
            raise RefusalError("not-ready", "The payment is not authorized yet.")
        if payment.status not in {Status.AUTHORIZED, Status.CAPTURED}:
            raise RefusalError("refused", f"The payment is {payment.status}.")
        if moves_at_once(_method(row)) and payment.captured == payment.refunded:
            raise RefusalError("refused", "The payment was given back.")
        if play_of(row["token"], _method(row)).first_capture_fails and not row["capture_tries"]:
            self._set(order, capture_tries=1)
            return None
        if payment.status is Status.CAPTURED:
            return payment
        self._set(order, status=Status.CAPTURED, captured=payment.amount)
        return self._told(order)

    def void(self, order: str, asked: Asked) -> Payment:
        """Let the amount go; an order that was never asked for is noted, so that it is not authorized later."""
        found = self._row(order)
        if found is None:
            self._insert(order, asked, Play(Status.VOIDED))
            return self._told(order)
        payment = self._decided(found)
        if payment.status is Status.CAPTURED:
            raise RefusalError("refused", "The payment is captured; its money goes back as a refund.")
        if payment.status in {Status.VOIDED, Status.DECLINED}:
            return payment
        self._set(order, status=Status.VOIDED)
        return self._told(order)

    def refund(self, reference: str, refund: str, amount: int) -> Payment:
        """Move a part of the captured amount back, once for the refund's id."""
        payment = self.of_reference(reference).payment
        known = self._one("SELECT reference, amount FROM refunds WHERE id = ?", refund)
        if known is not None:
            if (known["reference"], known["amount"]) != (reference, amount):
                raise RefusalError("conflict", "This refund was asked for with another payment or amount.")
            return payment
        left = payment.captured - payment.refunded
        if amount > left:
            raise RefusalError(
                "refused", f"{left} minor units are left to give back, {amount} were asked for."
            )
        self._database.execute(
            "INSERT INTO refunds VALUES (?, ?, ?, ?)", (refund, reference, amount, now_ms())
        )
        self._set(payment.order, refunded=payment.refunded + amount)
        return self._told(payment.order)

    def act(self, reference: str, *, approve: bool) -> Visit:
        """Do the buyer's part, if it is still to be done, and return what the payment is then."""
        visit = self.of_reference(reference)
        order = visit.payment.order
        if visit.payment.status is not Status.REQUIRES_ACTION:
            return visit
        if not approve:
            self._set(order, status=Status.DECLINED, reason="The buyer did not approve the payment.")
        elif moves_at_once(visit.method):
            self._set(order, status=Status.CAPTURED, captured=visit.payment.amount)
        else:
            self._set(order, status=Status.AUTHORIZED)
        return replace(visit, payment=self._told(order))

    def forget(self, order: str | None) -> None:
        """Forget an order's payment, or all of them, as if nobody had ever asked."""
        if order is None:
            for table in ("payments", "refunds", "told"):
                self._database.execute(f"DELETE FROM {table}")  # nosec B608  # noqa: S608  a name from the line above
            return
        row = self._known(order)
        self._database.execute("DELETE FROM refunds WHERE reference = ?", (row["reference"],))
        self._database.execute("DELETE FROM payments WHERE number = ?", (order,))

    def due(self, most: int) -> list[Message]:
        """Return webhooks whose time has come, the oldest first."""
        rows = self._database.execute(
            "SELECT place, id, body, tries FROM told WHERE due <= ? ORDER BY due, place LIMIT ?",
            (now_ms(), most),
        )
        return [Message(*row) for row in rows]

    def told(self, message: Message) -> None:
        """Forget a webhook: it was heard, or it will not be sent again."""
        self._database.execute("DELETE FROM told WHERE place = ?", (message.place,))

    def put_off(self, message: Message, wait_ms: int) -> None:
        """Note that a webhook was not heard, and when it is sent again."""
        self._database.execute(
            "UPDATE told SET tries = tries + 1, due = ? WHERE place = ?", (now_ms() + wait_ms, message.place)
        )

    def _one(self, statement: str, *values: Any) -> Any:
        return self._database.execute(statement, values).fetchone()

    def _row(self, order: str) -> Any:
        return self._one("SELECT * FROM payments WHERE number = ?", order)

    def _known(self, order: str) -> Any:
        row = self._row(order)
        if row is None:
            raise RefusalError("not-found", "Nothing was ever asked for with this order.")
        return row

    def _insert(self, order: str, asked: Asked, play: Play) -> None:
        at = now_ms()
        row = {
            "number": order,
            "reference": f"sb_{order}",
            "asked": asked.fingerprint,
            "amount": asked.amount,
            "currency": asked.currency,
            "token": asked.token,
            "return_url": asked.return_url,
            "status": Status.PENDING if play.thinks_ms else play.status,
            "reason": play.reason,
            "created_at": at,
            "decided_at": at + play.thinks_ms,
        }
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        done = self._database.execute(
            f"INSERT INTO payments ({names}) VALUES ({marks})",  # nosec B608  # noqa: S608  the names above
            list(row.values()),
        )
        assert done.lastrowid is not None  # noqa: S101  a row was inserted
        self._database.execute("DELETE FROM payments WHERE place <= ?", (done.lastrowid - self._kept,))

    def _set(self, order: str, **fields: Any) -> None:
        changes = ", ".join(f"{name} = ?" for name in fields)
        self._database.execute(
            f"UPDATE payments SET {changes} WHERE number = ?",  # nosec B608  # noqa: S608  names in this file
            [*fields.values(), order],
        )

    def _decided(self, row: Any) -> Payment:
        """Return the payment of a row, decided where the time to think is over."""
        if row["status"] != Status.PENDING or row["decided_at"] > now_ms():
            return _payment(row)
        self._set(row["number"], status=play_of(row["token"], _method(row)).status)
        return self._told(row["number"])

    def _told(self, order: str) -> Payment:
        """Return a payment that has just changed, after noting whom to tell when."""
        row = self._known(order)
        payment = _payment(row)
        if self.tells:
            self._set(order, changes=row["changes"] + 1)
            told_after = play_of(row["token"], _method(row)).tells
            body = _body(payment)
            for after in told_after[min(row["changes"], len(told_after) - 1)]:
                done = self._database.execute(
                    "INSERT INTO told (id, body, due) VALUES (?, ?, ?)",
                    (f"{payment.reference} {row['changes'] + 1}", body, now_ms() + after),
                )
                assert done.lastrowid is not None  # noqa: S101  a row was inserted
                self._database.execute(
                    "DELETE FROM told WHERE place <= ?", (done.lastrowid - self._told_limit,)
                )
        return payment


def _payment(row: Any) -> Payment:
    return Payment(
        order=row["number"],
        reference=row["reference"],
        status=Status(row["status"]),
        amount=row["amount"],
        currency=row["currency"],
        captured=row["captured"],
        refunded=row["refunded"],
        reason=row["reason"],
    )


def _method(row: Any) -> str:
    """Return how a row's payment is paid: by what was asked for it."""
    _amount, _currency, method, _token = msgspec.json.decode(row["asked"], type=tuple[int, str, str, str])
    return method


def _body(payment: Payment) -> bytes:
    data = {"order": payment.order, "reference": payment.reference, "status": payment.status}
    return msgspec.json.encode({"type": f"payment.{payment.status}", "timestamp": now_ms(), "data": data})
