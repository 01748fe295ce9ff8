"""One step: what the script is told of the operations, and what each asker is told of its answer."""

from __future__ import annotations

import re
from typing import Any

import pytest

from server import ids
from server.errors import Code, Problem
from server.inventory import asks, batch
from server.inventory.outcomes import Bundle, Held, Outcome, Seen, Waiting
from server.store.lua import lua_folder
from tests.inventory.lines import TERMS

SHOW = "sh_1"
DROP = "dr_1_one"
OTHER = "dr_1_two"
RESERVATION = {"id": "rs_1_x", "state": "held"}
# what a drop's row in the script's answer says: available, held, revision, gone_at, waiting, opened_at, sku, …
ROW: list[Any] = [3, 2, 9, 0, 4, 1000, "MUG", "EUR", 1250, 60]
# outcome of the script -> verb, code, sentence, what else is told
REFUSALS: list[tuple[list[Any], asks.Verb, Code, str, dict[str, Any]]] = [
    (["not-found"], "reserve", Code.NOT_FOUND, f"There is no drop '{DROP}' in this show.", {}),
    (["drop-closed"], "reserve", Code.DROP_CLOSED, "The drop is closed.", {}),
    (["show-not-live", "paused"], "reserve", Code.SHOW_NOT_LIVE, "The show is paused.", {}),
    (["drop-not-open", "paused"], "join", Code.DROP_NOT_OPEN, "The drop is paused.", {}),
    (
        ["drop-not-open", "countdown", 7000],
        "reserve",
        Code.DROP_NOT_OPEN,
        "The drop is countdown.",
        {"opens_at": 7000},
    ),
    (["wrong-mode", "first_paid"], "reserve", Code.WRONG_STATE, batch.NOTHING_HELD, {}),
    (
        ["wrong-mode", "draw"],
        "reserve",
        Code.WRONG_STATE,
        "This drop is a draw: enter it with waitlist.join before it closes.",
        {},
    ),
    (
        ["wrong-mode", "fifo"],
        "claim",
        Code.WRONG_STATE,
        "This drop holds what is taken: reserve first, then check out the reservation.",
        {},
    ),
    (["no-waitlist", "fifo"], "join", Code.WRONG_STATE, "This drop has no waitlist.", {}),
    (["no-waitlist", "first_paid"], "join", Code.WRONG_STATE, batch.NOTHING_HELD, {}),
    (
        ["limit-reached", 3, 2, "viewer"],
        "reserve",
        Code.LIMIT_REACHED,
        "Asked for 2, the limit per viewer is 3 and 2 are taken.",
        {},
    ),
    (
        ["limit-reached", 4, 4, "show"],
        "part",
        Code.LIMIT_REACHED,
        "Asked for 2, the limit per viewer in this show is 4 and 4 are taken.",
        {},
    ),
    (
        ["limit-reached", 4, 4, "address"],
        "reserve",
        Code.LIMIT_REACHED,
        "Asked for 2, the limit per network address is 4.",
        {},
    ),
    (
        ["limit-reached", 100, 100, "queue"],
        "join",
        Code.LIMIT_REACHED,
        "Asked for 2, the queue has 100 places, all are taken.",
        {},
    ),
    (
        ["out-of-stock", 1, 5, 0, 1000],
        "reserve",
        Code.OUT_OF_STOCK,
        "Asked for 2, 1 available; 5 held by others may come back.",
        {"available": 1, "held": 5},
    ),
    (
        ["out-of-stock", 0, 0, 2000, 1000],
        "reserve",
        Code.OUT_OF_STOCK,
        "Asked for 2, 0 available; all are sold.",
        {"available": 0, "held": 0},
    ),
    (
        ["out-of-stock", 1, 0, 0, 1000],
        "part",
        Code.OUT_OF_STOCK,
        "Asked for 2, 1 available.",
        {"available": 1, "held": 0},
    ),
    (
        ["idempotency-mismatch", OTHER, 1],
        "reserve",
        Code.IDEMPOTENCY_MISMATCH,
        f"This id took 1 of drop {OTHER}, not 2 of {DROP}.",
        {},
    ),
    (["not-found"], "release", Code.NOT_FOUND, "There is no reservation 'rs_1_own'.", {}),
    (["not-allowed"], "release", Code.NOT_ALLOWED, "This reservation is somebody else's.", {}),
    (
        ["in-progress"],
        "release",
        Code.IN_PROGRESS,
        "This reservation is being paid.",
        {"retry_after_ms": 1000},
    ),
    (["wrong-state", "sold"], "release", Code.WRONG_STATE, "This reservation is sold.", {}),
    (["show-not-live", "frozen"], "release", Code.SHOW_NOT_LIVE, "The show is frozen.", {}),
]


def wish(verb: asks.Verb, *items: tuple[str, str, int]) -> asks.Ask:
    return asks.Ask(SHOW, verb, "ann", list(items) or [("own", DROP, 2)])


def outcome(ask: asks.Ask, *rows: Any) -> Outcome:
    """Return what an asker is told where the script answers these rows to their operation alone."""
    told = batch.packed([ask], TERMS)
    answer = {"now": 5000, "out": list(rows), "drops": [ROW for _ in told["drops"]]}
    (found,) = batch.outcomes(SHOW, [ask], answer, batch.seen(answer, told["drops"]))
    return found


# -- what the script is told


def test_operations_are_packed_column_by_column() -> None:
    """Each item has a row in every column, in the order of arrival; a drop is named once and numbered from 1."""
    wanted = [
        asks.reserve(SHOW, "ann", "op", DROP, 2),
        asks.bundle(SHOW, "bob", "op", [(OTHER, 1), (DROP, 3)]),
        asks.release(SHOW, "ann", "rs_1_abc"),
        asks.join(SHOW, "cat", "op", OTHER, 1),
        asks.leave(SHOW, "cat", DROP),
    ]
    told = batch.packed(wanted, TERMS)
    assert told["drops"] == [DROP, OTHER, ""]
    assert told["verbs"] == ["reserve", "reserve", "reserve", "release", "join", "leave"]
    assert told["sizes"] == [1, 2, 2, 1, 1, 1]
    assert told["viewers"] == ["ann", "bob", "bob", "ann", "cat", "cat"]
    assert told["which"] == [1, 2, 1, 3, 2, 1]
    assert told["quantities"] == [2, 1, 3, 0, 1, 0]
    assert told["ids"][0] == ids.own(ids.reservation(SHOW, "ann", "op"))
    assert told["ids"][3] == "abc"
    assert len(set(told["ids"])) == 6
    assert (told["claim_ms"], told["most"], told["skip"]) == (60_000, 1000, False)


def test_an_operation_has_the_same_ids_on_every_repeat() -> None:
    """Ids come from who asks, the operation and, in a bundle, the drop: never from when or where it was asked."""
    items, known = [(DROP, 1), (OTHER, 1)], set[str]()
    for viewer, operation in (("ann", "a"), ("ann", "b"), ("bob", "a")):
        one, same = (
            [
                asks.reserve(SHOW, viewer, operation, DROP, 1).items,
                asks.bundle(SHOW, viewer, operation, items).items,
                asks.join(SHOW, viewer, operation, DROP, 1).items,
            ]
            for _ in range(2)
        )
        assert one == same
        known |= {own for each in one for own, _drop, _units in each}
    assert len(known) == 3 * 4


def test_an_address_is_told_apart_and_not_told() -> None:
    """Equal addresses stay equal within one server's key and nobody learns them; without a limit they stay here."""
    ask = asks.reserve(SHOW, "ann", "op", DROP, 1, address="192.0.2.7")
    other = asks.reserve(SHOW, "bob", "op", DROP, 1, address="192.0.2.8")
    unknown = asks.reserve(SHOW, "cat", "op", DROP, 1)

    def counted(key: bytes, *, addresses: bool = True) -> list[str | bool]:
        terms = batch.Terms(60_000, 1000, skip_absent=False, addresses=addresses, address_key=key)
        columns: list[str | bool] = batch.packed([ask, ask, other, unknown], terms)["addresses"]
        return columns

    one, same, another, nobody = counted(b"key")
    assert one == same != another
    assert nobody is False
    assert isinstance(one, str)
    assert "192" not in one
    assert counted(b"other key")[0] != one
    assert counted(b"key", addresses=False) == []


# -- what the asker is told


@pytest.mark.parametrize(("row", "verb", "code", "sentence", "extras"), REFUSALS)
def test_a_refusal_has_its_code_and_its_numbers(
    row: list[Any], verb: asks.Verb, code: Code, sentence: str, extras: dict[str, Any]
) -> None:
    """Whatever the script refuses, the asker hears a code of the table and a sentence with the numbers in it."""
    refusal = outcome(wish(verb), row)
    assert isinstance(refusal, Problem)
    assert (refusal.code, refusal.detail, refusal.extras) == (code, sentence, extras)


def test_every_refusal_of_the_scripts_has_a_sentence() -> None:
    """What the parts of the script can return is what these tests know."""
    returned = set()
    for path in (lua_folder() / "includes").glob("batch_*.lua"):
        returned |= set(re.findall(r"\{ '([a-z-]+)'", path.read_text()))
    accepted = {"held", "replayed", "released", "waiting", "fifo"}
    assert returned - accepted == {row[0] for row, *_ in REFUSALS}


def test_what_was_taken_is_a_reservation() -> None:
    """It has the drop's terms, the units and the deadline of the step, and its place among the awards."""
    held = outcome(wish("reserve"), ["held", 2, 65_000, 12])
    assert isinstance(held, Held)
    assert (held.replayed, held.rank, held.waiting) == (False, 12, None)
    assert held.reservation == {
        "id": "rs_1_own",
        "drop": DROP,
        "sku": "MUG",
        "quantity": 2,
        "state": "held",
        "unit_price": 1250,
        "currency": "EUR",
        "expires_at": 65_000,
    }
    assert held.seen == Seen(DROP, 5000, *ROW)


def test_a_repeat_is_what_it_is_now() -> None:
    """A replay shows the reservation in its present state."""
    again = outcome(wish("reserve"), ["replayed", RESERVATION, 4])
    assert isinstance(again, Held)
    assert (again.reservation, again.replayed, again.rank) == (RESERVATION, True, 4)


def test_in_part_there_is_a_place_for_the_rest() -> None:
    """Some units and a place, or a place alone; where nothing is left to wait for, no place."""
    some = outcome(wish("part"), ["held", 1, 65_000, 12, 3, 4, 1])
    assert isinstance(some, Held)
    assert some.reservation["quantity"] == 1
    assert some.waiting == Waiting(DROP, 3, 4, 1)
    assert outcome(wish("part"), ["held", 0, 65_000, 12, 3, 4, 2]) == Waiting(DROP, 3, 4, 2)
    whole = outcome(wish("part"), ["held", 2, 65_000, 12])
    assert isinstance(whole, Held)
    assert whole.waiting is None


def test_a_place_has_its_numbers() -> None:
    """Position, length of the queue and units; who stands in none has position 0."""
    assert outcome(wish("join"), ["waiting", 2, 3, 1]) == Waiting(DROP, 2, 3, 1)
    assert outcome(wish("leave"), ["waiting", 0]) == Waiting(DROP, 0, 4, 0)


def test_a_bundle_is_taken_or_refused_as_one() -> None:
    """All reservations in the order asked for; or the refusal of the drop that stood in the way."""
    pair = asks.bundle(SHOW, "ann", "op", [(DROP, 1), (OTHER, 2)])
    taken = outcome(pair, ["held", 1, 65_000, 1], ["held", 2, 66_000, 1])
    assert isinstance(taken, Bundle)
    assert [(each["drop"], each["quantity"], each["expires_at"]) for each in taken.reservations] == [
        (DROP, 1, 65_000),
        (OTHER, 2, 66_000),
    ]
    again = outcome(pair, ["replayed", RESERVATION, 1], ["replayed", RESERVATION, 1])
    assert again == Bundle([RESERVATION, RESERVATION], replayed=True)
    refused = outcome(pair, False, ["out-of-stock", 1, 0, 0, 1000])
    assert isinstance(refused, Problem)
    assert refused.detail == "Asked for 2, 1 available."
    mismatch = outcome(pair, ["idempotency-mismatch", OTHER, 5], False)
    assert isinstance(mismatch, Problem)
    assert mismatch.code is Code.IDEMPOTENCY_MISMATCH


def test_each_asker_gets_their_own_rows() -> None:
    """Bundles have several rows; nobody's outcome is taken from a neighbour's."""
    wanted = [
        asks.reserve(SHOW, "ann", "op", DROP, 1),
        asks.bundle(SHOW, "bob", "op", [(DROP, 1), (OTHER, 1)]),
        asks.leave(SHOW, "cat", OTHER),
    ]
    told = batch.packed(wanted, TERMS)
    answer = {
        "now": 1,
        "out": [["drop-closed"], ["held", 1, 9, 1], ["held", 1, 9, 2], ["waiting", 0]],
        "drops": [ROW, ROW],
    }
    found = batch.outcomes(SHOW, wanted, answer, batch.seen(answer, told["drops"]))
    assert [type(each).__name__ for each in found] == ["Refusal", "Bundle", "Waiting"]
