"""A few inputs of each target, the same in every run, are no findings; in what is broken they are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from server.catalog import values
from server.gateway.front import Front
from server.gateway.parser import Parser
from server.protocol import codec
from server.protocol.codec import Codec
from tests.flows.breakage import broken_scripts
from tests.fuzz import engine
from tests.fuzz.engine import TooLargeError, TooSlowError, fuzz, shortened
from tests.fuzz.target_codec import Messages
from tests.fuzz.target_feed import Files
from tests.fuzz.target_head import heads
from tests.fuzz.target_parser import Streams
from tests.fuzz.target_scripts import calls
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from random import Random

    from server.gateway import parser as module
    from tests.fuzz.engine import Session, Target
    from tests.gateway.streams import Messages as Read

SEED = 1
INPUTS = {
    "parser": 300,
    "msgpack": 600,
    "json": 600,
    "feed": 150,
    "head": 150,
    "scripts": 250,
}  # a second or less each
FEW = 5  # different outcomes that each must reach


def session_of(target: Target, inputs: int) -> Session:
    """Look at so many inputs."""
    return fuzz(target, SEED, lambda number: number < inputs)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_is_a_finding(name: str, tmp_path: Path) -> None:
    """Whatever comes is taken or refused as it should be, and the inputs come to many different ends."""
    with TARGETS[name](tmp_path) as target:
        session = session_of(target, INPUTS[name])
    assert session.finding is None, str(session.finding)
    assert session.inputs == INPUTS[name]
    assert len(session.outcomes) >= FEW, session.outcomes


class Careless(Parser):
    """A parser that forgets the start of a frame which is cut in its header."""

    __slots__ = ()

    def _feed_unusual(self, unusual: module._Unusual, data: bytes, messages: Read) -> None:
        super()._feed_unusual(unusual, data, messages)
        unusual.header = b""


class Trusting(Front):
    """A front that takes any head that the parser takes."""

    def _check_head(self) -> bool:
        return False


@contextmanager
def forgetful_parser(_folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[Target]:
    target = Streams()
    target.make_parser = Careless
    yield target


@contextmanager
def chatty_codec(_folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Target]:
    patch.setattr(codec, "explained", lambda _error, raw: codec.invalid(f"{raw} " * 100))
    yield Messages(Codec.JSON)


@contextmanager
def patient_reader(_folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Target]:
    patch.setattr(values, "NAME_LIMIT", 10**6)
    yield Files()


@contextmanager
def trusting_front(_folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[Target]:
    with heads(Trusting) as target:
        yield target


@contextmanager
def forgetful_script(folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[Target]:
    copied = broken_scripts(folder / "broken", "units that are let go are forgotten")
    with calls(folder, copied) as target:
        yield target


BROKEN: dict[str, Callable[[Path, pytest.MonkeyPatch], AbstractContextManager[Target]]] = {
    "the start of a frame is forgotten": forgetful_parser,
    "a reason repeats all that was sent": chatty_codec,
    "names of any length are taken": patient_reader,
    "any number of hosts is taken": trusting_front,
    "units that are let go are forgotten": forgetful_script,
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_found(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same look at as many inputs finds it where something is broken: the look can fail."""
    with BROKEN[what](tmp_path, monkeypatch) as target:
        assert session_of(target, 1_000).finding is not None


class Numbers:
    """A target whose inputs are bytes; what is done with each is given."""

    def __init__(self, look: Callable[[bytes], object], most: int = 2**20) -> None:
        self.seen: list[bytes] = []
        self._look = look
        self._most = most

    def first(self) -> list[bytes]:
        return [b"first"]

    def make(self, chance: Random, kept: list[bytes]) -> bytes:
        return chance.choice(kept) + chance.randbytes(2)

    def look(self, given: bytes) -> str:
        self.seen.append(given)
        return str(self._look(given))

    def most_memory(self, given: bytes) -> int:
        del given
        return self._most


def test_the_same_seed_makes_the_same_inputs() -> None:
    """What comes of an input decides about the next ones, and nothing else does."""
    runs = [Numbers(len) for _ in range(2)]
    for each in runs:
        session_of(each, 50)
    assert runs[0].seen == runs[1].seen
    assert len(set(runs[0].seen)) > 40
    assert max(map(len, runs[0].seen)) > 15, "nothing was built on what was new"


def for_ever(_given: bytes) -> None:
    while True:
        pass


def test_what_takes_too_long_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that keeps the processor busy is cut off."""
    monkeypatch.setattr(engine, "CPU_SECONDS", 0.05)
    finding = session_of(Numbers(for_ever), 5).finding
    assert finding is not None
    assert isinstance(finding.error, TooSlowError)


def test_what_takes_too_much_memory_is_a_finding() -> None:
    """Every sixteenth input is weighed."""
    finding = session_of(Numbers(lambda _: len(bytes(100_000)), most=50_000), 100).finding
    assert finding is not None
    assert isinstance(finding.error, TooLargeError)
    assert finding.number == engine.WEIGHED


def test_a_finding_is_made_shorter() -> None:
    """What is not needed for the error is left out."""

    def bad(given: bytes) -> None:
        assert b"x" not in given

    target = Numbers(bad)
    found = engine.Finding(1, b"a long story with an x in it", AssertionError())
    assert shortened(target, found).given == b"x"
