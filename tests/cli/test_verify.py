"""`livedrop verify-draw` and `livedrop verify-receipt`: 0 where all is right, 1 where not, 2 where nobody can tell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from typer.testing import CliRunner

from server.cli.main import cli
from server.inventory import draw
from server.inventory.draw_log import Draw, Entry, Winner
from server.receipts import Receipt, Receipts
from tests.server import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from tests.stage import Stage

SEED = "the-seed-of-these-tests"
RECEIPT = Receipt(
    sub="anna",
    show="sh_1",
    drop="dr_1_2",
    operation="op",
    outcome="held",
    quantity=1,
    rank=3,
    at=1_900_000_000_312,
    after_opening_ms=312,
)


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let commands see nothing of the shell's own settings, and print wide."""
    monkeypatch.setenv("LIVEDROP_SECRET", SECRET)
    monkeypatch.setenv("LIVEDROP_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("server.cli.home.console.width", 200)


def livedrop(*arguments: str, given: str | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, list(arguments), input=given)


def right() -> dict[str, Any]:
    """Return the record of a right draw as the server gives it: six entries, one of which left; three units."""
    entries = [Entry(n=n, entry=f"entry{n}", quantity=1 + n % 2) for n in range(1, 7)]
    entries[1].left = 4
    first, second, *_ = draw.order(SEED, entries)
    winners = [Winner(entry=first.entry, quantity=first.quantity)]
    winners.append(Winner(entry=second.entry, quantity=min(second.quantity, 3 - first.quantity)))
    if sum(winner.quantity for winner in winners) < 3:
        winners.append(Winner(entry=draw.order(SEED, entries)[2].entry, quantity=1))
    record = Draw(
        drop="dr_show_drop",
        status="closed",
        units=3,
        drawn=True,
        limits=False,
        entries=entries,
        winners=winners,
        seed_hash=draw.seed_hash(SEED),
        seed=SEED,
    )
    built: dict[str, Any] = msgspec.to_builtins(record)
    return built


def test_a_right_draw_ends_with_0(tmp_path: Path) -> None:
    """From a file and from stdin: the order as a table, the verdict, and a word on a promise that was not given."""
    record = right()
    (tmp_path / "draw.json").write_text(json.dumps(record))
    done = livedrop("verify-draw", str(tmp_path / "draw.json"), "--seed-hash", draw.seed_hash(SEED))
    assert done.exit_code == 0, done.output
    assert "The draw is right." in done.output
    assert "6 entries, 3 units" in done.output
    assert "1 left the draw" in done.output
    assert record["winners"][0]["entry"] in done.output
    assert "--seed-hash" not in done.output
    piped = livedrop("verify-draw", "-", given=json.dumps(record))
    assert piped.exit_code == 0
    assert "--seed-hash" in piped.output


def seed(record: dict[str, Any]) -> None:
    """Put another seed."""
    record["seed"] = "another"


def entry(record: dict[str, Any]) -> None:
    """Put another entry in a winner's place."""
    winner = record["winners"][0]["entry"]
    next(one for one in record["entries"] if one["entry"] == winner)["entry"] = "entry99"


def winner(record: dict[str, Any]) -> None:
    """Put another winner."""
    losers = {one["entry"] for one in record["entries"] if "left" not in one}
    losers -= {one["entry"] for one in record["winners"]}
    record["winners"][0]["entry"] = min(losers)


def order(record: dict[str, Any]) -> None:
    """Let the same winners stand in another order."""
    record["winners"].reverse()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (seed, "The seed is not the one that was promised"),
        (entry, "is not among the entries"),
        (winner, "Place 1 of the draw"),
        (order, "The winners stand in another order"),
    ],
)
def test_a_changed_draw_ends_with_1(change: Callable[[dict[str, Any]], None], said: str) -> None:
    """Seed, entry, winner or order changed: the command fails and says which."""
    record = right()
    change(record)
    done = livedrop("verify-draw", "-", given=json.dumps(record))
    assert done.exit_code == 1, done.output
    assert said in done.output
    assert "The draw is not right." in done.output


def test_a_promise_that_was_changed_ends_with_1() -> None:
    """The record agrees with itself, but at the opening another hash was told."""
    done = livedrop("verify-draw", "-", "--seed-hash", "0" * 64, given=json.dumps(right()))
    assert done.exit_code == 1
    assert f"{'0' * 64} was told at the opening" in done.output


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (json.dumps({**right(), "status": "open", "drawn": False}), "open and not drawn"),
        (json.dumps({**right(), "entries": 7}), "not a draw as the server gives it"),
        ("no JSON", "not a draw as the server gives it"),
        ("\xff", "not a draw as the server gives it"),
    ],
)
def test_what_cannot_be_looked_at_ends_with_2(given: str, said: str) -> None:
    """An open draw, or something else than a draw, is neither right nor wrong."""
    done = livedrop("verify-draw", "-", given=given)
    assert (done.exit_code, said in done.output) == (2, True), done.output


def test_a_source_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    """No file, no server: 2, with the source in the sentence."""
    for source in (str(tmp_path / "none.json"), "http://127.0.0.1:1/draw", "http://"):
        done = livedrop("verify-draw", source)
        assert (done.exit_code, source in done.output) == (2, True), done.output


def test_a_record_cannot_command_the_terminal() -> None:
    """What somebody wrote into a record is printed as text: no markup, no control characters."""
    record = right()
    record["winners"][0]["entry"] = "[bold]\x1b[2J"
    done = livedrop("verify-draw", "-", given=json.dumps(record))
    assert "[bold]?[2J got" in done.output


def test_a_long_draw_is_cut_in_the_table() -> None:
    """A table of a hundred rows at most, and how many more there are."""
    entries = [Entry(n=n, entry=f"entry{n}", quantity=1) for n in range(1, 301)]
    ordered = draw.order(SEED, entries)
    winners = [Winner(entry=one.entry, quantity=1) for one in ordered[:200]]
    told = {"seed_hash": draw.seed_hash(SEED), "seed": SEED}
    record = Draw(
        drop="dr",
        status="closed",
        units=200,
        drawn=True,
        limits=False,
        entries=entries,
        winners=winners,
        **told,
    )
    done = livedrop("verify-draw", "-", given=msgspec.json.encode(record).decode())
    assert done.exit_code == 0
    assert "200 more" in done.output


async def test_a_draw_of_the_server_is_right(stage: Stage) -> None:
    """A real draw, fetched from the server with a viewer's token; the promise is the one of the opening."""
    drop = await stage.drop(2, mode="draw", opened=False)
    told = (await stage.move(drop, "open"))["seed_hash"]
    for _ in range(5):
        path = f"/v1/shows/{stage.show}/drops/{drop}/waitlist"
        joined = await stage.call("POST", path, stage.viewer(), key="enter", json={"quantity": 1})
        assert joined.status_code in {200, 201, 202}, joined.text
    await stage.move(drop, "close")
    url = f"{stage.server.url}/v1/shows/{stage.show}/drops/{drop}/draw"
    done = livedrop("verify-draw", url, "--token", stage.viewer(), "--seed-hash", told)
    assert done.exit_code == 0, done.output
    assert "5 entries, 2 units, 2 winners. The draw is right." in done.output
    refused = livedrop("verify-draw", url)
    assert (refused.exit_code, "401" in refused.output) == (2, True)


def test_a_receipt_of_this_server_ends_with_0() -> None:
    """Without keys it is held against this server's own; what it says is printed as facts and in words."""
    done = livedrop("verify-receipt", "-", given=Receipts(SECRET).sign(RECEIPT) + "\n")
    assert done.exit_code == 0, done.output
    assert "You were 3rd: 1 unit was held for you 312 ms after the opening." in done.output
    assert "dr_1_2" in done.output


def test_a_receipt_is_checked_with_keys_from_elsewhere(tmp_path: Path) -> None:
    """With a file of public keys: right for the server whose keys they are, 1 for any other."""
    other = Receipts("another-secret-of-at-least-32-bytes")
    (tmp_path / "keys.json").write_text(json.dumps(other.jwks))
    (tmp_path / "receipt").write_text(other.sign(RECEIPT))
    keys = ("--keys", str(tmp_path / "keys.json"))
    assert livedrop("verify-receipt", str(tmp_path / "receipt"), *keys).exit_code == 0
    foreign = livedrop("verify-receipt", "-", *keys, given=Receipts(SECRET).sign(RECEIPT))
    assert foreign.exit_code == 1
    assert "None of the keys signed it" in foreign.output
    (tmp_path / "keys.json").write_text("[]")
    unread = livedrop("verify-receipt", str(tmp_path / "receipt"), *keys)
    assert (unread.exit_code, "not a JWK set" in unread.output) == (2, True)


async def test_the_server_tells_its_keys(stage: Stage) -> None:
    """A receipt and the address of the keys are all that somebody needs, who has neither token nor secret."""
    done = livedrop(
        "verify-receipt",
        "-",
        "--keys",
        f"{stage.server.url}/v1/receipts/keys",
        given=Receipts(SECRET).sign(RECEIPT),
    )
    assert done.exit_code == 0, done.output
