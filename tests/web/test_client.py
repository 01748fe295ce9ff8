"""The browser's client under Node's test runner: one test here for each there, and broken clients that fail them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgpack
import msgspec
import pytest

from server.errors import Code
from server.protocol.codec import Codec
from server.protocol.commands import AnyCommand
from server.protocol.events import SERVER_MESSAGES
from tests.web.node import CLIENT, Claim, claims, evaluate, run
from tests.web.packed import fixtures, integers, values

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS: tuple[dict[str, Any], ...] = (
    {"type": "hello", "token": "a.b.c"},
    {"type": "hello", "token": "t" * 2000, "since": {"epoch": "e1", "offset": 2**40}},
    {"type": "hello", "token": "a.b.c", "proof": {"nonce": "n" * 31, "answer": "12345"}},
    {"type": "reserve", "id": "a" * 32, "drop": "dr_1", "quantity": 300, "part": True, "receipt": False},
    {
        "type": "bundle",
        "id": "b",
        "items": [{"drop": f"dr_{number}", "quantity": 70_000 % 9999} for number in range(10)],
    },
    {"type": "release", "id": "c", "reservation": "rs_ωμέγα"},
    {"type": "waitlist.join", "id": "d", "drop": "dr_1", "quantity": 2},
    {"type": "waitlist.leave", "id": "e", "drop": "dr_1"},
    {"type": "react", "kind": "heart", "count": 100},
    {"type": "ping", "id": "12345.600000023842"},
    {"type": "token", "token": "a.b.c"},
)
PACK = """
const { pack } = await import(process.argv[1]);
let text = "";
for await (const part of process.stdin) text += part;
for (const value of JSON.parse(text)) console.log(Buffer.from(pack(value)).toString("hex"));
"""


def packed_by_the_client(given: list[Any]) -> list[bytes]:
    """Return each value as the browser's encoder packs it."""
    return [bytes.fromhex(line) for line in evaluate(PACK, given).splitlines()]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write what the server's codec has packed; return the file."""
    path = tmp_path_factory.mktemp("packed") / "packed.json"
    path.write_text(json.dumps(fixtures()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def told(packed: Path) -> dict[Claim, str | None]:
    """Run all of Node's tests once; return what was wrong with each."""
    return run(packed)


@pytest.mark.parametrize("claim", claims(), ids=str)
def test_the_client_keeps_its_word(told: dict[Claim, str | None], claim: Claim) -> None:
    """Each claim of the client's own tests holds."""
    assert claim in told, f"this test has not run; these have: {sorted(map(str, told))}"
    assert told[claim] is None, told[claim]


def test_no_claim_is_overlooked(told: dict[Claim, str | None]) -> None:
    """What Node's runner has run is what is asked for one by one above."""
    assert set(told) == set(claims())


def test_the_server_understands_what_the_client_packs() -> None:
    """Every command, packed by the browser's encoder, is to the server the command that its JSON is."""
    for command, data in zip(COMMANDS, packed_by_the_client(list(COMMANDS)), strict=True):
        assert Codec.MSGPACK.decode(data) == Codec.JSON.decode(msgspec.json.encode(command)), command
    kinds = {str(kind.__struct_config__.tag) for kind in AnyCommand.__args__}
    assert kinds - {each["type"] for each in COMMANDS} == {"chat", "question"}, (
        "commands that the client cannot send"
    )


def test_the_client_packs_as_short_as_there_is_a_form() -> None:
    """Text, lists, maps and integers come out of the browser's encoder byte by byte as out of the server's."""
    numbers = sorted({number for _, number in integers() if abs(number) < 2**53})
    given = [*numbers, *(value for _, value in values())]
    for value, data in zip(given, packed_by_the_client(given), strict=True):
        assert msgpack.unpackb(data) == value
        if not any_float(value):
            assert data == msgpack.packb(value), value


def test_the_types_know_every_message_and_every_error() -> None:
    """The declared messages are those that the server can send; the declared error codes are those of the contract."""
    types = CLIENT.with_suffix(".d.ts").read_text(encoding="utf-8")
    told = re.search(r"^export interface Messages \{\n(.+?)^\}", types, re.MULTILINE | re.DOTALL)
    assert told is not None
    declared = set(re.findall(r'^  "?([\w.]+)"?: ', told[1], re.MULTILINE))
    assert declared == {str(kind.__struct_config__.tag) for kind in SERVER_MESSAGES}
    codes = re.search(r"^export type ErrorCode =(.+?);", types, re.MULTILINE | re.DOTALL)
    assert codes is not None
    assert set(re.findall(r'"([\w-]+)"', codes[1])) == set(Code)


def any_float(value: Any) -> bool:
    """Whether there is a float in it: a whole one is an integer to JavaScript."""
    if isinstance(value, dict):
        return any(map(any_float, value.values()))
    return any(map(any_float, value)) if isinstance(value, list) else isinstance(value, float)


# What is broken in the client -> its text, the broken text, and the claim that must notice it.
BROKEN = {
    "gaps are not noticed": (
        "if (offset !== this.#position.offset + 1) {",
        "if (offset < 0) {",
        "stream",
        "a gap in the events is closed by a resume from the last one delivered, without a snapshot",
    ),
    "repeats are delivered": (
        "|| offset <= this.#position.offset) return false;",
        ") return false;\n    if (offset <= this.#position.offset) return true;",
        "stream",
        "an event that comes twice, or late, is delivered once",
    ),
    "another epoch is believed": (
        "else if (this.#position?.epoch !== epoch) {",
        "else if (this.#position === null) {",
        "stream",
        "a resume into an epoch that is not ours is not believed: everything is fetched anew",
    ),
    "the gap is asked for for ever": (
        "if (at === this.#gapAt) this.#position = null;",
        "",
        "stream",
        "a gap that is there again after the resume ends in a snapshot",
    ),
    "no jitter": (
        "return this.#platform.random() * Math.min(",
        "return Math.min(",
        "return",
        "a crowd that loses its server comes back evenly over half a second, not all at once",
    ),
    "half the jitter": (
        "return this.#platform.random() * Math.min(",
        "return (0.5 + this.#platform.random() / 2) * Math.min(",
        "return",
        "a crowd that loses its server comes back evenly over half a second, not all at once",
    ),
    "no backing off": (
        "BACKOFF_MS.first * 2 ** attempt",
        "BACKOFF_MS.first",
        "return",
        "while the server stays away attempts grow rarer, and never gather",
    ),
    "retry_after_ms is not obeyed": (
        "const least = Math.max(0, Number(told) || 0);",
        "const least = 0;",
        "return",
        "nobody comes before retry_after_ms, and what all were told alike is spread after it",
    ),
    "all that were told alike come together": (
        "const own = code === LEAVING && least > 0 && this.#attempt === 0;",
        "const own = least > 0 && this.#attempt === 0;",
        "return",
        "nobody comes before retry_after_ms, and what all were told alike is spread after it",
    ),
    "the page's own clock is believed": (
        "return this.#platform.now() + best.skew;",
        "return this.#platform.now();",
        "clock",
        "a computer a day ahead shows the server's time from the welcome on",
    ),
    "the last round trip counts": (
        "if (sample.trip <= best.trip) best = sample;",
        "best = sample;",
        "clock",
        "of several pings the quickest round trip counts: a slow, lopsided one does not spoil it",
    ),
    "a clock that was set is not noticed": (
        "if (this.#clock.jumped()) this.#ping();",
        "",
        "clock",
        "a clock that is set by a day while the page is open is made up for with the next message",
    ),
    "old samples are believed": (
        "this.#samples.filter(agrees)",
        "this.#samples",
        "clock",
        "a clock that is set between a ping and its pong gives no nonsense",
    ),
    "tokens are not renewed": (
        "if (!renewable || left === Infinity) return;",
        "return;",
        "token",
        "a token is renewed in the second half of its life, and the connection is never lost for it",
    ),
    "all tokens are renewed at one moment": (
        "left * (0.5 + 0.4 * this.#platform.random())",
        "left * 0.7",
        "token",
        "a crowd whose tokens end together does not renew them together",
    ),
    "a token that ended is used again": (
        "if (exchange || code === TOKEN_EXPIRED)",
        "if (exchange)",
        "token",
        "on 3005 a fresh token is fetched, and the stream goes on without a gap",
    ),
    "a repeat has an id of its own": (
        "for (const { message } of this.#operations.values()) this.#send(message);",
        "for (const { message } of this.#operations.values()) this.#send({ ...message, id: newId() });",
        "operations",
        "an operation whose answer was lost with the connection is repeated under its id, and done once",
    ),
    "nothing is repeated": (
        "for (const { message } of this.#operations.values()) this.#send(message);",
        "",
        "operations",
        "an operation whose answer was lost with the connection is repeated under its id, and done once",
    ),
    "every attempt to pay has a key of its own": (
        "{ body, key });\n        this.#keep(null);",
        "{ body, key: newId() });\n        this.#keep(null);",
        "checkout",
        "what leaves the outcome open is asked again under the same key until it is known",
    ),
    "the key is forgotten with the first failure": (
        'if (!error.unknown && error.code !== "unauthenticated") this.#keep(null);',
        "this.#keep(null);",
        "checkout",
        "after a minute it gives up without knowing, and the same key goes on after a reload",
    ),
    "a proxy's refusal is taken for the server's": (
        'problem.code ?? (status === 429 ? "rate-limited" : "unavailable")',
        'problem.code ?? (status >= 500 ? "unavailable" : "invalid-message")',
        "checkout",
        "what leaves the outcome open is asked again under the same key until it is known",
    ),
    "a proof is forgotten": (
        "this.#proof = { nonce, answer, until };",
        "this.#proof = { nonce, answer, until: this.#clock.now() + 1_000 };",
        "room",
        "work is done once: the proof goes along with later hellos until it ends",
    ),
    "work goes on for nobody": (
        "this.#work?.abort();",
        "",
        "room",
        "work ends with its connection, and what comes of it later is not used",
    ),
    "who waits is not missed": (
        """      this.#pingLater(CLOCK_PINGS.count);
      this.#renewLater();
    }""",
        "    }",
        "room",
        "a line that goes dead while waiting is noticed, and the place asked for again",
    ),
    "lengths are believed": (
        "if (length > this.left) throw",
        "if (length > 2 ** 33) throw",
        "msgpack",
        "a message that is cut off anywhere, or has something behind it, is refused",
    ),
    "large integers are rounded": (
        "return Number.isSafeInteger(number) ? number : big;",
        "return number;",
        "msgpack",
        "every integer keeps its value: a number where that is exact, else a BigInt",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_client_is_noticed(what: str, packed: Path, tmp_path: Path) -> None:
    """A client in which one thing is broken fails the test that is about that thing."""
    sound, broken, file, text = BROKEN[what]
    source = CLIENT.read_text(encoding="utf-8")
    assert source.count(sound) == 1, f"the client has this {source.count(sound)} times: {sound}"
    client = tmp_path / "livedrop.mjs"
    client.write_text(source.replace(sound, broken), encoding="utf-8")
    claim = Claim(file, text)
    assert run(packed, file, client=client, only=text).get(claim) is not None
