"""The live door's protocol, judged by the Autobahn suite's cases: the fast ones; `make conformance` runs them all."""

from __future__ import annotations

from tests.conformance.cases import EXPECTED, FAST, Verdict, echo_server, play

SECONDS = 120  # it takes about ten


async def test_the_fast_cases_end_as_they_must() -> None:
    """Every case about frames, fragments, UTF-8, closing and limits passes but for the declared, and compression works.

    The answers come from the live door's own head, handshake, parser, frames and socket.
    """
    async with echo_server() as address:
        verdicts = await play(address, FAST, SECONDS)
    assert len(verdicts) == 315, "the suite is not what it was, or the selection is not"
    assert [verdict for verdict in verdicts if not verdict.good] == []


def test_a_case_that_fails_is_told_from_one_that_may() -> None:
    """Only the declared verdict excuses a case: neither another case's nor another verdict of its own."""
    failed = {case: Verdict(case, "FAILED", "OK", 1, "") for case in ("7.1.4", "7.1.5", "13.3.1")}
    assert [case for case, verdict in failed.items() if verdict.good] == ["7.1.5"]
    passed = {case: Verdict(case, "OK", "OK", 1, "") for case in ("7.1.4", "7.1.5")}
    assert [case for case, verdict in passed.items() if verdict.good] == ["7.1.4"], (
        "7.1.5 is mended: no excuse"
    )
    assert not Verdict("7.1.4", "OK", "WRONG CODE", 1, "").good
    assert set(EXPECTED) == {"7.1.5"}
