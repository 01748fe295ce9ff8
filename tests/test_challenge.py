"""Work that a viewer whom nobody knows does before joining: what counts as done, and for whom."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.challenge import NONCE_BYTES, VALID_MS, Challenges, is_work

SECRET = "a-secret-of-the-tests-that-is-long-enough"
BITS = 4
SHOW, ANN = "sh_1", "ann"


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms


def asking(bits: int = BITS, secret: str = SECRET) -> tuple[Challenges, Clock]:
    """Return what asks for work, and its clock."""
    clock = Clock()
    return Challenges(secret, bits, clock), clock


def answer_to(nonce: str, bits: int) -> str:
    """Do the work."""
    return next(str(number) for number in count() if is_work(nonce, str(number), bits))


@given(st.integers(0, 12), st.text(alphabet="0123456789", min_size=1, max_size=20))
def test_work_is_leading_zeros(bits: int, answer: str) -> None:
    """As many leading zeros of the hash as bits: counted here in its digits."""
    digits = "".join(f"{byte:08b}" for byte in sha256(f"nonce:{answer}".encode()).digest())
    assert is_work("nonce", answer, bits) is digits.startswith("0" * bits)


def test_work_counts_until_its_end() -> None:
    """Its owner may use a proof again and again, for an hour."""
    challenges, clock = asking()
    challenge = challenges.ask(SHOW, ANN)
    answer = answer_to(challenge.nonce, BITS)
    clock.ms = challenge.expires_at - 1
    assert challenges.holds(SHOW, ANN, challenge.nonce, answer)
    clock.ms = challenge.expires_at
    assert not challenges.holds(SHOW, ANN, challenge.nonce, answer)
    assert challenge.expires_at - VALID_MS == 1_800_000_000_000


@pytest.mark.parametrize(("show", "viewer"), [("sh_2", ANN), (SHOW, "bob"), ("sh_1\0a", "nn")])
def test_work_counts_for_one_viewer_in_one_show(show: str, viewer: str) -> None:
    """Somebody else's proof, or one for another show, is none."""
    challenges, _clock = asking()
    nonce = challenges.ask(SHOW, ANN).nonce
    assert not challenges.holds(show, viewer, nonce, answer_to(nonce, BITS))


def test_a_process_with_the_same_secret_takes_it() -> None:
    """Nothing is remembered: whichever process is asked knows its challenges; with another secret it does not."""
    challenges, _clock = asking()
    nonce = challenges.ask(SHOW, ANN).nonce
    answer = answer_to(nonce, BITS)
    assert asking()[0].holds(SHOW, ANN, nonce, answer)
    assert not asking(secret=SECRET[::-1])[0].holds(SHOW, ANN, nonce, answer)


def test_more_work_is_asked_for_meanwhile() -> None:
    """A proof of less work than is asked for now does not count; of more it does."""
    easy, hard = asking(2)[0], asking(6)[0]
    nonce = easy.ask(SHOW, ANN).nonce
    assert not hard.holds(SHOW, ANN, nonce, answer_to(nonce, 6))
    nonce = hard.ask(SHOW, ANN).nonce
    assert easy.holds(SHOW, ANN, nonce, answer_to(nonce, 6))


@given(st.integers(0, 8 * NONCE_BYTES - 1))
def test_a_changed_nonce_is_none(bit: int) -> None:
    """Whichever bit is turned, as the end or the amount of work, the nonce is not ours any more."""
    challenges, _clock = asking(0)
    raw = bytearray(urlsafe_b64decode(challenges.ask(SHOW, ANN).nonce + "="))
    assert challenges.holds(SHOW, ANN, urlsafe_b64encode(raw).decode(), "0")
    raw[bit // 8] ^= 1 << bit % 8
    assert not challenges.holds(SHOW, ANN, urlsafe_b64encode(raw).decode(), "0")


@given(st.text(max_size=64), st.text(max_size=20))
def test_nonsense_is_no_work(nonce: str, answer: str) -> None:
    """Whatever is sent, it is no proof and no error."""
    assert not asking(0)[0].holds(SHOW, ANN, nonce, answer)
